"""VCTK, version 0.92 (FLAC, two microphones) and the older ones (WAV).

``wav48_silence_trimmed/p225/p225_001_mic1.flac`` and ``wav48/p225/p225_001.wav``. The corpus has no split of its own.
Microphone 1 is taken; ``mic=mic2`` filters for the other.

References
----------
Yamagishi, Veaux, MacDonald, "CSTR VCTK Corpus", version 0.92, 2019.
"""

from __future__ import annotations

import re
from pathlib import Path

from blackbox_afx.data.corpora.layout import Layout, files, first_file, subfolders, within

FOLDERS = ("wav48_silence_trimmed", "wav48")
UTTERANCE = re.compile(r"([ps]\d+)/\1_\d+(?:_(mic\d))?\.(?:flac|wav)")


def _base(folder: Path) -> Path | None:
    # The folder given may be the archive's, hold it, or be the one with the speakers.
    for place in within(folder, "VCTK-Corpus-0.92", "VCTK-Corpus"):
        for inside in (*(place / name for name in FOLDERS), place):
            for speaker in subfolders(inside)[:3]:
                if UTTERANCE.fullmatch(f"{speaker.name}/{first_file(speaker)}"):
                    return inside
    return None


def _rows(base: Path) -> list[dict[str, str]]:
    rows = []
    for path in files(base):
        found = UTTERANCE.fullmatch(path)
        if found:
            rows.append({"path": path, "speaker": found[1], "mic": found[2] or "mic1", "type": "speech"})
    return rows


VCTK = Layout(
    name="vctk",
    title="VCTK",
    home="https://datashare.ed.ac.uk/handle/10283/3443",
    expected="wav48_silence_trimmed/p225/p225_001_mic1.flac, or wav48/p225/p225_001.wav",
    known_as=("vctk",),
    base=_base,
    rows=_rows,
    defaults={"mic": "mic1"},
)
