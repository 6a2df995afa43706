"""Coefficients of second-order filters, as differentiable functions of gain, frequency and Q.

Conventions: parameters are tensors of one shape [...], coefficients [..., 3] in powers of z^-1, scaled so that
``a[..., 0]`` is 1. They are float64 whatever comes in: at 20 Hz and 44.1 kHz, float32 has hardly a digit left of
``1 - cos(w)``.

References
----------
Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients", 1998; W3C Note, 2021.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

NYQUIST_SHARE = 0.495
"""Corner frequencies are kept below this share of the sample rate, as in the built-in effects."""


class Biquad(NamedTuple):
    """Numerator and denominator of a filter, or of several.

    Parameters
    ----------
    b, a : Tensor [..., 3] float64
        ``a[..., 0]`` is 1.
    """

    b: Tensor
    a: Tensor


def _angle(frequency_hz: Tensor, sample_rate: float) -> Tensor:
    return 2.0 * math.pi * frequency_hz.double().clamp(max=NYQUIST_SHARE * sample_rate) / sample_rate


def _pack(b: tuple[Tensor, ...], a: tuple[Tensor, ...]) -> Biquad:
    return Biquad(torch.stack(b, -1) / a[0][..., None], torch.stack(a, -1) / a[0][..., None])


def peak(gain_db: Tensor, frequency_hz: Tensor, q: Tensor, sample_rate: float) -> Biquad:
    """Design a bell.

    Parameters
    ----------
    gain_db : Tensor [...]
        At the centre.
    frequency_hz : Tensor [...]
        Centre; clipped to `NYQUIST_SHARE` of the sample rate.
    q : Tensor [...] > 0
        Of the cookbook's analogue prototype.
    sample_rate : float
        Hz.

    Returns
    -------
    Biquad
    """
    root = 10.0 ** (gain_db.double() / 40.0)
    angle = _angle(frequency_hz, sample_rate)
    alpha = angle.sin() / (2.0 * q.double())
    middle = -2.0 * angle.cos()
    return _pack((1.0 + alpha * root, middle, 1.0 - alpha * root), (1.0 + alpha / root, middle, 1.0 - alpha / root))


def low_shelf(gain_db: Tensor, frequency_hz: Tensor, q: Tensor, sample_rate: float) -> Biquad:
    """Design a low shelf; parameters as `peak`, with half the gain (in dB) at the corner.

    Notes
    -----
    `q`, not the cookbook's shelf slope S; above 0.707 the shelf overshoots.
    """
    return _shelf(gain_db, frequency_hz, q, sample_rate, 1.0)


def high_shelf(gain_db: Tensor, frequency_hz: Tensor, q: Tensor, sample_rate: float) -> Biquad:
    """Design a high shelf; parameters as `low_shelf`."""
    return _shelf(gain_db, frequency_hz, q, sample_rate, -1.0)


def _shelf(gain_db: Tensor, frequency_hz: Tensor, q: Tensor, sample_rate: float, side: float) -> Biquad:
    """Design either shelf: the high one is the low one with the sign of every cosine (`side`) turned."""
    root = 10.0 ** (gain_db.double() / 40.0)
    angle = _angle(frequency_hz, sample_rate)
    cosine = side * angle.cos()
    width = root.sqrt() * angle.sin() / q.double()
    more, less = root + 1.0, root - 1.0
    b = (
        root * (more - less * cosine + width),
        2.0 * side * root * (less - more * cosine),
        root * (more - less * cosine - width),
    )
    a = (more + less * cosine + width, -2.0 * side * (less + more * cosine), more + less * cosine - width)
    return _pack(b, a)


def one_pole_low_pass(frequency_hz: Tensor, sample_rate: float) -> Biquad:
    """Design a first-order Butterworth low-pass by the bilinear transform, its third coefficients zero.

    Parameters
    ----------
    frequency_hz : Tensor [...]
        Where it has lost 3 dB; clipped to `NYQUIST_SHARE` of the sample rate.
    sample_rate : float
        Hz.

    Returns
    -------
    Biquad
    """
    warped = (_angle(frequency_hz, sample_rate) / 2.0).tan()
    nothing, one = torch.zeros_like(warped), torch.ones_like(warped)
    gain = warped / (1.0 + warped)
    return Biquad(torch.stack((gain, gain, nothing), -1), torch.stack((one, 2.0 * gain - 1.0, nothing), -1))
