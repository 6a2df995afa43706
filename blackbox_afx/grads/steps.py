"""How far to move each control so that a difference is neither lost in the control's grid nor in the plugin's
noise.

Conventions: steps, resolutions and the box are in positions, 0 to 1.
"""

from __future__ import annotations

import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.grads.pairs import WIDEST
from blackbox_afx.grads.protocol import Steps
from blackbox_afx.plugins.chain import ChainSpec

PAPER_STEP = 5e-4
"""The step of the 2022 style transfer paper, for all controls."""

MARGIN = 10.0
"""A step is at least this many times the plugin's repeatability."""


def chain_step_sizes(spec: ChainSpec, base_step: float) -> Steps:
    """Choose the step of each control of a chain, as `step_sizes`; NaN for toggles and choices."""
    repeatability = max(profile.repeatability for profile in spec.profiles)
    steps = step_sizes(spec.space.resolution, repeatability, base_step)
    return np.where(spec.space.continuous, steps, np.nan)


def step_sizes(resolutions: Steps, repeatability: float = 0.0, base_step: float = PAPER_STEP) -> Steps:
    """Choose the step of each control.

    ``step_i = max(base_step, resolution_i, 10 repeatability)``

    Parameters
    ----------
    resolutions : array [shape=(P,)]
        The smallest change of position that changes the plugin: 0 for a continuous control, ``1 / (values -
        1)`` for one with that many values.  Toggles and choices: NaN, infinite or above 0.5 (a pair of points
        would not fit).
    repeatability : float >= 0
        Root mean square of the difference of two renders with the same input and values, relative to that of
        the output; 0 for a plugin that repeats exactly.
    base_step : float > 0, <= 0.5
        The step where nothing demands more.

    Returns
    -------
    array [shape=(P,)]
        0 < step <= 0.5, or NaN: this control is not differentiated.

    Raises
    ------
    UsageError
        If a value is outside its domain, or the plugin repeats so badly that no step within the box would do.

    Notes
    -----
    The margin reads as: a control that changes the output by about its own size over its whole travel changes
    it by twice the step over a pair, so the noise of the two renders stays near a tenth of what is measured.
    Float32 rounding alone (repeatability 0) does not need it: it is incoherent and averages out over a clip's
    samples.

    The pair of a control with a grid is two steps wide, so at least two grid values wide, whichever way
    positions between grid values are rounded.
    """
    resolutions = np.asarray(resolutions, dtype=np.float64)
    if not 0.0 < base_step <= WIDEST:
        raise UsageError(f"base_step is {base_step:g}, expected above 0 and at most {WIDEST:g}")
    if not repeatability >= 0.0:
        raise UsageError(f"repeatability is {repeatability:g}, expected 0 (exact) or more")
    if np.any(resolutions < 0.0):
        raise UsageError(f"a resolution is {np.nanmin(resolutions):g}, expected 0 (continuous) or more, or NaN")
    quietest = MARGIN * repeatability
    if quietest > WIDEST:
        raise UsageError(
            f"two equal renders differ by {repeatability:.2g} of the output, expected at most "
            f"{WIDEST / MARGIN:g} to differentiate: switch the plugin's noise or modulation off, "
            "or use a method without derivatives"
        )
    steps = np.maximum(resolutions, max(base_step, quietest))
    return np.where(steps <= WIDEST, steps, np.nan)
