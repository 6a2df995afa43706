"""Workers of one farm on loky, joblib's default backend: how they start, how they die, how they are stopped.

Conventions: each farm has an executor of its own, past joblib's `Parallel`, whose polling takes 10 ms a call; so two
farms in one process leave each other's workers alone, and both those of joblib. Chunks wait in loky's queue and each
worker takes the next one as it comes free. Other backends work without recovery, time-outs and recycling.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import joblib
import psutil
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool, ShutdownExecutorError, TerminatedWorkerError

from blackbox_afx.errors import FarmError
from blackbox_afx.plugins.farm_send import Parcels, run_parcel
from blackbox_afx.plugins.farm_worker import Chunk, Report, start_worker

WORKER_LOST: tuple[type[BaseException], ...] = (TerminatedWorkerError, BrokenProcessPool, ShutdownExecutorError)
"""What a run raises when a worker died."""

AHEAD = 3
"""Chunks a worker that are on their way at a time."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def active_backend() -> tuple[Any, int | None]:
    """The joblib backend that processes are asked of, and the worker count set with it, if any."""
    active: tuple[Any, Any] = joblib.parallel.get_active_backend(prefer="processes")
    return active


def recovers(backend: Any) -> bool:
    """Whether a backend notices a dead worker and starts another: loky, where this process may have children."""
    return type(backend).__name__ == "LokyBackend" and backend.effective_n_jobs(2) > 1


def kill(pid: int) -> bool:
    """Kill a worker by its id; only a process that this one started."""
    try:
        process = psutil.Process(pid)
        if process.ppid() != os.getpid():
            return False
        process.kill()
    except psutil.Error:
        return False
    return True


class Pool:
    """The worker processes of one farm; they start with the first chunk and stay until stopped.

    Parameters
    ----------
    workers : int
    log : str
        File that native code's stderr goes to.
    folder : str
        Where large arrays lie on their way to the workers.
    """

    def __init__(self, workers: int, log: str, folder: str) -> None:
        self.workers = workers
        self._log = log
        self._folder = folder
        self._executor: ProcessPoolExecutor | None = None
        self._closed = False
        self._lock = threading.Lock()

    def run(self, chunks: list[Chunk], patience_s: float, handed_out: Callable[[Chunk], None]) -> Iterator[Report]:
        """Do chunks and yield their reports as they come.

        Parameters
        ----------
        chunks : list of Chunk
        patience_s : float
            Seconds without any report after which the workers are given up.
        handed_out : callable
            Told of each chunk before a worker can have it.

        Raises
        ------
        TimeoutError
            No report came in time.
        TerminatedWorkerError, BrokenProcessPool, ShutdownExecutorError
            A worker died, or was stopped. All are gone then, so that what they journalled stays as it is.
        FarmError
            The pool is closed.
        """
        executor = self._start()
        done: queue.SimpleQueue[Future[Report]] = queue.SimpleQueue()
        parcels = Parcels(self._folder)
        waiting = chunks[::-1]
        on_the_way = 0
        finished = False
        try:
            while waiting or on_the_way:
                # Enough for all workers, and little enough that a round's audio need not be in memory twice.
                while waiting and on_the_way < AHEAD * self.workers:
                    chunk = waiting.pop()
                    handed_out(chunk)
                    task = executor.submit(run_parcel, parcels.pack(chunk), self._log, os.getpid())
                    task.add_done_callback(done.put)
                    on_the_way += 1
                try:
                    report = done.get(timeout=patience_s).result()
                except queue.Empty:
                    raise TimeoutError(f"no worker answered within {patience_s:.0f} s") from None
                on_the_way -= 1
                parcels.arrived(report.number)
                yield report
            finished = True
        finally:
            # Whatever it was that ended this early, nothing of it may run on beside the next round.
            if not finished:
                self.stop()
            parcels.close()

    def _start(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise FarmError("this farm is closed; make another")
            if self._executor is None:
                # No time-out: workers that idle through a long training step keep their plugins.
                self._executor = ProcessPoolExecutor(
                    self.workers,
                    timeout=None,
                    initializer=start_worker,
                    initargs=(self._log, os.getpid()),
                    env=ONE_THREAD,
                )
            return self._executor

    def pids(self) -> set[int]:
        """Process ids of the workers that run now."""
        executor = self._executor
        return set() if executor is None else set(executor._processes)

    def stop(self) -> None:
        """End all workers, whatever they are at; the next run starts new ones."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(kill_workers=True)

    def close(self) -> None:
        """End all workers for good."""
        self._closed = True
        self.stop()
