"""Antithetic pairs of points: how they are placed in the box, and what is read off them.

Pair k of an example is its points 2k (plus) and 2k + 1 (minus).
"""

from __future__ import annotations

import numpy as np

from blackbox_afx.errors import UsageError

TINY = 1e-9
"""An applied difference below this is none: it is rounding, and dividing by it would amplify noise."""

WIDEST = 0.5
"""The largest half-distance of a pair: at this, the two points lie on opposite walls of the box."""


def active_controls(steps: np.ndarray, controls: int) -> np.ndarray:
    """Tell which controls are differentiated.

    Parameters
    ----------
    steps : array [shape=(P,)]
        Finite and > 0, or not finite for a control that is not differentiated.
    controls : int
        P as the positions have it.

    Returns
    -------
    array [shape=(P,)] of bool

    Raises
    ------
    UsageError
        If there is not one step a control, or a finite one is not positive.
    """
    if steps.shape != (controls,):
        raise UsageError(f"steps have shape {steps.shape}, expected ({controls},): give one step a control")
    active = np.isfinite(steps)
    if np.any(steps[active] <= TINY):
        raise UsageError(
            f"the smallest step is {steps[active].min():g}, expected > {TINY:g}; NaN holds a control still"
        )
    return active


def place_pairs(positions: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Put a pair of points around each position, shifted inward at the walls.

    Parameters
    ----------
    positions : array [shape=(B, P)], 0 to 1
    offsets : array [shape=(B, K, P)]
        Plus point minus centre.  Cut to +-0.5, the widest that fits in the box.

    Returns
    -------
    array [shape=(B, 2 K, P)]
        Inside [0, 1].  The points of a pair keep the distance ``2 |offset|`` in every control, so the centre
        moves where a wall is nearer than the offset.

    Notes
    -----
    Not clipping: that shortens the distance and, divided by the step that was meant, halves the gradient at
    the walls.
    A control whose offset is 0 stays exactly at its position.
    """
    offsets = np.clip(offsets, -WIDEST, WIDEST)
    reach = np.abs(offsets)
    centre = np.clip(positions[:, None, :], reach, 1.0 - reach)
    points = np.stack([centre + offsets, centre - offsets], axis=2)
    batch, pairs, _, controls = points.shape
    return np.clip(points.reshape(batch, 2 * pairs, controls), 0.0, 1.0)


def pair_differences(points: np.ndarray, responses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read what was applied and what it changed off each pair.

    Parameters
    ----------
    points : array [shape=(B, 2 K, P)]
    responses : array [shape=(B, 2 K)]

    Returns
    -------
    applied : array [shape=(B, K, P)]
        Plus point minus minus point; 0 below `TINY`, and 0 throughout a pair that lost a render.
    change : array [shape=(B, K)]
        The same of the responses; 0 for a pair that lost a render.
    kept : array [shape=(B, K)] of bool
        Pairs both renders of which came back finite.
    """
    applied = points[:, 0::2] - points[:, 1::2]
    with np.errstate(invalid="ignore"):  # inf - inf, where both renders blew up
        change = responses[:, 0::2] - responses[:, 1::2]
    kept = np.isfinite(change)
    applied = np.where(kept[:, :, None] & (np.abs(applied) > TINY), applied, 0.0)
    return applied, np.where(kept, change, 0.0), kept


def mean_of_quotients(applied: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Divide every change by every control's applied difference and average over the pairs that moved the
    control.

    Parameters
    ----------
    applied : array [shape=(B, K, P)]
    change : array [shape=(B, K)]

    Returns
    -------
    array [shape=(B, P)]
        0 for a control that no pair moved.
    """
    moved = applied != 0.0
    quotients = np.divide(change[:, :, None], applied, out=np.zeros_like(applied), where=moved)
    return quotients.sum(axis=1) / np.maximum(moved.sum(axis=1), 1)


def valid_rows(kept: np.ndarray) -> np.ndarray:
    """Tell which rows kept anything; where nothing was asked, nothing was lost.

    Parameters
    ----------
    kept : array [shape=(B, K)] of bool

    Returns
    -------
    array [shape=(B,)] of bool
    """
    if kept.shape[1] == 0:
        return np.ones(kept.shape[0], bool)
    return np.asarray(kept.any(axis=1))
