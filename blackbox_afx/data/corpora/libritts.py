"""LibriTTS, and what is laid out like it: LibriTTS-R and LibriSpeech.

``train-clean-360/<speaker>/<chapter>/<speaker>_<chapter>_<paragraph>_<sentence>.wav``; LibriSpeech has
``<speaker>-<chapter>-<utterance>.flac``. The subsets dev-* and test-* are the corpus's own validation and test parts.

References
----------
Zen et al., "LibriTTS: A corpus derived from LibriSpeech for text-to-speech", Interspeech 2019.
"""

from __future__ import annotations

import re
from pathlib import Path

from blackbox_afx.data.corpora.layout import Layout, files, subfolders, within

SUBSET = re.compile(r"(train|dev|test)-(clean|other)(-\d+)?")
UTTERANCE = re.compile(r"(\d+)/(\d+)/(\1_\2_\d+_\d+\.wav|\1-\2-\d+\.flac)")


def _holds_speakers(folder: Path) -> bool:
    for speaker in subfolders(folder)[:3]:
        for chapter in subfolders(speaker)[:3] if speaker.name.isdigit() else ():
            inside = f"{speaker.name}/{chapter.name}/"
            if any(UTTERANCE.fullmatch(inside + name) for name in files(chapter)):
                return True
    return False


def _base(folder: Path) -> Path | None:
    for place in within(folder, "LibriTTS", "LibriTTS_R", "LibriSpeech"):
        subsets = [item for item in subfolders(place) if SUBSET.fullmatch(item.name)]
        if any(_holds_speakers(item) for item in subsets) or _holds_speakers(place):
            return place
    return None


def _rows(base: Path) -> list[dict[str, str]]:
    rows = []
    for path in files(base):
        subset, _, inside = path.partition("/")
        if not SUBSET.fullmatch(subset):
            # The folder given is itself a subset.
            subset, inside = base.resolve().name, path
        found = UTTERANCE.fullmatch(inside)
        if found:
            part = subset.partition("-")[0] if SUBSET.fullmatch(subset) else ""
            row = {"path": path, "split": part, "speaker": found[1], "chapter": found[2]}
            rows.append({**row, "subset": subset, "type": "speech"})
    return rows


LIBRITTS = Layout(
    name="libritts",
    title="LibriTTS",
    home="https://www.openslr.org/60/",
    expected="train-clean-360/<speaker>/<chapter>/<speaker>_<chapter>_<paragraph>_<sentence>.wav",
    known_as=("libritts", "librispeech"),
    base=_base,
    rows=_rows,
)
