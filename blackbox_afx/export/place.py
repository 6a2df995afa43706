"""Write files beside their places and rename them there; never over what is there, nor over what goes in."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from blackbox_afx.audio import info
from blackbox_afx.errors import OutputError
from blackbox_afx.session import Session


def check_place(session: Session, path: Path, *, force: bool) -> None:
    """Refuse a place that is taken.

    Raises
    ------
    OutputError
        It is a folder, one of the session's own recordings, or exists while `force` is false.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; expected the name of a file to write")
    if os.path.lexists(path):
        if path.resolve() in {session.resolve(clip).resolve() for track in session.tracks for clip in track.clips}:
            raise OutputError(f"{path} is one of the session's recordings; give another name")
        if not force:
            raise OutputError(f"{path} exists; give --force to replace it, or another name")


def check_recordings(session: Session) -> None:
    """Refuse a session whose recordings are not where it says, for formats that refer to them.

    Raises
    ------
    AudioError
        One is missing, or is no audio.
    """
    for path in {session.resolve(clip): None for track in session.tracks for clip in track.clips}:
        info(path)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give the name of a file to write, which gets the name `path` when all went well.

    Raises
    ------
    OutputError
        It can't be written.
    """
    beside = path.with_name(f".{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        os.replace(beside, path)
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}); choose a folder you may write to") from None
    finally:
        with suppress(OSError):
            beside.unlink()


def write_files(session: Session, content: Mapping[Path, bytes], *, force: bool) -> None:
    """Write several files, none of them before all may be.

    Parameters
    ----------
    session : Session
        Whose recordings are not to be replaced.
    content : mapping of Path to bytes
    force : bool
        Replace what is there.

    Raises
    ------
    OutputError
        As `check_place` and `new_file`.
    """
    for path in content:
        check_place(session, path, force=force)
    for path, data in content.items():
        with new_file(path) as beside:
            beside.write_bytes(data)
