"""Search where impulses lead first; what they can't tell is left to prediction from renders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blackbox_afx.transfer.objective import Objective
from blackbox_afx.transfer.surrogate_search import SCREENED, SurrogateSearch

if TYPE_CHECKING:
    from blackbox_afx.transfer.foretold import Foretold
    from blackbox_afx.transfer.surrogate import KnownGain

STEPS, IDLE, PAYS = 8, 2, 0.03
"""The most steps that impulses lead, how many of them may go by without a gain, and what share counts as one."""
TRUST, SHRINK = 0.5, 0.4
"""How far a control may go in the first step, and how much less after one that gained nothing."""
ANCHORS, MOVED = 3, 0.02
"""How often tables are measured at the most, and how far the best setting must have moved for it."""
SPREAD, SMALL = 8, 0.4
"""Settings spread around the best after those steps, and how much less controls move whose tables tell something."""


class GuidedSearch(SurrogateSearch):
    """Begin where impulses lead, and predict what they leave.

    The first settings, one after another, are those that the tables foretell to be best, within a distance that shrinks
    where they promised too much. Tables are measured anew where the best setting has moved on. Then other settings are
    tried around it, far where the tables are flat, near where they know, and the rest is `SurrogateSearch`.
    """

    def __init__(
        self, objective: Objective, *, seed: int = 0, reach: float = 1.0, known: KnownGain | None = None
    ) -> None:
        super().__init__(objective, seed=seed, reach=reach, known=known)
        self._anchors, self._steps, self._idle, self._trust = 0, 0, 0, min(TRUST, reach)
        self._spread_out = False

    def ask(self, most: int) -> np.ndarray:
        """Give the start, then guided steps, then a spread, then what is predicted to be best."""
        told = self._surrogate.foretold is not None
        if not len(self._asked):
            chosen = self.objective.start[None]
        elif told and self._steps < STEPS and self._idle < IDLE:
            self._steps += 1
            self._surrogate.fit(self._seen, self._styles, 0)
            best = self._leader()
            ends = [self._descend(start, 1.0, self._trust) for start in (best, *self._flipped(best))]
            chosen = self._new(min(ends, key=lambda end: end[0])[1], self._asked, best)[None]
        elif not told and not self._spread_out:
            # No impulse tells anything here: begin as the other search does.
            self._spread_out = True
            chosen = self._spread(min(SCREENED, most))
        elif not self._spread_out:
            self._spread_out, self._stalled = True, 0
            chosen = self._around(self._leader(), self._radius(), min(SPREAD, most))
        else:
            return super().ask(most)
        self._asked = np.vstack([self._asked, chosen])
        return chosen

    def tell(self, points: np.ndarray, styles: np.ndarray) -> None:
        """Learn; where the best has moved on, want its tables."""
        before = self._best()
        super().tell(points, styles)
        after, foretold = self._best(), self._surrogate.foretold
        self.done = self.done and self._spread_out
        if not after < (1 - PAYS) * before:
            self._idle += 1
        if not after < before:
            self._trust *= SHRINK
        elif self._anchors < ANCHORS:
            # Where the first tables could not be measured, others can't be either.
            first = foretold is None and not self._anchors
            moved = foretold is not None and self._away(foretold.anchor) > MOVED
            self.wanted = self._leader() if first or moved else None

    def take(self, foretold: Foretold | None) -> None:
        """Take new tables; where they can't be measured, the earlier ones still hold."""
        self._anchors += 1
        self.wanted = None
        if foretold is not None:
            if self._surrogate.gain is not None:
                foretold.hold(self._surrogate.gain.control)
            self._surrogate.foretold = foretold

    def _radius(self) -> np.ndarray:
        """Say how far around the best each control is spread [P]: less where it is known what it does."""
        radius = np.full(len(self.objective.start), self.reach)
        if self._surrogate.led is not None:
            radius[self._surrogate.led.moving] *= SMALL
        if self._surrogate.gain is not None:
            radius[self._surrogate.gain.control] *= SMALL
        return radius

    def _away(self, anchor: np.ndarray) -> float:
        """Say how far the best has moved from an anchor in what tables are measured for."""
        away = np.abs(self._leader() - anchor)
        if self._surrogate.gain is not None:
            away[self._surrogate.gain.control] = 0.0
        return float(away.max(initial=0.0))

    def _leader(self) -> np.ndarray:
        return self._seen[int(np.argmin(self.objective.values(self._seen, self._styles)))]
