"""White-box twins of two real plugins, ZamEQ2 and ZamComp 4.1.0: formulae that their renders fit.

Most are textbook formulae. How a bandwidth in octaves is read, and the knee's constants, are the plugins' own, by
Damien Zammit (zam-plugins, GPL-2.0-or-later).

References
----------
Orfanidis, "Digital parametric equalizer design with prescribed Nyquist-frequency gain", JAES 45(6), 1997.
Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients", 1998 (shelf slope).
Giannoulis, Massberg, Reiss, "Digital dynamic range compressor design", JAES 60(6), 2012, eq. 16 (ZamComp's detector).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from blackbox_afx.dsp.biquads import NYQUIST_SHARE, Biquad, high_shelf, low_shelf
from blackbox_afx.dsp.compressor import compress
from blackbox_afx.dsp.gain import gain
from blackbox_afx.dsp.stages import Stage, Twin

SHELF_SLOPE = 0.707
"""The cookbook's S that ZamEQ2's shelves have."""
_LEAST_DB = 1e-3


def _shelf_q(gain_db: Tensor) -> Tensor:
    root = 10.0 ** (gain_db.double() / 40.0)
    return ((root + 1.0 / root) * (1.0 / SHELF_SLOPE - 1.0) + 2.0) ** -0.5


def zam_low_shelf(*, gain_db: Tensor, frequency_hz: Tensor, sample_rate: float) -> Biquad:
    """Design the cookbook's low shelf with the slope S = 0.707."""
    return low_shelf(gain_db, frequency_hz, _shelf_q(gain_db), sample_rate)


def zam_high_shelf(*, gain_db: Tensor, frequency_hz: Tensor, sample_rate: float) -> Biquad:
    """Design the cookbook's high shelf with the slope S = 0.707."""
    return high_shelf(gain_db, frequency_hz, _shelf_q(gain_db), sample_rate)


def zam_peak(*, gain_db: Tensor, frequency_hz: Tensor, bandwidth: Tensor, sample_rate: float) -> Biquad:
    """Design Orfanidis' peak: an analogue bell's gain at half the sample rate too, so that the top is not pinched.

    Parameters
    ----------
    gain_db : Tensor [...]
        At the centre; within 0.001 dB of 0, where the formulae have none, it counts as 0.002 dB more.
    frequency_hz : Tensor [...]
        Centre.
    bandwidth : Tensor [...] > 0
        As the control says; the bandwidth it makes is 2 pi narrower than that of the Q it is computed by.
    sample_rate : float
        Hz.

    Returns
    -------
    Biquad

    References
    ----------
    Orfanidis, "Digital parametric equalizer design with prescribed Nyquist-frequency gain", JAES 45(6), 1997.
    """
    decibels = gain_db.double()
    decibels = torch.where(decibels.abs() < _LEAST_DB, decibels + 2.0 * _LEAST_DB, decibels)
    width = bandwidth.double()
    centre = 2.0 * math.pi * frequency_hz.double().clamp(max=NYQUIST_SHARE * sample_rate) / sample_rate
    spread = centre / (2.0 * math.pi) * (2.0**width - 1.0) / 2.0 ** (1.0 / width)
    # Squared gains: at the centre, and at the edges of the band half of that in dB; 1 at 0 Hz.
    top = 10.0 ** (decibels / 10.0)
    edge = top.sqrt()
    far = (centre.square() - math.pi**2).square()
    ratio = (edge - 1.0) / (top - edge)
    pull = ratio * (math.pi * spread).square()
    nyquist = (far + top * pull) / (far + pull)
    end = nyquist.sqrt()

    # Signs cancel between boost and cut in every ratio; magnitudes keep the roots real.
    over_one, over_end = (top - 1.0).abs(), (top - nyquist).abs()
    edge_one, edge_end = (edge - 1.0).abs(), (edge - nyquist).abs()
    square = (over_end / over_one).sqrt() * (centre / 2.0).tan().square()
    band = (1.0 + (edge_one / edge_end).sqrt() * square) * (spread / 2.0).tan()
    c = edge_end * band.square() - 2.0 * square * ((edge - end).abs() - (edge_one * edge_end).sqrt())
    d = 2.0 * square * ((top - end).abs() - (over_one * over_end).sqrt())
    span = (top - edge).abs()
    poles, zeros = ((c + d) / span).sqrt(), ((top * c + edge * d) / span).sqrt()
    b = torch.stack((end + square + zeros, -2.0 * (end - square), end + square - zeros), -1)
    a = torch.stack((1.0 + square + poles, -2.0 * (1.0 - square), 1.0 + square - poles), -1)
    return Biquad(b / a[..., :1], a / a[..., :1])


def zam_reduction_db(level_db: Tensor, threshold_db: Tensor, ratio: Tensor, knee_db: Tensor) -> Tensor:
    """Compute ZamComp's static reduction: a straight line that starts half a knee below the threshold, with a jump.

    Notes
    -----
    Below the threshold that line lies under zero: there the plugin boosts, by up to ``3 (1 - 1/R)`` dB a dB of knee.
    """
    over = level_db - threshold_db
    return torch.where(over >= -(3.0 * knee_db + 0.005), (1.0 - 1.0 / ratio) * over, torch.zeros_like(over))


def _filter(design, gain_db: str, frequency_hz: str, **more: str) -> Stage:
    return Stage(kind="filter", function=design, controls={"gain_db": gain_db, "frequency_hz": frequency_hz, **more})


ZAM_EQ2 = Twin(
    stages=(
        _filter(zam_low_shelf, "Boost/Cut L", "Frequency L"),
        _filter(zam_high_shelf, "Boost/Cut H", "Frequency H"),
        _filter(zam_peak, "Boost/Cut 1", "Frequency 1", bandwidth="Bandwidth 1"),
        _filter(zam_peak, "Boost/Cut 2", "Frequency 2", bandwidth="Bandwidth 2"),
        Stage(kind="process", function=gain, controls={"gain_db": "Master Gain"}),
    ),
    fixed={},
    version="4.1.0",
)

ZAM_COMP = Twin(
    stages=(
        Stage(
            kind="process",
            function=compress,
            controls={
                "threshold_db": "Threshold",
                "ratio": "Ratio",
                "attack_ms": "Attack",
                "release_ms": "Release",
                "knee_db": "Knee",
                "makeup_db": "Makeup",
            },
            options={"detector": "gain", "time_factor": 1.0, "curve": zam_reduction_db},
            smoothed=True,
        ),
    ),
    fixed={"Slew": 1.0, "Sidechain": 0.0},
    version="4.1.0",
)
