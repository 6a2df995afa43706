"""Make `demo/audio/`: short excerpts of CC0 recordings, one speaker or artist a file, and MANIFEST.csv.

The recordings come from public corpora, all CC0-1.0:

- `kyutai-voice-donations`: the Unmute/Kyutai Voice Donation Project;
- `nabucasa-voices`: the Nabu Casa voice datasets (Year of Voice);
- `everythingisfree-mixsum`: "Everything is Free" by Software-Entwicklungskit, its stems summed at unity gain;
- `sonicpi-loops`: the samples of Sonic Pi.

`--source` names a folder that holds recordings of them, with a MANIFEST.csv that gives for each its path,
corpus, split, licence, attribution and speaker or artist; these are carried over, never made up here.

    python scripts/make_demo_clips.py --source AUDIO
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

import numpy as np
import soundfile as sf

SPEECH_SECONDS = 5.6  # two segments of 65 536 samples at 24 kHz, and a little
MUSIC_SECONDS = 5.5
FADE_SECONDS = 0.01
COLUMNS = ["path", "split", "type", "source", "license", "attribution", "speaker_or_artist"]

# High, middle and low voices, close and distant microphones, several languages; no speaker is in two splits.
CLIPS = [
    ("speech", "kyutai-voice-donations", "hannah"),
    ("speech", "kyutai-voice-donations", "bevi"),
    ("speech", "kyutai-voice-donations", "blake"),
    ("speech", "kyutai-voice-donations", "roscoe"),
    ("speech", "kyutai-voice-donations", "prakash369"),
    ("speech", "kyutai-voice-donations", "stone"),
    ("speech", "nabucasa-voices", "anna"),
    ("speech", "nabucasa-voices", "berta"),
    ("speech", "nabucasa-voices", "cadu"),
    ("speech", "nabucasa-voices", "imre"),
    ("speech", "kyutai-voice-donations", "rewi"),
    ("speech", "nabucasa-voices", "pim"),
    ("speech", "kyutai-voice-donations", "selfie"),
    ("speech", "kyutai-voice-donations", "louis"),
    ("speech", "nabucasa-voices", "darkman"),
    ("speech", "nabucasa-voices", "lili"),
    ("music", "everythingisfree-mixsum", "lithium"),
    ("music", "sonicpi-loops", "guit_em9"),
]


def loudest(audio: np.ndarray, sample_rate: int, seconds: float) -> np.ndarray:
    """Cut out the stretch with the most energy, on a grid of a tenth of a second, and fade its ends.

    Parameters
    ----------
    audio : numpy.ndarray [samples, channels]
        A recording.
    sample_rate : int
        In Hz.
    seconds : float
        How long the stretch may be.

    Returns
    -------
    numpy.ndarray [samples, channels]
        At most `seconds` long.
    """
    length = min(len(audio), round(seconds * sample_rate))
    energy = np.concatenate([[0.0], np.cumsum((audio**2).sum(axis=1))])
    starts = np.arange(0, len(audio) - length + 1, sample_rate // 10)
    start = starts[np.argmax(energy[starts + length] - energy[starts])]
    clip = audio[start : start + length].copy()
    ramp = np.linspace(0.0, 1.0, round(FADE_SECONDS * sample_rate))[:, None]
    clip[: len(ramp)] *= ramp
    clip[-len(ramp) :] *= ramp[::-1]
    return clip


def is_clip(row: dict[str, str], kind: str, corpus: str, name: str) -> bool:
    """Say whether a manifest row is the recording that a line of `CLIPS` means."""
    if row["source"] != corpus:
        return False
    spoken_by = row["speaker_or_artist"].partition(":")[2]
    return (spoken_by if kind == "speech" else row["title"]).casefold() == name


def main() -> None:
    """Write the clips and their manifest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with the corpora and their MANIFEST.csv")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "demo" / "audio")
    options = parser.parse_args()
    with open(options.source / "MANIFEST.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    made = []
    for kind, corpus, name in CLIPS:
        row = next((row for row in rows if is_clip(row, kind, corpus, name)), None)
        if row is None:
            raise SystemExit(f"{options.source / 'MANIFEST.csv'} has no '{name}' of {corpus}")
        if row["license"] != "CC0-1.0":
            raise SystemExit(f"{row['path']}: {row['license']}, but only CC0-1.0 may ship")
        audio, sample_rate = sf.read(options.source / row["path"], always_2d=True)
        clip = loudest(audio, sample_rate, SPEECH_SECONDS if kind == "speech" else MUSIC_SECONDS)
        folder = row["split"] if kind == "speech" else "music"
        path = Path(folder) / (re.sub(r"[^a-z0-9]+", "-", name) + ".flac")
        (options.out / folder).mkdir(parents=True, exist_ok=True)
        sf.write(options.out / path, clip, sample_rate, subtype="PCM_16")
        made.append({**{key: row[key] for key in COLUMNS}, "path": path.as_posix()})

    with open(options.out / "MANIFEST.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(made)


if __name__ == "__main__":
    main()
