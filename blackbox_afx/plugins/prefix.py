"""Share the leading part of a chain between renders that set it alike.

Conventions: a *prefix* is the first k plugins with given raw values; what is kept is the audio that comes out of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np


class PrefixCache:
    """Remember what leading plugins gave, for one input.

    Parameters
    ----------
    slices : sequence of slice
        Which columns of a raw vector belong to each plugin.
    base : float64 [controls], optional
        Raw values whose prefixes are never dropped: the point that others are compared with.
    keep : int, optional
        How many other prefixes are kept; those of two points by default.
    """

    def __init__(self, slices: Sequence[slice], base: np.ndarray | None = None, keep: int | None = None) -> None:
        self.slices = tuple(slices)
        self.keep = 2 * len(self.slices) if keep is None else keep
        self.pinned = set() if base is None else {self._key(base, k + 1) for k in range(len(self.slices))}
        self.kept: OrderedDict[bytes, np.ndarray | None] = OrderedDict()

    def _key(self, raw: np.ndarray, plugins: int) -> bytes:
        return plugins.to_bytes(2, "little") + raw[: self.slices[plugins - 1].stop].tobytes()

    def run(
        self,
        audio: np.ndarray | None,
        raw: np.ndarray,
        step: Callable[[int, np.ndarray | None], np.ndarray | None],
        plugins: int | None = None,
    ) -> np.ndarray | None:
        """Render what is not known yet.

        Parameters
        ----------
        audio : float32 [channels, samples] or None
            Input of the first plugin; the same in every call.
        raw : float64 [controls]
        step : callable
            Renders plugin k on its input.
        plugins : int, optional
            How many of them, from the first; all by default.

        Returns
        -------
        float32 [channels, samples] or None
            What the last of them gave; do not write to it.
        """
        raw = np.ascontiguousarray(raw, np.float64)
        last = first = len(self.slices) if plugins is None else plugins
        while first and (key := self._key(raw, first)) not in self.kept:
            first -= 1
        if first:
            audio = self.kept[key]
            self.kept.move_to_end(key)
        for k in range(first, last):
            audio = step(k, audio)
            self.kept[self._key(raw, k + 1)] = audio
            self._trim()
        return audio

    def _trim(self) -> None:
        loose = [key for key in self.kept if key not in self.pinned]
        for key in loose[: max(0, len(loose) - self.keep)]:
            del self.kept[key]
