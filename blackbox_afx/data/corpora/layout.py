"""What is known of one corpus's folders, and the helpers that all of them need."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec


class Layout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Describe a corpus as it lies on a disk.

    Parameters
    ----------
    name : str
        How it is forced, and the `source` of its recordings.
    title : str
        For messages.
    home : str
        Where to get it.
    expected : str
        Its folders in a line.
    known_as : tuple of str
        What its folder tends to be called, lower case, letters and digits alone.
    base : callable
        Where in a folder the corpus begins, or None; looks at few files.
    rows : callable
        Its recordings, with paths relative to that base.
    defaults : dict of str
        Of recordings that lie in several versions, the column and the value taken where no filter names the column.
    """

    name: str
    title: str
    home: str
    expected: str
    known_as: tuple[str, ...]
    base: Callable[[Path], Path | None]
    rows: Callable[[Path], list[dict[str, str]]]
    defaults: dict[str, str] = {}


def subfolders(folder: Path) -> list[Path]:
    """List the visible folders in a folder, sorted; none where it can't be read."""
    try:
        return sorted(item for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))
    except OSError:
        return []


def within(folder: Path, *names: str) -> list[Path]:
    """List the places a corpus may begin: the folder, and those in it of the archive's own names."""
    return [folder, *(folder / name for name in names if (folder / name).is_dir())]


def files(base: Path) -> Iterator[str]:
    """Give all visible files under a folder, relative with forward slashes, in a fixed order."""
    for place, folders, names in os.walk(base):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(place).relative_to(base).as_posix()
        for name in sorted(names):
            if not name.startswith("."):
                yield name if inside == "." else f"{inside}/{name}"


def first_file(folder: Path, tries: int = 50) -> str:
    """Give the name of a visible file in a folder, or an empty string; hidden ones beside it are passed over."""
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(tries), entries, strict=False):
                if not entry.name.startswith(".") and entry.is_file():
                    return entry.name
    except OSError:
        pass
    return ""
