"""Write a folder beside its place and rename it there; give files names that every system takes."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from blackbox_afx.errors import OutputError

# What Windows, macOS or Ardour refuse in names, and control characters.
_ILLEGAL = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|;\ud800-\udfff\ufffe\uffff]')


def legal_name(text: str, fallback: str = "session") -> str:
    """Make a file name of any text, in any script.

    Parameters
    ----------
    text : str
    fallback : str
        Where nothing is left.

    Returns
    -------
    str
        At most 200 bytes in UTF-8, without surrounding dots or spaces.
    """
    name = _ILLEGAL.sub("_", text).strip(" .")
    while len(name.encode("utf-8")) > 200:
        name = name[:-1]
    return name.strip(" .") or fallback


def xml_text(text: str) -> str:
    """Replace what XML 1.0 can't hold at all: control characters and halves of surrogate pairs."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


@contextmanager
def new_folder(path: Path, *, force: bool, ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Give an empty folder to fill, which takes its place when all went well.

    Parameters
    ----------
    path : Path
        Where it shall be.
    force : bool
        Replace what is there.
    ours : callable
        Says whether a folder that is there is one that this export makes; nothing else is ever replaced.

    Raises
    ------
    OutputError
        It exists and may not be replaced, or can't be written.
    """
    if path.exists() or path.is_symlink():
        if not force:
            raise OutputError(f"{path} exists; give --force to replace it, or another name")
        if path.is_symlink() or not path.is_dir() or not (ours(path) or not any(path.iterdir())):
            raise OutputError(f"{path} holds something else than such an export and is not replaced; give another name")
    mark = secrets.token_hex(4)
    beside, old = path.with_name(f".{mark}.part"), path.with_name(f".{mark}.old")
    try:
        beside.mkdir(parents=True)
        yield beside
        if path.exists():
            os.replace(path, old)
        os.replace(beside, path)
    except OSError as error:
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise OutputError(f"{path}: can't be written ({error.strerror}); choose a folder you may write to") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
