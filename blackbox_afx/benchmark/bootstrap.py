"""The mean error of a method over that of the untouched input, and how sure one can be of it.

Conventions: errors of one speaker (or artist) are averaged first, then the speakers, so that a talkative one does not
count more; the interval comes from drawing whole speakers, since recordings of one are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError


class Ratio(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ratio of mean errors with its 95 % interval; below 1 the method improves on the input."""

    ratio: float | None
    """None where nothing could be measured, or the input has no error."""
    interval: tuple[float, float] | None
    """None with fewer than two speakers, where there is nothing to draw."""
    method: float | None
    """Mean error of the method, by speaker."""
    input: float | None
    """Mean error of the input, by speaker."""
    pairs: int
    """How many pairs count."""
    failed: int
    """How many were left out, because either error is NaN or infinite."""
    groups: int
    """How many speakers those are."""


def bootstrap_ratio(
    errors_method: Sequence[float] | np.ndarray,
    errors_input: Sequence[float] | np.ndarray,
    groups: Sequence[Hashable],
    rng: np.random.Generator,
    n_boot: int = 1000,
) -> Ratio:
    """Compare a method's errors with the input's, on the same pairs.

    Parameters
    ----------
    errors_method, errors_input : sequence of float [pairs]
        NaN where a pair could not be measured; such pairs are counted and left out on both sides.
    groups : sequence [pairs]
        The speaker or artist of each pair.
    rng : np.random.Generator
        Draws the speakers.
    n_boot : int > 0
        Draws.

    Returns
    -------
    Ratio

    Raises
    ------
    UsageError
        For sequences of different lengths, or none.

    References
    ----------
    Efron, Tibshirani, "An introduction to the bootstrap", 1993: percentile interval, clusters as units.
    """
    method = np.asarray(errors_method, dtype=np.float64)
    base = np.asarray(errors_input, dtype=np.float64)
    if not (len(method) == len(base) == len(groups) > 0):
        raise UsageError(
            f"{len(method)} errors of the method, {len(base)} of the input, {len(groups)} groups; "
            "expected as many of each, and at least one"
        )
    measured = np.isfinite(method) & np.isfinite(base)
    numbers: dict[Hashable, int] = {}
    index = np.array(
        [numbers.setdefault(group, len(numbers)) for group, good in zip(groups, measured, strict=True) if good]
    )
    failed = int(np.count_nonzero(~measured))
    if len(index) == 0:
        return Ratio(ratio=None, interval=None, method=None, input=None, pairs=0, failed=failed, groups=0)
    counts = np.bincount(index)
    by_group = np.stack([np.bincount(index, weights=errors[measured]) / counts for errors in (method, base)])
    mean_method, mean_base = (float(value) for value in by_group.mean(axis=1))
    ratio = mean_method / mean_base if mean_base > 0 else None
    interval = None
    if ratio is not None and len(numbers) > 1:
        draws = rng.integers(len(numbers), size=(n_boot, len(numbers)))
        numerator, denominator = by_group[:, draws].mean(axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = numerator / denominator
        ratios = ratios[np.isfinite(ratios)]
        low, high = np.percentile(ratios, [2.5, 97.5])
        interval = (float(low), float(high)) if math.isfinite(low) else None
    return Ratio(
        ratio=ratio,
        interval=interval,
        method=mean_method,
        input=mean_base,
        pairs=len(index),
        failed=failed,
        groups=len(numbers),
    )
