"""Search by prediction: a few settings spread over the box, then those that a Gaussian process expects to be best.

Conventions as in `blackbox_afx.transfer.search`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blackbox_afx.transfer.objective import Objective

if TYPE_CHECKING:
    from blackbox_afx.transfer.foretold import Foretold
    from blackbox_afx.transfer.surrogate import KnownGain

SCREENED = 12
"""Settings spread over the box, beside the start, before anything is predicted."""
BATCH = 4
CAUTION = (1.0, 0.3, 2.0, 0.1)
"""How much the settings of a batch shun what is unknown, by turns."""
FLIPS = 4
"""Stepped controls whose other values are considered a turn."""
PATIENCE, LEAST_GAIN = 5, 0.01
"""Batches that may go by with less than this relative gain before the search stops."""


class SurrogateSearch:
    """Predict the style vector of every setting from those seen, and ask for the most promising.

    Parameters
    ----------
    objective : Objective
    seed : int
    reach : float, 0 to 1
        How far from the start the first settings are spread: 1 over the whole box.
    known : KnownGain, optional
        Of `known_gain`.
    """

    def __init__(
        self, objective: Objective, *, seed: int = 0, reach: float = 1.0, known: KnownGain | None = None
    ) -> None:
        from blackbox_afx.transfer.surrogate import Surrogate

        self.objective, self.reach, self.done = objective, reach, False
        self._rng = np.random.default_rng(seed)
        controls = len(objective.start)
        self._surrogate = Surrogate(controls, known)
        self._seen = np.zeros((0, controls))
        self._styles = np.zeros((0, len(objective.target)))
        self._asked = np.zeros((0, controls))
        self._stalled = 0
        self.wanted: np.ndarray | None = None

    def ask(self, most: int) -> np.ndarray:
        """Give the start and a spread of settings first, then those that are predicted to be best."""
        space = self.objective.space
        if not len(self._asked):
            chosen = np.vstack([self.objective.start, self._spread(min(SCREENED, most - 1))])
        elif not len(self._seen):
            chosen = space.snap(self._rng.random((min(BATCH, most), len(self.objective.start))))
        else:
            chosen = self._promising(min(BATCH, most))
        self._asked = np.vstack([self._asked, chosen])
        return chosen

    def tell(self, points: np.ndarray, styles: np.ndarray) -> None:
        """Learn from what was rendered."""
        before = self._best()
        fine = np.isfinite(styles).all(axis=1)
        self._seen = np.vstack([self._seen, points[fine]])
        self._styles = np.vstack([self._styles, styles[fine]])
        if np.isfinite(before):
            self._stalled = 0 if self._best() < (1 - LEAST_GAIN) * before else self._stalled + 1
        self.done = self._stalled >= PATIENCE

    def take(self, foretold: Foretold | None) -> None:
        """Nothing is asked for."""

    def _best(self) -> float:
        return float(self.objective.values(self._seen, self._styles).min(initial=np.inf))

    def _spread(self, count: int) -> np.ndarray:
        start = self.objective.start
        return self._around(start, np.full(len(start), self.reach), count)

    def _around(self, centre: np.ndarray, radius: np.ndarray, count: int) -> np.ndarray:
        """Spread settings evenly over a box, within the bounds."""
        from scipy.stats import qmc

        # A power of two keeps the sequence's balance, of which the first ones are taken.
        unit = qmc.Sobol(len(centre), rng=self._rng).random(1 << max(count - 1, 0).bit_length())[:count]
        low, high = np.maximum(centre - radius, 0.0), np.minimum(centre + radius, 1.0)
        return self.objective.space.snap(low + unit * (high - low))

    def _promising(self, count: int) -> np.ndarray:
        self._surrogate.fit(self._seen, self._styles)
        order = self._seen[np.argsort(self.objective.values(self._seen, self._styles))]
        taken = self._asked
        chosen = []
        for turn in range(count):
            caution = CAUTION[turn % len(CAUTION)]
            starts = [order[0], *self._flipped(order[0]), order[min(turn + 1, len(order) - 1)]]
            if turn:
                starts.append(self.objective.space.snap(self._rng.random(len(order[0]))))
            ends = [self._descend(start, caution) for start in starts]
            point = self._new(min(ends, key=lambda end: end[0])[1], taken, order[0])
            taken = np.vstack([taken, point])
            chosen.append(point)
        return np.stack(chosen)

    def _new(self, point: np.ndarray, taken: np.ndarray, best: np.ndarray) -> np.ndarray:
        """Give a point, or where it was taken already, another one near the best."""
        if np.abs(taken - point).max(axis=1).min() >= 1e-3:
            return point
        nearby = best + self._rng.normal(0.0, 0.03, len(point))
        return self.objective.space.snap(np.clip(nearby, 0.0, 1.0))

    def _flipped(self, point: np.ndarray) -> list[np.ndarray]:
        """Try other values of a few stepped controls."""
        space = self.objective.space
        stepped = np.flatnonzero(~space.continuous)
        points = []
        for control in self._rng.permutation(stepped)[:FLIPS]:
            choices = round(1.0 / float(space.resolution[control]))
            other = point.copy()
            now = round(float(point[control]) * choices)
            other[control] = ((now + self._rng.integers(1, choices + 1)) % (choices + 1)) / max(choices, 1)
            points.append(space.snap(other))
        return points

    def _descend(self, start: np.ndarray, caution: float, most: float = 1.0) -> tuple[float, np.ndarray]:
        """Follow the prediction downhill in the continuous controls, each by so much at the most.

        Returns its value and the setting.
        """
        from scipy import optimize

        objective, weights = self.objective, self.objective.weights
        free = objective.space.continuous

        def value(point: np.ndarray) -> tuple[float, np.ndarray]:
            guess = self._surrogate.predict(point)
            gap = guess.mean - objective.target
            # The root mean square gap to expect counts: unknown settings look worse than they may be.
            root = np.sqrt(1.0 + gap * gap + caution * guess.variance)
            away = point - objective.start
            slope = guess.pull_back(weights * gap / root) + 0.5 * caution * guess.slope * np.sum(weights / root)
            return float((root - 1.0) @ weights + away**2 @ objective.pull), slope + 2.0 * objective.pull * away

        reach = np.where(free, most, 0.0)
        held = list(zip(np.maximum(start - reach, 0.0), np.minimum(start + reach, 1.0), strict=True))
        if not free.any():
            return value(start)[0], start
        found = optimize.minimize(value, start, jac=True, method="L-BFGS-B", bounds=held, options={"maxiter": 30})
        return float(found.fun), objective.space.snap(found.x)
