"""Second-order equaliser sections with which recordings are coloured before learning.

Not the equalisers under control: those are plugins, or `blackbox_afx.dsp`.

References
----------
Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients", 1998; W3C note, 2021.
"""

from __future__ import annotations

import math

import numpy as np


def section(
    kind: str, gain_db: float, frequency: float, q: float, sample_rate: float
) -> tuple[float, float, float, float, float, float]:
    """Design one section.

    Parameters
    ----------
    kind : {"peak", "low_shelf", "high_shelf"}
    gain_db : float
        At the centre of a peak, or on the plateau of a shelf.
    frequency : float
        Centre, or midpoint of the shelf's slope, Hz; below Nyquist.
    q : float > 0
        0.707 gives the steepest shelf without a bump.
    sample_rate : float
        Hz.

    Returns
    -------
    tuple of 6 floats
        b0, b1, b2, 1, a1, a2, a row for scipy's sosfilt.
    """
    amplitude = 10.0 ** (gain_db / 40.0)
    omega = 2.0 * math.pi * frequency / sample_rate
    cosine, alpha = math.cos(omega), math.sin(omega) / (2.0 * q)
    if kind == "peak":
        b = (1 + alpha * amplitude, -2 * cosine, 1 - alpha * amplitude)
        a = (1 + alpha / amplitude, -2 * cosine, 1 - alpha / amplitude)
    else:
        # A high shelf is a low shelf mirrored at a quarter of the sample rate.
        sign = 1.0 if kind == "low_shelf" else -1.0
        root = 2.0 * math.sqrt(amplitude) * alpha
        up, down, turned = amplitude + 1, amplitude - 1, sign * cosine
        b = (
            amplitude * (up - down * turned + root),
            sign * 2 * amplitude * (down - up * turned),
            amplitude * (up - down * turned - root),
        )
        a = (up + down * turned + root, -sign * 2 * (down + up * turned), up + down * turned - root)
    return (b[0] / a[0], b[1] / a[0], b[2] / a[0], 1.0, a[1] / a[0], a[2] / a[0])


def equalise(audio: np.ndarray, sections: list[tuple[float, float, float, float, float, float]]) -> np.ndarray:
    """Filter a signal through sections in series.

    Parameters
    ----------
    audio : np.ndarray [samples] float32
    sections : list of rows from `section`
        May be empty.

    Returns
    -------
    np.ndarray [samples] float32
    """
    if not sections:
        return audio
    from scipy.signal import sosfilt

    return np.asarray(sosfilt(np.array(sections), audio.astype(np.float64)), dtype=np.float32)
