"""MTG-Jamendo: MP3 in a hundred folders, artists and the split in tables that come with the corpus's code.

``00/1234.mp3`` (or ``00/1234.low.mp3``), usually in ``raw_30s/audio``. Artists are looked up in the tables
(``autotagging.tsv``, ``raw_30s.tsv``, ``splits/split-0/autotagging-test.tsv``, ...) wherever they lie: in the folder,
in its `data`, in a clone of the repository `mtg-jamendo-dataset` in it or beside it. Split 0 is used where it is there.

References
----------
Bogdanov et al., "The MTG-Jamendo dataset for automatic music tagging", ICML workshop, 2019.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from blackbox_afx.data.corpora.layout import Layout, files, first_file, subfolders, within
from blackbox_afx.errors import AudioError

TRACK = re.compile(r"(\d\d)/(\d+)(?:\.low)?\.mp3")
SPLITS = ("train", "validation", "test")
BASE_TABLES = ("autotagging.tsv", "raw_30s.tsv", "raw_30s_cleantags_50artists.tsv", "raw.tsv")


def _base(folder: Path) -> Path | None:
    for outer in within(folder, "raw_30s", "autotagging_moodtheme"):
        for place in (outer, outer / "audio", outer / "audio-low"):
            for numbered in subfolders(place)[:3]:
                if TRACK.fullmatch(f"{numbered.name}/{first_file(numbered)}"):
                    return place
    return None


def _table_folders(base: Path) -> list[Path]:
    """Give the folders that may hold tables, nearest first."""
    places = []
    for place in (base, *list(base.resolve().parents)[:3]):
        places += [place, place / "data", place / "mtg-jamendo-dataset" / "data"]
    return [place for place in places if place.is_dir()]


def _read(table: Path) -> list[tuple[str, str]]:
    """Read (track number, artist) from a table; tags make its lines of uneven length."""
    found = []
    with table.open(newline="", encoding="utf-8") as file:
        for cells in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if len(cells) > 3 and cells[0].startswith("track_"):
                found.append((Path(cells[3]).stem, cells[1]))
    return found


def _tables(base: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Give artist and split by track number."""
    artists: dict[str, str] = {}
    splits: dict[str, str] = {}
    for place in _table_folders(base):
        for part in SPLITS:
            for inside in (place / "splits" / "split-0", place):
                table = inside / f"autotagging-{part}.tsv"
                for track, artist in _read(table) if table.is_file() else ():
                    splits.setdefault(track, part)
                    artists.setdefault(track, artist)
        for table in (place / name for name in BASE_TABLES):
            for track, artist in _read(table) if table.is_file() else ():
                artists.setdefault(track, artist)
        if artists:
            break
    return artists, splits


def _rows(base: Path) -> list[dict[str, str]]:
    artists, splits = _tables(base)
    if not artists:
        raise AudioError(
            f"{base} holds MTG-Jamendo's tracks and no table of their artists, without which nothing could be held "
            "out; expected autotagging.tsv or splits/split-0/autotagging-test.tsv in it or in a folder 'data' beside "
            "it; copy the folder 'data' of https://github.com/MTG/mtg-jamendo-dataset there"
        )
    rows = []
    for path in files(base):
        found = TRACK.fullmatch(path)
        # A track of an unknown artist might be on both sides.
        if found and found[2] in artists:
            split = splits.get(found[2], "")
            if splits and not split:
                continue
            rows.append({"path": path, "split": split, "speaker": artists[found[2]], "type": "music"})
    return rows


JAMENDO = Layout(
    name="jamendo",
    title="MTG-Jamendo",
    home="https://github.com/MTG/mtg-jamendo-dataset",
    expected="raw_30s/audio/00/1234.mp3 and the tables data/autotagging.tsv, data/splits/split-0/autotagging-test.tsv",
    known_as=("jamendo", "raw30s"),
    base=_base,
    rows=_rows,
)
