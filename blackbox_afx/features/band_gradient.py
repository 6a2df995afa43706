"""A loss gradient at the audio, read as what it asks of each band's quiet, usual and loud frames.

A control that is turned a little raises or lowers tiles of the sound, and what statistics tell of that is how the
quantiles of each band's level move. Here the same is done to a loss: how much it would change for each dB that a
quantile moves, each frame taking part by its rank among the frames of its band.

Statistics don't tell phase, but equalisers are nearly always of minimum phase, which follows from the gain; and a gain
that all bands share, as a compressor's, turns no phase by the same rule.

Conventions: T frames, B bands of `blackbox_afx.features.statistics`, Q its quantiles.

References
----------
A. V. Oppenheim, R. W. Schafer, "Discrete-Time Signal Processing", 3rd edition, 2010, chapter 12: phase from gain.
"""

from __future__ import annotations

import functools

import numpy as np

from blackbox_afx.features.bands import band_bank
from blackbox_afx.features.statistics import BANDS, QUANTILES, band_centres
from blackbox_afx.features.tiles import front_end, spectra

NEPER = np.log(10.0) / 20.0
"""Of a dB."""
SILENT = 1e-12
"""Power of a frame below which it takes no part."""


@functools.lru_cache(maxsize=8)
def _banks(sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the bands of statistics, and the gain and phase of each bin where a band's gain is 1 neper, [bins, B]."""
    size = front_end(sample_rate)[0]
    hertz = np.arange(size // 2 + 1) * sample_rate / size
    centres = band_centres()
    below = np.clip(np.searchsorted(centres, hertz) - 1, 0, BANDS - 2)
    above = np.clip((hertz - centres[below]) / (centres[below + 1] - centres[below]), 0.0, 1.0)
    gain = np.zeros((len(hertz), BANDS), np.float32)
    rows = np.arange(len(hertz))
    gain[rows, below] = 1.0 - above
    gain[rows, below + 1] = above
    return band_bank(hertz.astype(np.float32), BANDS)[0], gain, minimum_phase(gain).astype(np.float32)


def minimum_phase(gain: np.ndarray) -> np.ndarray:
    """Give the phase in radians of the minimum-phase filters whose gain in nepers is known, both [bins, filters]."""
    cepstrum = np.fft.irfft(gain, axis=0)
    half = len(cepstrum) // 2
    fold = np.r_[1.0, np.full(half - 1, 2.0), 1.0, np.zeros(half - 1)]
    return np.fft.rfft(cepstrum * fold[:, None], axis=0).imag


def band_gradient(output: np.ndarray, cotangent: np.ndarray, sample_rate: int) -> np.ndarray:
    """Give dL/dG float64 [Q, B]: how a loss answers to a gain G, in dB, of the frames about a quantile of a band.

    Parameters
    ----------
    output : float32 [channels, samples]
        The render.
    cotangent : float [channels, samples]
        dL/dy there.
    sample_rate : int
        Hertz.

    Notes
    -----
    The sum over quantiles and bands is how the loss answers to a gain of all: ``NEPER * <dL/dy, y>``.
    Frames between two quantiles count to both, those beyond the outermost to that one.
    """
    sample_rate = int(sample_rate)
    bank, gain, phase = _banks(sample_rate)
    sound = spectra(output, sample_rate)
    slope = np.conj(spectra(cotangent, sample_rate)) * sound * front_end(sample_rate)[3]
    power = sound.real**2 + sound.imag**2
    heard = power.sum(1) > SILENT
    slope, level = slope[heard], power[heard] @ bank
    asked = slope.real @ gain - slope.imag @ phase
    rank = np.argsort(np.argsort(level, axis=0), axis=0) / max(len(level) - 1, 1)
    at = np.asarray(QUANTILES)
    lower = np.clip(np.searchsorted(at, rank) - 1, 0, len(at) - 2)
    higher = np.clip((rank - at[lower]) / (at[lower + 1] - at[lower]), 0.0, 1.0)
    found = np.zeros((len(at), BANDS))
    for k in range(len(at)):
        share = np.where(lower == k, 1.0 - higher, 0.0) + np.where(lower + 1 == k, higher, 0.0)
        found[k] = (asked * share).sum(0, dtype=np.float64)
    return found * NEPER
