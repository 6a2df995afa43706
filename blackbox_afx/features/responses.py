"""Magnitude responses of filters, as an impulse tells them."""

from __future__ import annotations

import functools

import numpy as np

from blackbox_afx.features.bands import band_bank
from blackbox_afx.features.filters import IMPULSE_DBFS
from blackbox_afx.features.statistics import BANDS

FLOOR_DB = -100.0


@functools.lru_cache(maxsize=4)
def _bank(samples: int, rate: int) -> np.ndarray:
    return band_bank(np.arange(samples // 2 + 1) * rate / samples, BANDS)[0]


def response_db(wet: np.ndarray, rate: int, frequencies: np.ndarray | None = None) -> np.ndarray:
    """Give the magnitude response in dB, from what became of `impulse`.

    Parameters
    ----------
    wet : array, shape [samples]
    rate : int
        Hertz.
    frequencies : array, shape [knots], optional
        Shares of the Nyquist frequency, rising, 0 to 1. By default mean powers in the bands of
        `blackbox_afx.features.statistics`.

    Returns
    -------
    array, shape [knots] or [BANDS]
    """
    power = np.square(np.abs(np.fft.rfft(wet)) / 10 ** (IMPULSE_DBFS / 20))
    floor = 10 ** (FLOOR_DB / 10)
    if frequencies is None:
        return 10 * np.log10(power @ _bank(len(wet), rate) + floor)
    return np.interp(frequencies, np.linspace(0, 1, len(power)), 10 * np.log10(power + floor))
