"""Results on disk as they come, and which job is running: what is left of a worker that died.

Conventions: a chunk of jobs has two files. ``N.mark`` is one fixed record (job index, point, start in seconds of the
machine-wide monotonic clock, process id, whether it loads) written over at each start. ``N.results`` is a row of
frames: job index and lengths, then the pickled outcome and, aligned, the bytes of its arrays. Large frames begin at a
page, so that they can be mapped instead of read. Both files only live in this machine's memory where it has a
``/dev/shm``.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

RECORD = struct.Struct("<qqdqq")
FRAME = struct.Struct("<qqq")
ALIGNED = 64
"""Arrays begin at multiples of so many bytes, as those of new arrays do at the least."""
MAPPED = 64 << 10 if sys.platform != "win32" else sys.maxsize
"""Bytes from which a frame is mapped: a mapped file can be deleted, but on Windows."""
PREFIX = "afx-farm-"
ROOM = 1 << 30
"""Bytes that must be free in memory's file system for journals to go there."""


class Outcome(NamedTuple):
    """How a job ended in the worker; `kind` is empty where it gave a value."""

    value: Any = None
    kind: str = ""
    message: str = ""
    point: int = -1


class Mark(NamedTuple):
    """Which job a worker is at, since when, and whether it is loading plugins for it."""

    index: int
    point: int
    started: float
    pid: int
    loading: int = 0


class Writer:
    """Write one chunk's journal, in the worker.

    Parameters
    ----------
    folder : str
    number : int
        Of the chunk.

    Raises
    ------
    OSError
        The folder is not there: the worker is on another machine.
    """

    def __init__(self, folder: str, number: int) -> None:
        base = os.path.join(folder, str(number))
        self._mark = os.open(base + ".mark", os.O_WRONLY | os.O_CREAT, 0o600)
        # Unbuffered: what was written outlives the process without a flush.
        self._results = io.FileIO(base + ".results", "wb")
        self._current = Mark(-1, -1, 0.0, os.getpid())

    def start(self, index: int) -> None:
        """Mark a job as running."""
        self._write(Mark(index, -1, time.monotonic(), self._current.pid))

    def at(self, point: int) -> None:
        """Mark the point of the running job."""
        self._write(self._current._replace(point=point))

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Mark the running job as loading; what it does afterwards is timed anew."""
        self._write(self._current._replace(started=time.monotonic(), loading=1))
        try:
            yield
        finally:
            self._write(self._current._replace(started=time.monotonic(), loading=0))

    def _write(self, mark: Mark) -> None:
        self._current = mark
        os.lseek(self._mark, 0, os.SEEK_SET)
        os.write(self._mark, RECORD.pack(*mark))

    def done(self, index: int, outcome: Outcome) -> None:
        """Append a job's outcome, whole or not at all.

        Raises
        ------
        OSError
            The disk is full.
        Exception
            The value does not pickle.
        """
        arrays: list[pickle.PickleBuffer] = []
        content = pickle.dumps(outcome, protocol=5, buffer_callback=arrays.append)
        parts = [content, *(array.raw() for array in arrays)]
        room = sum(_room(len(part)) for part in parts)
        head = FRAME.pack(index, len(parts), room) + struct.pack(f"<{len(parts)}q", *map(len, parts))
        before = self._results.tell()
        try:
            self._put(head)
            self._put(bytes(_gap(before + len(head), room)))
            for part in parts:
                self._put(part)
                self._put(bytes(_room(len(part)) - len(part)))
        except OSError:
            # What follows half a frame could not be read.
            self._results.truncate(before)
            self._results.seek(before)
            raise

    def _put(self, part: bytes | memoryview) -> None:
        left = memoryview(part)
        while left:
            # A raw file may take less than it is given, and says so only here.
            left = left[self._results.write(left) or 0 :]

    def close(self) -> None:
        """Close both files."""
        os.close(self._mark)
        self._results.close()


def read_mark(folder: str | Path, number: int) -> Mark | None:
    """Read where a chunk is; None where it has not started."""
    try:
        with open(os.path.join(folder, f"{number}.mark"), "rb") as file:
            record = file.read(RECORD.size)
    except OSError:
        return None
    return Mark(*RECORD.unpack(record)) if len(record) == RECORD.size else None


def read_results(folder: str | Path, number: int) -> dict[int, Outcome]:
    """Read what a chunk has finished; a frame that was cut off by a crash is left out."""
    found: dict[int, Outcome] = {}
    path = os.path.join(folder, f"{number}.results")
    if not os.path.exists(path):
        return found
    with open(path, "rb", buffering=0) as file:
        while len(head := file.read(FRAME.size)) == FRAME.size:
            index, count, room = FRAME.unpack(head)
            lengths = file.read(8 * count)
            if len(lengths) < 8 * count:
                break
            place = file.tell()
            place += _gap(place, room)
            if place + room > os.fstat(file.fileno()).st_size:
                break
            body = _body(file, place, room)
            parts, start = [], 0
            for length in struct.unpack(f"<{count}q", lengths):
                parts.append(body[start : start + length])
                start += _room(length)
            try:
                found[index] = pickle.loads(parts[0], buffers=parts[1:])
            except Exception as error:  # whatever its class raises
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                found[index] = Outcome(kind="refused", message=f"the result can't be read: {reason}")
    return found


def _body(file: io.FileIO, place: int, room: int) -> memoryview:
    """Give a frame's bytes, of which its outcome's arrays are views."""
    if room >= MAPPED:
        file.seek(place + room)
        return memoryview(mmap.mmap(file.fileno(), room, access=mmap.ACCESS_COPY, offset=place))
    file.seek(place)
    body = memoryview(np.empty(room, np.uint8))
    read = 0
    while read < room and (more := file.readinto(body[read:])):
        read += more
    return body


def _gap(place: int, room: int) -> int:
    """How many bytes to leave free before a frame's body, so that it can be mapped."""
    return -place % mmap.ALLOCATIONGRANULARITY if room >= MAPPED else 0


def _room(length: int) -> int:
    return -(-length // ALIGNED) * ALIGNED


def drop(folder: str | Path, number: int) -> None:
    """Delete a chunk's journal."""
    for ending in (".mark", ".results"):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, f"{number}{ending}"))


def make_folder() -> str:
    """Make a folder for one farm's journals, and delete those of farms whose process is gone."""
    memory = "/dev/shm"
    roomy = os.path.isdir(memory) and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM
    parent = memory if roomy else tempfile.gettempdir()
    for stale in Path(parent).glob(PREFIX + "*"):
        owner = stale.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(stale, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent)
