"""Read and write sessions as JSON."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.session.tracks import Session


def encode_session(session: Session) -> bytes:
    """Write a session as indented JSON."""
    content = msgspec.to_builtins(session)
    del content["folder"]
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def decode_session(content: bytes, *, folder: str | os.PathLike[str] = "") -> Session:
    """Read a session from JSON.

    Raises
    ------
    UsageError
        It is no session, or of another schema; the message names the place.
    """
    try:
        session = msgspec.json.decode(content, type=Session)
    except UsageError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if isinstance(error.__cause__, UsageError):
            raise error.__cause__ from None
        raise UsageError(f"not a session: {error}; expected NAME.session.json as `afx transfer` writes it") from None
    return msgspec.structs.replace(session, folder=str(folder))


def read_session(path: str | os.PathLike[str]) -> Session:
    """Read `NAME.session.json`.

    Raises
    ------
    UsageError
        It can't be read or is no session.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); expected NAME.session.json") from None
    try:
        return decode_session(content, folder=path.resolve().parent)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def write_session(session: Session, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write `NAME.session.json` beside its place and rename it there; clips' paths become relative to it.

    Raises
    ------
    OutputError
        It exists and `force` is false, or can't be written.
    """
    path = Path(path)
    if path.exists() and not force:
        raise OutputError(f"{path} exists; give --force to replace it, or another name")
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(encode_session(move_session(session, path.parent)))
        os.replace(beside, path)
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}); choose a folder you may write to") from None
    return path


def move_session(session: Session, folder: str | os.PathLike[str]) -> Session:
    """Make the clips' paths relative to another folder."""
    folder = Path(folder).resolve()
    tracks = []
    for track in session.tracks:
        clips = [
            msgspec.structs.replace(clip, path=relative_path(session.resolve(clip), folder)) for clip in track.clips
        ]
        tracks.append(msgspec.structs.replace(track, clips=tuple(clips)))
    return msgspec.structs.replace(session, tracks=tuple(tracks), folder=str(folder))


def relative_path(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """Name a file as seen from a folder, with forward slashes; absolute on another drive."""
    try:
        return Path(os.path.relpath(Path(path).resolve(), Path(folder).resolve())).as_posix()
    except ValueError:
        return Path(path).resolve().as_posix()
