"""Search by evolution; the yardstick of the other searches, and for objectives that nothing predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blackbox_afx.transfer.objective import Objective

if TYPE_CHECKING:
    from blackbox_afx.transfer.foretold import Foretold
    from blackbox_afx.transfer.surrogate import KnownGain

GENERATION, SIGMA = 32, 0.1


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
        self.wanted: np.ndarray | None = None
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

    def take(self, foretold: Foretold | None) -> None:
        """Nothing is asked for."""
