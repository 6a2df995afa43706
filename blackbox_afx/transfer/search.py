"""Search the settings of a chain for a style, a few renders at a time: ask for settings, tell how they sounded.

Conventions: P controls, K style numbers (`blackbox_afx.features.style`); positions 0 to 1, stepped controls on their
steps. What is minimised is the style distance plus a pull towards the start,
``sum(pull * (position - start)^2)``, which holds controls that nobody hears; the start itself is pulled by nothing, so
that the best seen is never farther from the style than the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from blackbox_afx.errors import UsageError, nearest
from blackbox_afx.features.style import style_distance, style_of_gain, style_weights
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.control import ControlSpace

if TYPE_CHECKING:
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
GENERATION, SIGMA = 32, 0.1


class Search(Protocol):
    """Ask for settings, tell what they sounded like."""

    done: bool

    def ask(self, most: int) -> np.ndarray:
        """Give the next settings, float64 [M, P], at most so many."""
        ...

    def tell(self, points: np.ndarray, styles: np.ndarray) -> None:
        """Take their styles, float64 [M, K]; NaN rows failed."""
        ...


class Objective:
    """Weigh the distance to a style against leaving the start.

    Parameters
    ----------
    space : ControlSpace
    target : float64 [K]
        Style to come near.
    start : float64 [P]
        Positions.
    pull : float or float64 [P]
        Towards the start, for each control.
    """

    def __init__(self, space: ControlSpace, target: np.ndarray, start: np.ndarray, pull: float | np.ndarray) -> None:
        self.space, self.target = space, np.asarray(target, np.float64)
        self.start = space.snap(np.asarray(start, np.float64))
        self.pull = np.broadcast_to(np.asarray(pull, np.float64), self.start.shape)

    def distances(self, styles: np.ndarray) -> np.ndarray:
        """Give the style distances [M]; infinite where a render failed."""
        found = style_distance(styles, self.target)
        return np.where(np.isfinite(found), found, np.inf)

    def values(self, points: np.ndarray, styles: np.ndarray) -> np.ndarray:
        """Give what is minimised [M]."""
        return self.distances(styles) + (points - self.start) ** 2 @ self.pull


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

    def _best(self) -> float:
        return float(self.objective.values(self._seen, self._styles).min(initial=np.inf))

    def _spread(self, count: int) -> np.ndarray:
        from scipy.stats import qmc

        start = self.objective.start
        # A power of two keeps the sequence's balance, of which the first ones are taken.
        unit = qmc.Sobol(len(start), rng=self._rng).random(1 << max(count - 1, 0).bit_length())[:count]
        low, high = np.maximum(start - self.reach, 0.0), np.minimum(start + self.reach, 1.0)
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
            point = min(ends, key=lambda end: end[0])[1]
            if np.abs(taken - point).max(axis=1).min() < 1e-3:
                nearby = order[0] + self._rng.normal(0.0, 0.03, len(point))
                point = self.objective.space.snap(np.clip(nearby, 0.0, 1.0))
            taken = np.vstack([taken, point])
            chosen.append(point)
        return np.stack(chosen)

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

    def _descend(self, start: np.ndarray, caution: float) -> tuple[float, np.ndarray]:
        """Follow the prediction downhill in the continuous controls; give its value and the setting."""
        from scipy import optimize

        objective, weights = self.objective, style_weights()
        free = objective.space.continuous

        def value(point: np.ndarray) -> tuple[float, np.ndarray]:
            guess = self._surrogate.predict(point)
            gap = guess.mean - objective.target
            # The root mean square gap to expect counts: unknown settings look worse than they may be.
            root = np.sqrt(1.0 + gap * gap + caution * guess.variance)
            away = point - objective.start
            slope = guess.pull_back(weights * gap / root) + 0.5 * caution * guess.slope * np.sum(weights / root)
            return float((root - 1.0) @ weights + away**2 @ objective.pull), slope + 2.0 * objective.pull * away

        held = [(0.0, 1.0) if moves else (place, place) for moves, place in zip(free, start, strict=True)]
        if not free.any():
            return value(start)[0], start
        found = optimize.minimize(value, start, jac=True, method="L-BFGS-B", bounds=held, options={"maxiter": 30})
        return float(found.fun), objective.space.snap(found.x)


class EvolutionSearch:
    """CMA-ES: no prediction, many renders.

    Parameters
    ----------
    objective : Objective
    seed : int
    reach, known
        Not used.

    References
    ----------
    Hansen, Ostermeier, "Completely derandomized self-adaptation in evolution strategies", Evolutionary Computation
    9(2), 2001.
    """

    def __init__(
        self, objective: Objective, *, seed: int = 0, reach: float = 1.0, known: KnownGain | None = None
    ) -> None:
        import cma

        self.objective, self.done, self._first = objective, False, True
        options = {"bounds": [0, 1], "popsize": GENERATION, "seed": seed + 1, "verbose": -9}
        # The strategy wants two controls at the least; a second that does nothing harms nobody.
        spare = np.full(max(0, 2 - len(objective.start)), 0.5)
        self._strategy = cma.CMAEvolutionStrategy(np.append(objective.start, spare), SIGMA, options)
        self._points: list[np.ndarray] = []

    def ask(self, most: int) -> np.ndarray:
        """Give the start, then a generation a turn."""
        if self._first:
            return self.objective.start[None]
        self._points = self._strategy.ask()
        inside = np.array(self._points)[:most, : len(self.objective.start)]
        return self.objective.space.snap(inside)

    def tell(self, points: np.ndarray, styles: np.ndarray) -> None:
        """Select; a generation that was cut off ends the search, a failed setting counts as the worst."""
        if self._first:
            self._first = False
            return
        values = self.objective.values(points, styles)
        if len(values) < len(self._points):
            self.done = True
            return
        worst = float(values[np.isfinite(values)].max(initial=0.0))
        self._strategy.tell(self._points, np.where(np.isfinite(values), values, worst + 1.0).tolist())


METHODS = {"surrogate": SurrogateSearch, "cma": EvolutionSearch}


def known_gain(spec: ChainSpec) -> KnownGain | None:
    """Say which control of a chain is a plain gain at its end, and what it does to a style; None without one."""
    from blackbox_afx.transfer.surrogate import KnownGain

    found = spec.last_gain
    return None if found is None else KnownGain(found[0], found[1] * style_of_gain())


def make_search(
    method: str, objective: Objective, *, seed: int = 0, reach: float = 1.0, known: KnownGain | None = None
) -> Search:
    """Make a search by its method's name; `known` is what `known_gain` says of the chain.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    if method not in METHODS:
        raise UsageError(f"no method is called '{method}'; {nearest(method, list(METHODS))}")
    return METHODS[method](objective, seed=seed, reach=reach, known=known)
