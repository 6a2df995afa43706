"""What the farm's tests call in workers: work that is sound, and work that crashes, hangs, raises or gives NaN."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np


def work(worker, seed):
    return np.random.default_rng(seed).standard_normal((1, 1000)).astype(np.float32)


def segfault(worker):
    ctypes.string_at(0)


def hang(worker):
    time.sleep(1000)


def not_a_number(worker):
    return np.array([0.0, np.nan])


def raises(worker):
    raise ValueError("no such thing\nsecond line")


def sleep(worker, seconds):
    time.sleep(seconds)
    return os.getpid()


def modules(worker):
    import psutil

    return sorted(name for name in ("torch", "matplotlib", "pandas") if name in sys.modules), psutil.Process().ppid()


def environment(worker):
    os.write(2, b"native noise\n")
    return os.environ.get("DISPLAY"), os.environ.get("OMP_NUM_THREADS")


def crash_once(worker, flag):
    """Crash the first time only."""
    if not os.path.exists(flag):
        open(flag, "w").close()
        ctypes.string_at(0)
    return 1


def unpicklable(worker):
    return lambda: None


def load(worker, spec):
    worker.chain(spec)


def loaded(worker, spec, folder):
    """Say whether a chain was loaded before, once two workers have been asked."""
    Path(folder, str(os.getpid())).touch()
    until(lambda: len(os.listdir(folder)) == 2)
    return spec.fingerprint() in worker._chains


def until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for(worker, flag):
    until(lambda: os.path.exists(flag))
    return True


def lose_results(worker, folder):
    """Do as one who empties folders for temporary files."""
    for results in Path(folder).glob("*.results"):
        results.unlink()


class Unreadable:
    """Pickles, and can't be unpickled."""

    def __reduce__(self):
        return raises, (None,)


def unreadable(worker):
    return Unreadable()


def grow(worker, megabytes):
    globals().setdefault("_kept", []).append(np.ones(megabytes * 125_000))
    return os.getpid()


def import_torch(worker):
    sys.modules.setdefault("torch", sys)  # stands for the import, which takes seconds
    return 1
