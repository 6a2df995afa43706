"""RMS error: by how many dB the levels of two recordings differ."""

from __future__ import annotations

import math

import numpy as np

from blackbox_afx.audio.levels import rms_db


def rms_error(target: np.ndarray, estimate: np.ndarray, sample_rate: float) -> float:
    """Measure the difference of root mean square levels, over all channels.

    Parameters
    ----------
    target, estimate : np.ndarray [samples] or [channels, samples]
    sample_rate : float
        Not used.

    Returns
    -------
    float
        dB; NaN where either is digital silence.

    Notes
    -----
    True decibels, 20 log10. The style-transfer paper's code used the natural logarithm, so the figures it prints
    are 2.303 times larger.
    """
    first, second = rms_db(target), rms_db(estimate)
    return abs(first - second) if math.isfinite(first) and math.isfinite(second) else math.nan
