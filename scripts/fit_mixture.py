"""Fit the mixture of spectral shapes that the encoder 'mixture' tells sounds apart with.

    python scripts/fit_mixture.py --audio recordings/ --out blackbox_afx/features/mixture.npz

Only the training split is read. Every stretch has a colour of its own, found in turns with the classes, so that
classes stand for sounds and not for microphones.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.special import softmax

from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.features.mixture import FILE, Mixture, active_shapes
from blackbox_afx.features.statistics import spectra
from blackbox_afx.train.versions import versions

RATE, STRETCH = 24000, 65536
ROUNDS, COLOURED_FROM = 20, 4
"""Turns of classes and colours; the first ones keep the colours of the mean spectra."""
LEAST_DB, RAREST = 1.0, 20
"""Deviation that every band has at the least beside what is measured, and frames that a class needs to stay."""
FIRST_SHARE = 0.4
"""Share of the frames' variance that the first classes, single frames, are taken to leave."""


def main() -> None:
    """Read, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder of recordings, speech and music")
    parser.add_argument("--classes", type=int, default=96)
    parser.add_argument("--minutes", type=float, default=45.0, help="most minutes of each of speech and music")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    stretches: list[np.ndarray] = []
    minutes: dict[str, float] = {}
    sources: set[str] = set()
    for kind in ("type=speech", "type=music"):
        found = find_audio(options.audio, where=kind, purpose="learn", seed=options.seed)
        clips = load_clips(found, "train", sample_rate=RATE, max_minutes=options.minutes, seed=options.seed)
        heard = [active_shapes(spectra(part, RATE).decibels) for clip in clips.clips for part in cut(clip.audio)]
        minutes[kind.partition("=")[2]] = round(clips.minutes, 1)
        sources |= {clip.source for clip in clips.clips}
        print(f"{kind}: {clips.minutes:.1f} minutes, {sum(map(len, heard))} frames")
        stretches += heard
    mixture = fit(stretches, options.classes, np.random.default_rng(options.seed))
    beside = options.out.with_suffix(".part.npz")
    about = {
        "command": "python scripts/fit_mixture.py --audio recordings/",
        "seed": options.seed,
        "minutes": minutes,
        "sources": sorted(sources),
        "versions": versions(),
    }
    arrays = {name: getattr(mixture, name).astype(np.float32) for name in Mixture.__struct_fields__}
    np.savez(beside, about=json.dumps(about), **arrays)
    beside.replace(options.out)
    print(f"wrote {options.out}: {options.classes} classes, deviation {mixture.deviation.mean():.2f} dB")


def cut(audio: np.ndarray) -> list[np.ndarray]:
    """Cut a clip into equal stretches of about `STRETCH` samples."""
    return np.array_split(audio, max(1, len(audio) // STRETCH))


def fit(stretches: list[np.ndarray], classes: int, rng: np.random.Generator) -> Mixture:
    """Find classes and colours in turns."""
    means = np.stack([shapes.mean(0) for shapes in stretches])
    typical = means.mean(0)
    colours = means - typical
    frames = np.concatenate([shapes - colour for shapes, colour in zip(stretches, colours, strict=True)])
    mixture = Mixture(
        means=frames[rng.permutation(len(frames))[:classes]],
        deviation=np.sqrt(FIRST_SHARE * frames.var(0) + LEAST_DB**2),
        log_prior=np.full(classes, -np.log(classes), np.float32),
        typical=typical,
    )
    for turn in range(ROUNDS):
        if turn >= COLOURED_FROM:
            colours = np.stack([mixture.separate(shapes)[0] for shapes in stretches])
        frames = np.concatenate([shapes - colour for shapes, colour in zip(stretches, colours, strict=True)])
        mixture, moved = turned(mixture, frames, rng)
        print(f"turn {turn + 1} of {ROUNDS}: deviation {mixture.deviation.mean():.3f} dB, classes moved {moved:.3f} dB")
    return mixture


def turned(mixture: Mixture, frames: np.ndarray, rng: np.random.Generator) -> tuple[Mixture, float]:
    """Move the classes once to the frames that are theirs, and tell how far they moved.

    Near to expectation maximisation: shares are tempered as they are in use, and the variance is what they leave.
    """
    classes = len(mixture.means)
    count, total = np.zeros(classes), np.zeros_like(mixture.means, np.float64)
    square = np.zeros(frames.shape[1])
    for part in np.array_split(frames, max(1, len(frames) // 8192)):
        share = softmax(mixture.votes(part), axis=1)
        count += share.sum(0)
        total += share.T @ part
        square += ((part - share @ mixture.means) ** 2).sum(0)
    means = total / np.maximum(count, 1e-9)[:, None]
    # A class that hardly any frame belongs to starts again elsewhere.
    rare = count < RAREST
    means[rare] = frames[rng.permutation(len(frames))[: int(rare.sum())]]
    moved = float(np.abs(means - mixture.means)[~rare].mean())
    prior = (count + RAREST) / (count + RAREST).sum()
    fitted = Mixture(
        means=means.astype(np.float32),
        deviation=np.sqrt(square / len(frames) + LEAST_DB**2).astype(np.float32),
        log_prior=np.log(prior).astype(np.float32),
        typical=mixture.typical,
    )
    return fitted, moved


if __name__ == "__main__":
    main()
