"""All that a farm knows about one backend, loky: who its workers are, how they die, how they are stopped.

Other joblib backends work without recovery, time-outs and recycling.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import joblib
import psutil
from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError

WORKER_LOST: tuple[type[BaseException], ...] = (TerminatedWorkerError, BrokenProcessPool)
"""What a run raises when a worker died."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def active_backend() -> tuple[Any, int | None]:
    """The joblib backend that processes are asked of, and the worker count set with it, if any."""
    active: tuple[Any, Any] = joblib.parallel.get_active_backend(prefer="processes")
    return active


def recovers(backend: Any) -> bool:
    """Whether a backend notices a dead worker and starts another."""
    return type(backend).__name__ == "LokyBackend"


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


def stop_workers() -> None:
    """End all workers; the next run starts new ones."""
    from joblib.externals.loky import reusable_executor

    executor = reusable_executor._executor
    if executor is not None:
        executor.terminate(kill_workers=True)


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Let workers that start meanwhile inherit single-threaded numerics; what is loaded here stays as it is."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
