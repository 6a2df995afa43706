"""Frequency bands and weightings for features; numpy only.

Conventions: powers are mean squares, so that a full-scale sine has 0.5 in all; frequencies in Hz.
"""

from __future__ import annotations

import numpy as np

LOWEST_HZ, HIGHEST_HZ, BEND_HZ = 30.0, 12000.0, 300.0
FLOOR_DB = -110.0
"""Where decibels stop."""


def band_bank(bins_hz: np.ndarray, bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Make triangular bands, evenly spaced on a scale that is linear below 300 Hz and logarithmic above.

    Parameters
    ----------
    bins_hz : float [bins]
        Centres of a spectrum's bins, increasing.
    bands : int

    Returns
    -------
    float32 [bins, bands]
        Each column sums to 1: a band is a mean of bins.
    float64 [bands]
        Centres, Hz.
    """
    spaced = np.linspace(np.log1p(LOWEST_HZ / BEND_HZ), np.log1p(HIGHEST_HZ / BEND_HZ), bands + 2)
    edges = BEND_HZ * np.expm1(spaced)
    rise = (bins_hz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins_hz[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.clip(np.minimum(rise, fall), 0.0, None)
    # Low bands are narrower than a bin: they take the nearest one.
    for band in np.flatnonzero(weights.sum(0) < 0.5):
        weights[np.argmin(np.abs(bins_hz - edges[band + 1])), band] += 1.0
    return (weights / weights.sum(0)).astype(np.float32), edges[1:-1]


def k_weighting(bins_hz: np.ndarray) -> np.ndarray:
    """Power response of the loudness weighting at given frequencies, float32 [bins].

    References
    ----------
    ITU-R BS.1770-4, Annex 1, Tables 1 and 2 (both filters' coefficients at 48 kHz).
    """
    z = np.exp(-2j * np.pi * np.minimum(bins_hz, 24000.0) / 48000.0)
    response = np.ones_like(z)
    for b, a in (
        ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
        ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
    ):
        response *= (b[0] + b[1] * z + b[2] * z * z) / (a[0] + a[1] * z + a[2] * z * z)
    return (np.abs(response) ** 2).astype(np.float32)


def decibels(power: np.ndarray | float, floor: float = FLOOR_DB) -> np.ndarray:
    """Turn powers into dB, not below a floor."""
    return 10.0 * np.log10(np.maximum(power, np.float32(10.0 ** (floor / 10.0))))


def quantiles(ordered: np.ndarray, at: tuple[float, ...]) -> np.ndarray:
    """Interpolate quantiles [len(at), ...] of rows that are already sorted along the first axis."""
    place = np.asarray(at) * (len(ordered) - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, len(ordered) - 1)
    share = (place - low).astype(np.float32).reshape((-1,) + (1,) * (ordered.ndim - 1))
    return ordered[low] * (1 - share) + ordered[high] * share
