"""The worker's side of a farm: caches, journalling, and keeping native code's noise and crashes apart.

Conventions: torch is never imported here. Plugins load on the worker's main thread, once, and stay loaded.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections import OrderedDict
from typing import Any

import msgspec
import numpy as np
import psutil

from blackbox_afx.errors import AfxError, AudioError, FarmError, PluginError, UsageError
from blackbox_afx.plugins.chain import Chain, ChainSpec
from blackbox_afx.plugins.jobs import AudioRef, Job
from blackbox_afx.plugins.journal import Outcome, Writer

CHAINS = 8
"""Chains that stay loaded in a worker."""
AUDIO_BYTES = 96 << 20
"""Audio that stays in a worker's memory; well below the growth at which workers are replaced."""
PARENT_CHECK_S = 1.0
NOT_SOUND = re.compile(r" gave (NaN|samples of)")
"""How the hosts word that a plugin's output is not sound (`blocks.check_output`)."""

# Set once in each worker process.
_worker: Worker | None = None
_had_torch = False
# Chains are not thread-safe: each thread of a process that is not ours has its own.
_in_thread = threading.local()


class Chunk(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Jobs that one worker does in a row.

    Parameters
    ----------
    number : int
    folder : str
        Of the journal; empty for none.
    indices : tuple of int
        Of the jobs, as the farm counts them.
    jobs : tuple of Job
    """

    number: int
    folder: str
    indices: tuple[int, ...]
    jobs: tuple[Any, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a worker says about a chunk that it got through.

    Parameters
    ----------
    number : int
    results : dict of int to Outcome, or None
        None where they are in the journal.
    pid, rss : int
        Process, and the bytes it holds.
    started, seconds : float
        When it began, on the machine-wide monotonic clock, and how long the jobs took.
    """

    number: int
    results: dict[int, Outcome] | None
    pid: int
    rss: int
    started: float
    seconds: float


class Worker:
    """Hold what jobs share: loaded chains and audio.

    Parameters
    ----------
    log : str, optional
        File for notes; this process's stderr by default, which is the log in a process that a farm has prepared.
    """

    def __init__(self, log: str | None = None) -> None:
        self._log = log
        self._chains: OrderedDict[str, Chain] = OrderedDict()
        self._audio: OrderedDict[AudioRef, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._writer: Writer | None = None
        self._process = psutil.Process()
        self.point = -1

    def chain(self, spec: ChainSpec) -> Chain:
        """Load a chain, or give the one that is loaded already."""
        key = spec.fingerprint()
        if key in self._chains:
            self._chains.move_to_end(key)
            return self._chains[key]
        with self._writer.loading() if self._writer is not None else contextlib.nullcontext():
            while len(self._chains) >= CHAINS:
                self._chains.popitem(last=False)[1].close()
            self._chains[key] = chain = spec.open()
        return chain

    def forget(self, spec: ChainSpec) -> None:
        """Unload a chain, so that the next job gets a fresh one."""
        chain = self._chains.pop(spec.fingerprint(), None)
        if chain is not None:
            chain.close()

    def audio(self, source: np.ndarray | AudioRef) -> np.ndarray:
        """Give audio as float32 [channels, samples]; do not write to it."""
        if not isinstance(source, AudioRef):
            # A plain array even where joblib sent a memory map, whose pages may vanish with the sender's folder.
            return np.array(source, np.float32, order="C") if isinstance(source, np.memmap) else source
        if source in self._audio:
            self._audio.move_to_end(source)
            return self._audio[source]
        audio = source.read()
        self._audio[source] = audio
        self._bytes += audio.nbytes
        while self._bytes > AUDIO_BYTES and len(self._audio) > 1:
            self._bytes -= self._audio.popitem(last=False)[1].nbytes
        return audio

    def at(self, point: int) -> None:
        """Say which point of a job comes next, so that a crash can be blamed on it."""
        self.point = point
        if self._writer is not None:
            self._writer.at(point)

    def note(self, text: str) -> None:
        """Write a line to the log of native noise."""
        with contextlib.suppress(OSError):
            if self._log is None:
                os.write(2, f"{text}\n".encode())
                return
            with open(self._log, "ab") as file:
                file.write(f"{text}\n".encode())

    def close(self) -> None:
        """Unload everything."""
        while self._chains:
            self._chains.popitem()[1].close()
        self._audio.clear()
        self._bytes = 0

    def run(self, job: Job) -> Outcome:
        """Do a job; a plugin that failed is loaded afresh and tried once more."""
        outcome = self._attempt(job)
        if outcome.kind and outcome.kind != "refused" and job.spec is not None:
            self.forget(job.spec)
            outcome = self._attempt(job)
            if outcome.kind:
                self.forget(job.spec)
        return outcome

    def _attempt(self, job: Job) -> Outcome:
        self.point = -1
        try:
            value = job.run(self)
            flaw = job.flaw(value)
        except (AudioError, UsageError) as error:
            # The request is at fault, not the plugin: no second try, no quarantine.
            return Outcome(kind="refused", message=str(error))
        except Exception as error:
            self.note(traceback.format_exc())
            # An error of this package says what it is; a stranger's is told by its class.
            named = str(error) if isinstance(error, AfxError) else f"{type(error).__name__}: {error}"
            message = named.splitlines()[0]
            kind = "nan" if isinstance(error, PluginError) and NOT_SOUND.search(message) else "exception"
            return Outcome(kind=kind, message=message, point=self.point)
        return Outcome(kind="nan", message=flaw, point=self.point) if flaw else Outcome(value=value)

    def run_chunk(self, chunk: Chunk) -> Report:
        """Do a chunk's jobs and journal them; where the journal can't be written, results travel in the report."""
        started = time.monotonic()
        try:
            self._writer = Writer(chunk.folder, chunk.number) if chunk.folder else None
        except OSError:
            self._writer = None
        inline: dict[int, Outcome] | None = {} if self._writer is None else None
        for index, job in zip(chunk.indices, chunk.jobs, strict=True):
            if self._writer is not None:
                self._writer.start(index)
            outcome = self.run(job)
            if self._writer is not None:
                try:
                    self._writer.done(index, outcome)
                    continue
                except OSError:  # the disk is full
                    inline = {} if inline is None else inline
                except Exception as error:  # the value does not pickle
                    message = f"the result can't be sent: {error}".splitlines()[0]
                    self._writer.done(index, Outcome(kind="refused", message=message))
                    continue
            assert inline is not None
            inline[index] = outcome
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        rss = self._process.memory_info().rss
        seconds = time.monotonic() - started
        return Report(number=chunk.number, results=inline, pid=os.getpid(), rss=rss, started=started, seconds=seconds)


def start_worker(log: str, parent: int) -> None:
    """Prepare a worker process; called before its first job, harmless afterwards.

    Parameters
    ----------
    log : str
        File that native code's stderr goes to.
    parent : int
        Process id of the farm.
    """
    global _worker, _had_torch
    if _worker is not None or os.getpid() == parent:
        return
    _worker = Worker()
    # A backend that forks hands down all that the farm's process has imported.
    _had_torch = "torch" in sys.modules
    with contextlib.suppress(OSError, ValueError):
        # Python's own messages keep the real stderr, native code's go to the log.
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 2)
        os.close(descriptor)
    # By number, so that it stays with the log: where a segmentation fault happened is noise, too.
    faulthandler.enable(file=2)
    os.environ.pop("DISPLAY", None)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    with contextlib.suppress(ValueError):
        # Ctrl-C reaches the whole process group; the farm decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(parent,), name="parent-watch", daemon=True).start()


def _die_with(parent: int) -> None:
    """Leave once the farm's process is gone, however it went."""
    try:
        process = psutil.Process(parent)
    except psutil.NoSuchProcess:
        # On another machine the farm's id means nothing.
        return
    if os.getppid() != parent:
        return
    while process.is_running() and os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)


def run_chunk(chunk: Chunk, log: str, parent: int) -> Report:
    """Do a chunk in whatever process this is; the function that a farm hands to joblib.

    Raises
    ------
    FarmError
        A job's module brought torch into the worker.
    """
    if os.getpid() != parent and threading.current_thread() is not threading.main_thread():
        return _run_in_thread(chunk, log)
    start_worker(log, parent)
    if _worker is None:
        worker = Worker()
        try:
            return worker.run_chunk(chunk)
        finally:
            worker.close()
    # Before: the jobs' modules were imported when the chunk was unpickled. After: a job may import by itself.
    _refuse_torch(chunk)
    report = _worker.run_chunk(chunk)
    _refuse_torch(chunk)
    return report


def _refuse_torch(chunk: Chunk) -> None:
    if "torch" in sys.modules and not _had_torch:
        names = sorted({getattr(getattr(job, "function", job), "__module__", "?") for job in chunk.jobs})
        raise FarmError(
            f"torch was imported in a render worker by one of {', '.join(names)}; "
            "move the function to a module that does not import torch"
        )


def load_chain(worker: Worker, spec: ChainSpec) -> None:
    """Load a chain, which stays loaded for the jobs that follow."""
    worker.chain(spec)


def _run_in_thread(chunk: Chunk, log: str) -> Report:
    """Do a chunk in a process that is not ours to prepare, such as dask's, on one of its threads."""
    if any(job.spec is not None and not job.spec.trusted for job in chunk.jobs):
        from blackbox_afx.plugins.farm_subprocess import run_aside

        return run_aside(chunk, log)
    worker = getattr(_in_thread, "worker", None)
    if worker is None:
        worker = _in_thread.worker = Worker(log)
    return worker.run_chunk(chunk)
