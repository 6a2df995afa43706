"""MUSDB18-HQ: 150 songs as mixture and stems; the test part is the corpus's own.

``train/<artist> - <title>/mixture.wav`` and vocals, drums, bass, other. The mixtures are taken; ``stem=vocals``
filters for a stem. The compressed MUSDB18 packs five AAC streams into one ``.stem.mp4``, which nothing here decodes.

References
----------
Rafii, Liutkus, Stoeter, Mimilakis, Bittner, "MUSDB18-HQ", 2019, doi:10.5281/zenodo.3338373.
"""

from __future__ import annotations

import re
from pathlib import Path

from blackbox_afx.data.corpora.layout import Layout, files, subfolders, within
from blackbox_afx.errors import AudioError

STEMS = ("mixture", "vocals", "drums", "bass", "other")
FILE = re.compile(rf"(train|test|valid)/([^/]+)/({'|'.join(STEMS)})\.wav")
PACKED = ".stem.mp4"
HOME = "https://zenodo.org/records/3338373"


def _base(folder: Path) -> Path | None:
    for place in within(folder, "musdb18hq", "musdb18"):
        for part in (place / "train", place / "test"):
            if any(item.name.endswith(PACKED) for item in part.glob(f"*{PACKED}")):
                return place
            if any((song / "mixture.wav").is_file() for song in subfolders(part)[:3]):
                return place
    return None


def _rows(base: Path) -> list[dict[str, str]]:
    rows = []
    packed = 0
    for path in files(base):
        packed += path.endswith(PACKED)
        found = FILE.fullmatch(path)
        if found:
            artist = found[2].partition(" - ")[0]
            row = {"path": path, "split": found[1], "speaker": artist, "title": found[2], "stem": found[3]}
            rows.append({**row, "type": "music" if found[3] == "mixture" else "stem"})
    if packed and not rows:
        raise AudioError(
            f"{base} holds {packed} {PACKED} files, AAC in MP4, which neither libsndfile nor pedalboard reads; "
            f"expected MUSDB18-HQ, the same songs as WAV; get it at {HOME}"
        )
    return rows


MUSDB18 = Layout(
    name="musdb18",
    title="MUSDB18-HQ",
    home=HOME,
    expected="train/<artist> - <title>/mixture.wav (vocals, drums, bass, other) and test/ likewise",
    known_as=("musdb",),
    base=_base,
    rows=_rows,
    defaults={"stem": "mixture"},
)
