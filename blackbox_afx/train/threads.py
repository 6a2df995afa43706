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
"""More threads than this never trained networks of this size faster."""
LOOKED_AT = 4
"""Steps that tell how long one takes."""


def fastest_threads(seconds: Callable[[], float]) -> tuple[int, float]:
    """Time a step with one thread and with several, and leave torch with the number that was faster.

    Parameters
    ----------
    seconds : callable
        Takes a step, and says how long it took.

    Returns
    -------
    int
        Threads.
    float
        Seconds of a step with so many.
    """
    times: dict[int, float] = {}
    for threads in sorted({1, min(MOST, joblib.cpu_count())}):
        torch.set_num_threads(threads)
        times[threads] = seconds()
    best = min(times, key=times.__getitem__)
    torch.set_num_threads(best)
    return best, times[best]


class ThreadGuard:
    """Let a stage that is late go on with one thread, if one is faster than the several that were planned.

    A stage that keeps to its plan is never touched, so that it stays reproducible to the bit.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=LOOKED_AT)
        self._several: tuple[int, float] | None = None
        self._settled = False

    def took(self, seconds: float, late: bool) -> None:
        """Tell how long a step took, and whether the stage is late; may change torch's number of threads."""
        self._recent.append(seconds)
        if self._settled or len(self._recent) < LOOKED_AT:
            return
        typical = float(np.median(self._recent))
        if self._several is not None:
            threads, before = self._several
            if typical >= before:
                torch.set_num_threads(threads)
            self._settled = True
        elif late and torch.get_num_threads() > 1:
            self._several = torch.get_num_threads(), typical
            self._recent.clear()
            torch.set_num_threads(1)
