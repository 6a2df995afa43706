"""What a search for a style minimises.

Conventions: P controls, K style numbers (`blackbox_afx.features.style`); positions 0 to 1, stepped controls on their
steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from blackbox_afx.features.style import style_distance, style_of, style_weights
from blackbox_afx.plugins.control import ControlSpace


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
    styles : callable
        Makes styles [M, K] of what is heard [M, features].
    spectrum : float > 0
        How many times as much as usual the mean spectrum counts.
    """

    def __init__(
        self,
        space: ControlSpace,
        target: np.ndarray,
        start: np.ndarray,
        pull: float | np.ndarray,
        styles: Callable[[np.ndarray], np.ndarray] = style_of,
        spectrum: float = 1.0,
    ) -> None:
        self.spectrum = spectrum
        self.styles = styles
        self.space, self.target = space, np.asarray(target, np.float64)
        self.start = space.snap(np.asarray(start, np.float64))
        self.pull = np.broadcast_to(np.asarray(pull, np.float64), self.start.shape)

    def distances(self, styles: np.ndarray) -> np.ndarray:
        """Give the style distances [M]; infinite where a render failed."""
        found = style_distance(styles, self.target, self.spectrum)
        return np.where(np.isfinite(found), found, np.inf)

    @property
    def weights(self) -> np.ndarray:
        """What each number of a style counts, float64 [K]."""
        return style_weights(self.spectrum)

    def values(self, points: np.ndarray, styles: np.ndarray) -> np.ndarray:
        """Give what is minimised [M]."""
        return self.distances(styles) + (points - self.start) ** 2 @ self.pull
