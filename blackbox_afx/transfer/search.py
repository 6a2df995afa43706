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
from blackbox_afx.features.style import style_of_gain
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.transfer.evolution_search import EvolutionSearch
from blackbox_afx.transfer.guided_search import GuidedSearch
from blackbox_afx.transfer.objective import Objective
from blackbox_afx.transfer.surrogate_search import SurrogateSearch

if TYPE_CHECKING:
    from blackbox_afx.transfer.foretold import Foretold
    from blackbox_afx.transfer.surrogate import KnownGain


class Search(Protocol):
    """Ask for settings, tell what they sounded like."""

    done: bool
    wanted: np.ndarray | None
    """A setting [P], among those told, whose tables are asked for; None for none."""

    def ask(self, most: int) -> np.ndarray:
        """Give the next settings, float64 [M, P], at most so many."""
        ...

    def tell(self, points: np.ndarray, styles: np.ndarray) -> None:
        """Take their styles, float64 [M, K]; NaN rows failed."""
        ...

    def take(self, foretold: Foretold | None) -> None:
        """Take what was `wanted`, or None where it could not be measured."""
        ...


METHODS = {"guided": GuidedSearch, "surrogate": SurrogateSearch, "cma": EvolutionSearch}


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
