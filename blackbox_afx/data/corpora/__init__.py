"""Corpora by their own folder layouts: who is heard in a file, and on which side of the split it belongs.

Conventions: a layout is recognised from the names of folders and files near the top; `NAME:FOLDER` in place of a
folder forces one. Rows are as a MANIFEST.csv's: `path` (relative, forward slashes), `split`, `speaker`, `type`,
`source`, and columns of the corpus's own that may be filtered on.
"""

from __future__ import annotations

import re
from pathlib import Path

from blackbox_afx.data.corpora.daps import DAPS
from blackbox_afx.data.corpora.jamendo import JAMENDO
from blackbox_afx.data.corpora.layout import Layout
from blackbox_afx.data.corpora.libritts import LIBRITTS
from blackbox_afx.data.corpora.musdb18 import MUSDB18
from blackbox_afx.data.corpora.vctk import VCTK
from blackbox_afx.errors import AudioError, UsageError, nearest

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (LIBRITTS, VCTK, DAPS, JAMENDO, MUSDB18)}
FORCED = (*LAYOUTS, "manifest", "folder")
"""What may stand before a folder and a colon; the last two say that it is no corpus."""

__all__ = ["FORCED", "LAYOUTS", "Layout", "corpus_rows", "recognise", "split_forced", "where_to_get"]


def split_forced(folder: str | Path) -> tuple[str, Path]:
    """Take the layout off `NAME:FOLDER`; an empty name where none is forced.

    Raises
    ------
    UsageError
        There is no such folder, and what stands before its colon resembles a layout.

    Notes
    -----
    One letter before a colon is a drive, and a folder of that very name is that folder.
    """
    name, colon, rest = str(folder).partition(":")
    if not colon or len(name) < 2 or Path(folder).exists():
        return "", Path(folder)
    if name not in FORCED:
        if re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise UsageError(f"no layout is called '{name}'; {nearest(name, list(FORCED))}")
        return "", Path(folder)
    return name, Path(rest)


def recognise(folder: Path) -> tuple[Layout, Path] | None:
    """Tell which corpus a folder holds and where in it, or None.

    Parameters
    ----------
    folder : Path
    """
    for layout in LAYOUTS.values():
        base = layout.base(folder)
        if base is not None:
            return layout, base
    return None


def corpus_rows(layout: Layout, folder: Path, base: Path | None = None) -> list[dict[str, str]]:
    """List a corpus's recordings as rows of a manifest.

    Parameters
    ----------
    layout : Layout
    folder : Path
        Paths are relative to it.
    base : Path, optional
        Where in it the corpus begins, as `recognise` gives it; looked for by default.

    Raises
    ------
    AudioError
        The folder is not laid out like that; the message says how, and where to get the corpus.
    """
    base = base if base is not None else layout.base(folder)
    if base is None:
        raise AudioError(
            f"{folder} is not laid out as {layout.title}; expected {layout.expected}; "
            f"get it at {layout.home}, or leave '{layout.name}:' out"
        )
    rows = layout.rows(base)
    if not rows:
        raise AudioError(
            f"{folder} has the folders of {layout.title} and none of its recordings; expected {layout.expected}; "
            f"see {layout.home}"
        )
    shift = base.relative_to(folder).as_posix()
    common = {"source": layout.name, "split": "", "speaker": "", "type": ""}
    return [{**common, **row, "path": row["path"] if shift == "." else f"{shift}/{row['path']}"} for row in rows]


def where_to_get(name: str, folder: Path) -> str:
    """Say where a corpus is to be had, for a folder that is not there; empty where nothing tells which it would be."""
    key = re.sub(r"[^a-z0-9]", "", folder.name.lower())
    for layout in LAYOUTS.values():
        if name == layout.name or any(word in key for word in layout.known_as):
            return f"{layout.title} is at {layout.home} and unpacks to {layout.expected}"
    return ""
