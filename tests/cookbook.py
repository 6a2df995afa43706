"""Filters after R. Bristow-Johnson's Audio EQ Cookbook, to compare with."""

from __future__ import annotations

import numpy as np


def peak(frequency: float, gain_db: float, q: float, sample_rate: float) -> tuple[list[float], list[float]]:
    """Give numerator and denominator of a peaking equaliser, as `scipy.signal.freqz` takes them."""
    amplitude, turn = 10 ** (gain_db / 40), 2 * np.pi * frequency / sample_rate
    alpha, cosine = np.sin(turn) / (2 * q), -2 * np.cos(turn)
    above = [1 + alpha * amplitude, cosine, 1 - alpha * amplitude]
    below = [1 + alpha / amplitude, cosine, 1 - alpha / amplitude]
    return above, below
