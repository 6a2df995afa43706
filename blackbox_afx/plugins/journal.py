"""Results on disk as they come, and which job is running: what is left of a worker that died.

Conventions: a chunk of jobs has two files. ``N.mark`` is one fixed record (job index, point, start in seconds of the
machine-wide monotonic clock, process id) written over at each start. ``N.results`` is a row of frames: job index and
length, then the pickled outcome. Both only live in this machine's memory where it has a ``/dev/shm``.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shutil
import struct
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

RECORD = struct.Struct("<qqdq")
FRAME = struct.Struct("<qq")
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
    """Which job a worker is at."""

    index: int
    point: int
    started: float
    pid: int


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
        self._current = (-1, -1, 0.0)

    def start(self, index: int) -> None:
        """Mark a job as running."""
        self._current = (index, -1, time.monotonic())
        self._write()

    def at(self, point: int) -> None:
        """Mark the point of the running job."""
        self._current = (self._current[0], point, self._current[2])
        self._write()

    def _write(self) -> None:
        os.lseek(self._mark, 0, os.SEEK_SET)
        os.write(self._mark, RECORD.pack(*self._current, os.getpid()))

    def done(self, index: int, outcome: Outcome) -> None:
        """Append a job's outcome, whole or not at all.

        Raises
        ------
        OSError
            The disk is full.
        Exception
            The value does not pickle.
        """
        content = pickle.dumps(outcome, protocol=5)
        frame = memoryview(FRAME.pack(index, len(content)) + content)
        before = self._results.tell()
        try:
            while frame:
                # A raw file may take less than it is given, and says so only here.
                frame = frame[self._results.write(frame) or 0 :]
        except OSError:
            # What follows half a frame could not be read.
            self._results.truncate(before)
            self._results.seek(before)
            raise

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
    with open(path, "rb") as file:
        while len(head := file.read(FRAME.size)) == FRAME.size:
            index, length = FRAME.unpack(head)
            content = file.read(length)
            if len(content) < length:
                break
            try:
                found[index] = pickle.loads(content)
            except Exception as error:  # whatever its class raises
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                found[index] = Outcome(kind="refused", message=f"the result can't be read: {reason}")
    return found


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
