"""Make several files that appear together or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blackbox_afx.audio import AudioInfo, AudioWriter
from blackbox_afx.errors import OutputError


def refuse_existing(paths: Iterable[Path], force: bool) -> None:
    """Raise where something is in the way.

    Raises
    ------
    OutputError
        One of the paths is a folder, or exists while `force` is false.
    """
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; expected the name of a file to write")
        if os.path.lexists(path) and not force:
            raise OutputError(f"{path} exists; give --force to replace it, or another name")


def check_place(path: Path, *, force: bool) -> None:
    """Raise where a file can't be written: asked before hours of work.

    Raises
    ------
    OutputError
        Something is in the way, or the folder is not there or can't be written to.
    """
    refuse_existing([path], force)
    with staging(path):
        pass


def check_makeable(path: Path) -> None:
    """Raise where a file can't be written, nor the folders above it be made.

    Raises
    ------
    OutputError
        The nearest folder that is there is none, or can't be written to.
    """
    above = path.absolute().parent
    # A drive that is not there is its own parent.
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise OutputError(f"{path}: can't be made, as {above} is no folder; choose another place")
    try:
        # Asking for permission says nothing on a read-only disk, or to one who may do anything.
        os.rmdir(tempfile.mkdtemp(prefix=".afx.", suffix=".part", dir=above))
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}); choose a folder you may write to") from None


def publish_text(content: dict[Path, Any], *, force: bool) -> None:
    """Write text files, and JSON for all that is no text; each beside its place and renamed there.

    Parameters
    ----------
    content : dict of Path to str or plain containers
    force : bool
        Replace what is there.

    Raises
    ------
    OutputError
        One exists while `force` is false, or can't be written.
    """
    refuse_existing(content, force)
    for path, thing in content.items():
        text = thing if isinstance(thing, str) else json.dumps(thing, indent=1, ensure_ascii=False) + "\n"
        with staging(path) as stage:
            try:
                (stage / path.name).write_text(text, encoding="utf-8")
            except OSError as error:
                raise OutputError(f"{path}: can't be written ({error.strerror}); is the disk full?") from None
            publish({stage / path.name: path})


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Give a hidden folder beside `out`, on the same disk; it is gone afterwards, whatever happened.

    Raises
    ------
    OutputError
        The folder of `out` is not there or can't be written to.
    """
    if not out.parent.is_dir():
        raise OutputError(f"{out}: the folder {out.parent} does not exist; create it first")
    try:
        stage = Path(tempfile.mkdtemp(prefix=f".{out.stem[:64]}.", suffix=".part", dir=out.parent))
    except OSError as error:
        raise OutputError(f"{out}: can't be written ({error.strerror}); choose a folder you may write to") from None
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def check_container(stage: Path, out: Path, about: AudioInfo) -> None:
    """Raise where the extension of `out` names no format that can hold audio like `about`.

    Raises
    ------
    OutputError
        Before any work was done, and not after an hour of it.
    """
    trial = Path(os.path.realpath(stage)) / f"trial{out.suffix}"
    try:
        with AudioWriter(trial, about.sample_rate, about.channels, like=about):
            pass
    except OutputError as error:
        raise OutputError(str(error).replace(str(trial), str(out))) from None
    trial.unlink(missing_ok=True)


def publish(moves: dict[Path, Path]) -> None:
    """Give staged files their names.

    Parameters
    ----------
    moves : dict of Path to Path
        Staged file to its place; what is there is replaced.

    Raises
    ------
    OutputError
        A place can't be written.
    """
    for staged, place in moves.items():
        try:
            os.replace(staged, place)
        except OSError as error:
            raise OutputError(f"{place}: can't be written ({error.strerror}); choose another name") from None
