"""Headers of many files, read once: a corpus of a hundred thousand would take minutes at every start.

Conventions: an index a folder, in the user's cache folder; an entry counts while the file's size and time of change are
what they were. Folders of few files have none, as reading their headers is quick.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from blackbox_afx.audio import AudioInfo, info
from blackbox_afx.errors import AudioError
from blackbox_afx.plugins.cache import cache_folder, keep

MIN_FILES = 200
THREADS = 8
_BATCH = 512


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, array_like=True):
    """What is remembered of a file: its state on the disk, and its header."""

    changed_ns: int
    size: int
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str


def index_path(folder: Path) -> Path:
    """Say where the index of a folder lies."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:20]
    return cache_folder() / "headers" / f"{digest}.msgpack"


def read_headers(
    folder: Path, paths: Sequence[str], progress: Callable[[int, int], None] = lambda done, total: None
) -> list[AudioInfo | AudioError]:
    """Read the headers of files, or what was remembered of them.

    Parameters
    ----------
    folder : Path
    paths : sequence of str
        Relative to it, with forward slashes.
    progress : callable
        Told how many files are done, of how many.

    Returns
    -------
    list of AudioInfo or AudioError
        In the order of `paths`: what can't be read, and why.
    """
    place = index_path(folder) if len(paths) >= MIN_FILES else None
    known: dict[str, Entry] = {}
    if place is not None and place.is_file():
        try:
            known = msgspec.msgpack.decode(place.read_bytes(), type=dict[str, Entry])
        except (OSError, msgspec.MsgspecError):
            known = {}
    fresh: dict[str, Entry] = {}

    def one(inside: str) -> AudioInfo | AudioError:
        path = folder / inside
        try:
            state = path.stat()
            entry = known.get(inside)
            if entry is not None and (entry.changed_ns, entry.size) == (state.st_mtime_ns, state.st_size):
                fresh[inside] = entry
                return _recall(path, entry)
            about = info(path)
            if about.frames == 0:
                raise AudioError(f"{path} holds no samples")
        except AudioError as error:
            return error
        except OSError:
            # Says why in words: no such file, no permission.
            try:
                return info(path)
            except AudioError as error:
                return error
        fresh[inside] = _remember(about, state.st_mtime_ns, state.st_size)
        return about

    found: list[AudioInfo | AudioError] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for at in range(0, len(paths), _BATCH):
            found += pool.map(one, paths[at : at + _BATCH])
            progress(len(found), len(paths))
    # What a filter left out this time is still known.
    merged = {**known, **fresh}
    if place is not None and merged != known:
        keep(place, msgspec.msgpack.encode(merged))
    return found


def _remember(about: AudioInfo, changed_ns: int, size: int) -> Entry:
    return Entry(
        changed_ns=changed_ns,
        size=size,
        sample_rate=about.sample_rate,
        channels=about.channels,
        frames=about.frames,
        format=about.format,
        subtype=about.subtype,
    )


def _recall(path: Path, entry: Entry) -> AudioInfo:
    return AudioInfo(
        path=path,
        sample_rate=entry.sample_rate,
        channels=entry.channels,
        frames=entry.frames,
        format=entry.format,
        subtype=entry.subtype,
    )
