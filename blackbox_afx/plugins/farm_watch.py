"""Notice jobs that run past their time limit, and kill their workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from blackbox_afx.plugins import farm_loky
from blackbox_afx.plugins.farm_worker import Chunk
from blackbox_afx.plugins.journal import Mark, read_mark

POLL_S = 0.05


class Watch:
    """Read the marks of chunks under way until stopped; killing a worker makes the run raise.

    Parameters
    ----------
    folder : str
        Of the journals.
    limit : callable
        Gives the seconds that a job, by its mark, may take, or its loading where that is what it is at.

    Attributes
    ----------
    active : dict of int to Chunk
        Chunks that were handed out and have not come back.
    hung : dict of int to str
        Jobs that were killed for, by index, and how long they had been at what.
    """

    def __init__(self, folder: str, limit: Callable[[Mark], float]) -> None:
        self.folder = folder
        self.limit = limit
        self.active: dict[int, Chunk] = {}
        self.hung: dict[int, str] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="farm-watch", daemon=True)

    def add(self, chunk: Chunk) -> None:
        """Watch a chunk from now on."""
        self.active[chunk.number] = chunk

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; no worker is killed afterwards."""
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
        if ran <= self.limit(mark) or number not in self.active:
            return
        # Told before the kill: whoever sees the dead worker must know why.
        self.hung[mark.index] = f"no answer after {ran:.1f} s{' of loading' if mark.loading else ''}, killed"
        if not farm_loky.kill(mark.pid):
            del self.hung[mark.index]
