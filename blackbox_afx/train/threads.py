"""How many threads a small network trains fastest with, and what to do when that changes.

On a machine that does other work, threads wait for each other and one alone is several times faster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import joblib
import numpy as np
import torch

MOST = 4
"""Threads that small networks are tried with at the most."""
LOOKED_AT, AGAIN = 4, 50
"""Steps that tell how long one takes, and steps until one thread is tried again."""
CLEARLY = 0.9
"""One thread has to take at most so much of the time that several take."""


def fastest_threads(seconds: Callable[[], float], several: int | None = None) -> tuple[int, float]:
    """Time a step with one thread and with several, and leave torch with the number that was faster.

    Parameters
    ----------
    seconds : callable
        Takes a step, and says how long it took.
    several : int, optional
        Threads to compare with one; by default one a core, four at the most.

    Returns
    -------
    int
        Threads.
    float
        Seconds of a step with so many.
    """
    times: dict[int, float] = {}
    for threads in sorted({1, several or min(MOST, joblib.cpu_count())}):
        torch.set_num_threads(threads)
        times[threads] = seconds()
    best = min(times, key=times.__getitem__)
    torch.set_num_threads(best)
    return best, times[best]


class ThreadGuard:
    """Let a stage that is late go on with one thread, if one is clearly faster than the several that were planned.

    A stage that keeps to its plan is never touched, so that it stays reproducible to the bit.

    Parameters
    ----------
    device : torch.device
        What trains; only the CPU trains with threads.
    """

    def __init__(self, device: torch.device) -> None:
        self._planned = torch.get_num_threads()
        self._watching = self._planned > 1 and device.type == "cpu"
        self._recent: deque[float] = deque(maxlen=LOOKED_AT)
        self._with_several: float | None = None
        self._wait = 0

    def took(self, seconds: float, late: bool) -> None:
        """Tell how long a step took, and whether the stage is late; may change torch's number of threads."""
        if not self._watching:
            return
        self._recent.append(seconds)
        self._wait -= 1
        if self._wait > 0 or len(self._recent) < LOOKED_AT:
            return
        typical = float(np.median(self._recent))
        if self._with_several is None:
            if late:
                self._with_several = typical
                self._recent.clear()
                torch.set_num_threads(1)
        elif typical < CLEARLY * self._with_several:
            self._watching = False
        else:
            # It was late for another reason; what is true now need not stay so.
            torch.set_num_threads(self._planned)
            self._with_several, self._wait = None, AGAIN
            self._recent.clear()

    def close(self) -> None:
        """Let what comes after the stage train as it was planned."""
        torch.set_num_threads(self._planned)
