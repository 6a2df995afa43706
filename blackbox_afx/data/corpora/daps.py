"""DAPS: 20 speakers read five scripts in a studio; the same again by tablet and telephone in rooms.

``cleanraw/f1_script1_cleanraw.wav``, and so for clean, produced, ipad_office1, iphone_bedroom1, ... The corpus has no
split of its own. The studio recordings as they were made (cleanraw) are taken; ``version=produced`` filters for others.

References
----------
Mysore, "Can we automatically transform speech recorded on common consumer devices in real-world environments into
professional production quality speech?", IEEE Signal Processing Letters 22(8), 2015.
"""

from __future__ import annotations

import re
from pathlib import Path

from blackbox_afx.data.corpora.layout import Layout, files, first_file, subfolders, within

TAKE = re.compile(r"(?:([a-z0-9_]+)/)?([fm]\d+)_script(\d+)_([a-z0-9_]+)\.(?:wav|flac)")


def _base(folder: Path) -> Path | None:
    for place in within(folder, "daps"):
        inside = [item.name for item in subfolders(place)]
        if any(TAKE.fullmatch(f"{name}/{first_file(place / name)}") for name in inside) or TAKE.fullmatch(
            first_file(place)
        ):
            return place
    return None


def _rows(base: Path) -> list[dict[str, str]]:
    rows = []
    for path in files(base):
        found = TAKE.fullmatch(path)
        if found and found[1] in (None, found[4]):
            row = {"path": path, "speaker": found[2], "script": found[3], "version": found[4]}
            rows.append({**row, "type": "speech"})
    # A folder of one version alone is that version, whatever the default would be.
    if len({row["version"] for row in rows}) == 1:
        rows = [{**row, "version": "cleanraw", "recorded": row["version"]} for row in rows]
    return rows


DAPS = Layout(
    name="daps",
    title="DAPS",
    home="https://zenodo.org/records/4660670",
    expected="cleanraw/<speaker>_script<number>_cleanraw.wav",
    known_as=("daps",),
    base=_base,
    rows=_rows,
    defaults={"version": "cleanraw"},
)
