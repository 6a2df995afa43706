"""A process of its own for jobs that a backend hands to a thread, as dask does: plugins load on a main thread only.

Conventions: requests and replies are pickles behind their length, 8 bytes, on the child's standard input and output.
The child journals as any worker does, so that a crash costs one job. It is kept for the thread's next chunk and ends
with the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any

import msgspec

from blackbox_afx.plugins import journal
from blackbox_afx.plugins.farm_worker import Chunk, Report, run_chunk, start_worker
from blackbox_afx.plugins.throwaway import child_environment, kill_group

LENGTH = struct.Struct("<q")

_mine = threading.local()


class Subprocess:
    """One child and the line to it.

    Parameters
    ----------
    log : str
        File that native code's stderr goes to.
    """

    def __init__(self, log: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "blackbox_afx.plugins.farm_subprocess", log],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            start_new_session=True,
        )

    def run(self, chunk: Chunk) -> Report | None:
        """Do a chunk; None where the child died of it, or died before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            _send(self._process.stdin, pickle.dumps(chunk, protocol=5))
            reply = _receive(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def close(self) -> None:
        """End the child and all it has started."""
        kill_group(self._process)
        for end in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if end is not None:
                    end.close()


def run_aside(chunk: Chunk, log: str) -> Report:
    """Do a chunk in this thread's child process, which a crashing plugin takes down alone.

    Parameters
    ----------
    chunk : Chunk
    log : str

    Returns
    -------
    Report
        With the results in it. A job that the child died in is a crash; the others are done by the next child.
    """
    results: dict[int, journal.Outcome] = {}
    report: Report | None = None
    seconds = 0.0
    left = chunk
    # The journal of another machine's farm is out of reach, so it has its own.
    with tempfile.TemporaryDirectory(prefix="afx-aside-", ignore_cleanup_errors=True) as folder:
        while left.indices:
            child = getattr(_mine, "child", None)
            if child is None:
                child = _mine.child = Subprocess(log)
            report = child.run(msgspec.structs.replace(left, folder=folder))
            found = journal.read_results(folder, chunk.number)
            results.update(found)
            if report is not None:
                results.update(report.results or {})
                seconds += report.seconds
                break
            child.close()
            _mine.child = None
            mark = journal.read_mark(folder, chunk.number)
            journal.drop(folder, chunk.number)
            # A child that dies before its first job is as little use the next time.
            culprit = mark.index if mark is not None and mark.index not in found else left.indices[len(found)]
            point = mark.point if mark is not None else -1
            results[culprit] = journal.Outcome(kind="crash", message="the worker process died", point=point)
            left = _without(left, set(results))
    if report is None:
        report = Report(number=chunk.number, results=None, pid=os.getpid(), rss=0, started=0.0, seconds=0.0)
    return msgspec.structs.replace(report, results=results, seconds=seconds)


def _without(chunk: Chunk, done: set[int]) -> Chunk:
    kept = [place for place, index in enumerate(chunk.indices) if index not in done]
    return msgspec.structs.replace(
        chunk,
        indices=tuple(chunk.indices[place] for place in kept),
        jobs=tuple(chunk.jobs[place] for place in kept),
    )


def _send(file: IO[bytes], content: bytes) -> None:
    file.write(LENGTH.pack(len(content)))
    file.write(content)
    file.flush()


def _receive(file: IO[bytes]) -> Any:
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError("the other end is gone")
    return pickle.loads(file.read(LENGTH.unpack(head)[0]))


def serve(log: str) -> None:
    """Do chunks until there are no more."""
    # A plugin may print; only the private copy reaches the other end.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    parent = os.getppid()
    start_worker(log, parent)
    while True:
        try:
            chunk = _receive(sys.stdin.buffer)
        except EOFError:
            break
        try:
            reply: Any = run_chunk(chunk, log, parent)
        except Exception as error:
            reply = error
        _send(out, pickle.dumps(reply, protocol=5))
    # Plugins' own destructors are where many of them crash.
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
