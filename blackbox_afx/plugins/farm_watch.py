"""Notice jobs that run past their time limit, and kill their workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from blackbox_afx.plugins import farm_loky
from blackbox_afx.plugins.farm_worker import Chunk
from blackbox_afx.plugins.journal import read_mark

POLL_S = 0.05


class Watch:
    """Read the marks of chunks under way until stopped; killing a worker makes the run raise.

    Parameters
    ----------
    folder : str
        Of the journals.
    limit : callable
        Gives the seconds that a job, by index, may take.

    Attributes
    ----------
    active : dict of int to Chunk
        Chunks that were handed out and have not come back.
    hung : dict of int to float
        Jobs that were killed for, by index, and the seconds they had run.
    """

    def __init__(self, folder: str, limit: Callable[[int], float]) -> None:
        self.folder = folder
        self.limit = limit
        self.active: dict[int, Chunk] = {}
        self.hung: dict[int, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="farm-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        while not self._stopped.wait(POLL_S):
            for number in list(self.active):
                self._check(number)

    def _check(self, number: int) -> None:
        mark = read_mark(self.folder, number)
        if mark is None or mark.index < 0 or mark.index in self.hung:
            return
        ran = time.monotonic() - mark.started
        if ran <= self.limit(mark.index) or number not in self.active:
            return
        # Told before the kill: whoever sees the dead worker must know why.
        self.hung[mark.index] = ran
        if not farm_loky.kill(mark.pid):
            del self.hung[mark.index]
