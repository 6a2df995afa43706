"""A gradient as a Gaussian: what is expected, how wrong that tends to be, and what a measured probe teaches.

Conventions: P controls; a *direction* a [P] is a change of position, its *change* r the response's, ``r = a . g``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHORT = 0.05
"""Of a guide's length, what is left of it at the least once its numbers are trusted as far as they deserve."""
RIDGE = 1e-9
"""Variance, as a share of the mean one, below which a direction counts as known."""


def update(
    mean: np.ndarray,
    covariance: np.ndarray,
    applied: np.ndarray,
    change: np.ndarray,
    noise: np.ndarray,
    clip: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Correct an expected gradient by what probes measured.

    ``mean + C A' (A C A' + R)^-1 (r - A mean)``: of all linear estimates the one with the least squared error.

    Parameters
    ----------
    mean : array [shape=(P,)]
    covariance : array [shape=(P, P)]
        C, of the error of `mean`.
    applied : array [shape=(K, P)]
        A, a direction a row; rows of 0 teach nothing.
    change : array [shape=(K,)]
        r.
    noise : array [shape=(K,)]
        Variance R of each change.
    clip : float >= 0
        A change that lies further than so many deviations from what is expected, once those before it are known,
        counts as if it lay there: a response that broke within the step says little of the derivative (Huber's way
        with innovations). Exact ones, of noise 0, come first and count in full, as all do where it is 0.

    Returns
    -------
    mean : array [shape=(P,)]
    covariance : array [shape=(P, P)]
    """
    if not len(applied):
        return mean, covariance
    if clip:
        exact = noise <= 0.0
        mean, covariance = update(mean, covariance, applied[exact], change[exact], noise[exact])
        for row, seen, spread in zip(applied[~exact], change[~exact], noise[~exact], strict=True):
            reach = clip * np.sqrt(row @ covariance @ row + spread)
            seen = row @ mean + np.clip(seen - row @ mean, -reach, reach)
            mean, covariance = update(mean, covariance, row[None], seen[None], spread[None])
        return mean, covariance
    cross = covariance @ applied.T
    spread = applied @ cross + np.diag(noise)
    # Directions that are already known, or 0, have no spread: the pseudo-inverse leaves them out.
    scale = np.sqrt(np.maximum(np.diag(spread), 1e-300))
    inverse = np.linalg.pinv(spread / np.outer(scale, scale), rcond=1e-10, hermitian=True) / np.outer(scale, scale)
    gain = cross @ inverse
    kept = covariance - gain @ cross.T
    return mean + gain @ (change - applied @ mean), (kept + kept.T) / 2


def best_direction(covariance: np.ndarray, allowed: np.ndarray, floor: float = 0.0) -> tuple[np.ndarray, float]:
    """Find the direction whose measurement takes away most variance.

    Parameters
    ----------
    covariance : array [shape=(P, P)]
    allowed : array [shape=(P,)] of bool
        Controls that the direction may move.
    floor : float
        Variance below which a direction counts as known.

    Returns
    -------
    direction : array [shape=(P,)]
        Of length 1, or 0 where nothing is left to learn.
    taken : float
        How much of the trace the measurement takes.

    Notes
    -----
    With all controls allowed it is the first principal direction.  Otherwise v maximises ``|C v|^2 / v' C v`` over
    directions on the allowed controls, which also counts what correlated controls outside gain by it.
    """
    direction = np.zeros(len(covariance))
    place = np.flatnonzero(allowed)
    if not len(place):
        return direction, 0.0
    part = covariance[np.ix_(place, place)]
    strength, axes = np.linalg.eigh((part + part.T) / 2)
    known = strength <= max(RIDGE * np.trace(covariance) / len(covariance), floor, 1e-300)
    strength, axes = strength[~known], axes[:, ~known]
    if not len(strength):
        return direction, 0.0
    if len(place) == len(covariance):
        direction[place] = axes[:, -1]
        return direction, float(strength[-1])
    white = axes / np.sqrt(strength)
    seen = covariance[:, place] @ white
    taken, turns = np.linalg.eigh(seen.T @ seen)
    found = white @ turns[:, -1]
    direction[place] = found / np.linalg.norm(found)
    return direction, float(taken[-1])


def plan(covariance: np.ndarray, costs: np.ndarray, calls: float, renders: int = 1) -> list[float]:
    """Choose how late in the chain each probe starts, so that a budget takes away most variance.

    Parameters
    ----------
    covariance : array [shape=(P, P)]
    costs : array [shape=(P,)]
        Calls of a render in which this control moves: that of its plugin and all later ones; infinite: never moved.
    calls : float
        Budget.
    renders : int
        Of each probe.

    Returns
    -------
    list of float
        The cost of one render of each probe, rising; it may move the controls that cost no more.

    Notes
    -----
    The plugins before the first one that late probes move have to be rendered once for all of them.  The part of the
    forward render that was theirs is gone by then.
    """
    left, before, chosen = calls, 0.0, []
    # Of what there was: once all is known, only rounding is left to be measured.
    floor = RIDGE * float(np.trace(covariance)) / max(len(covariance), 1)
    levels = sorted(set(costs[np.isfinite(costs)].tolist()))
    while True:
        best: tuple[float, float, float, np.ndarray] | None = None
        for level in levels:
            price = renders * level + max(0.0, 1.0 - level - before)
            if price > left + 1e-9:
                continue
            direction, taken = best_direction(covariance, costs <= level + 1e-12, floor)
            if taken > 0.0 and (best is None or taken / price > best[0]):
                best = taken / price, price, level, direction
        if best is None:
            return sorted(chosen)
        _, price, level, direction = best
        chosen.append(level)
        left, before = left - price, max(before, 1.0 - level)
        _, covariance = update(np.zeros(len(covariance)), covariance, direction[None], np.zeros(1), np.zeros(1))


def suffix_costs(shares: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Give each control the cost of a render in which it moves.

    Parameters
    ----------
    shares : array [shape=(plugins,)]
        Of a render of the whole chain.
    sizes : sequence of int
        Controls of each plugin.

    Returns
    -------
    array [shape=(P,)]
        1 for the first plugin's controls, the last plugin's share for its own.
    """
    later = np.cumsum(np.asarray(shares)[::-1])[::-1]
    return np.repeat(np.minimum(later, 1.0), sizes)


def error_of(guides: np.ndarray, gradients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Learn from examples how far a guide is to be trusted.

    Parameters
    ----------
    guides, gradients : array [shape=(N, P)]
        What was expected, and what was measured.

    Returns
    -------
    slope : array [shape=(P,)]
        By which each of the guide's numbers is to be multiplied, 0 to 2.
    covariance : array [shape=(P, P)]
        Of the error that is left, in units of the squared length of the guide once `slope` is applied.
    """
    length = np.linalg.norm(guides, axis=1, keepdims=True)
    kept = (length[:, 0] > 0) & np.isfinite(gradients).all(1)
    unit, truth = guides[kept] / length[kept], gradients[kept] / length[kept]
    # An example whose guide is far too short would outweigh all others.
    size = 1.0 / np.maximum(1.0, np.linalg.norm(truth, axis=1, keepdims=True))
    unit, truth = unit * size, truth * size
    # Pulled towards 1, as far as a tenth of an example's weight says.
    pull = 0.1 * np.mean(unit**2) + 1e-12
    slope = np.clip(((unit * truth).sum(0) + pull) / ((unit**2).sum(0) + pull), 0.0, 2.0)
    # In the unit in which `Guided` counts: the length of what is expected.
    expected = np.maximum(np.linalg.norm(slope * unit, axis=1, keepdims=True), SHORT * size)
    left = (truth - slope * unit) * size / expected
    covariance = left.T @ left / max(len(left), 1)
    # Few examples make covariances too sure of themselves: shrink them towards their diagonal.
    shrink = min(1.0, len(slope) / max(len(left), 1) / 2)
    covariance = (1 - shrink) * covariance + shrink * np.diag(np.diag(covariance))
    covariance += np.eye(len(slope)) * 1e-3 * np.trace(covariance) / max(len(slope), 1)
    return slope, covariance


def table(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Turn a matrix into a tuple of rows, as records keep it."""
    return tuple(tuple(float(value) for value in row) for row in matrix)


def as_tuple(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    """Turn numbers into a tuple, as records keep them."""
    return tuple(float(value) for value in values)
