"""How far apart two recordings are from second to second: short-window versions of level, spectrum and loudness.

Nothing here imports torch: render workers load it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy import fft

from blackbox_afx.features.bands import band_bank, decibels, k_weighting
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.trajectory import Trajectory

WINDOW_S = 1.0
HOP_S = 0.5
BANDS = 40
PAUSE_DB = 35.0
"""Windows in which the target is this far below its loud ones (90th percentile) are pauses and do not count."""
SHORT = ("level_db", "spectrum_db", "lufs_db")


@functools.lru_cache(maxsize=4)
def _tables(sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = round(WINDOW_S * sample_rate)
    hertz = np.fft.rfftfreq(size, 1.0 / sample_rate)
    window = np.hanning(size)
    return window / np.sqrt(np.sum(window**2) * size / 2), band_bank(hertz, BANDS)[0], k_weighting(hertz)


def over_time(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure a recording in windows of a second that overlap by half.

    Parameters
    ----------
    audio : float [samples]
        Mono; padded with silence where it is shorter than a window.
    sample_rate : int
        Hz.

    Returns
    -------
    float64 [windows], float64 [windows, BANDS], float64 [windows]
        Level, bands' levels, and momentary loudness, dB; at least -110.
    """
    window, bank, weighting = _tables(sample_rate)
    size = len(window)
    padded = np.pad(audio, (0, max(0, size - len(audio))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: round(HOP_S * sample_rate)]
    power = np.square(np.abs(fft.rfft(frames * window, axis=1)))
    levels = decibels(np.mean(np.square(frames, dtype=np.float64), axis=1))
    return levels, decibels(power @ bank), decibels(power @ weighting) - 0.691


def short_errors(target: np.ndarray, estimate: np.ndarray, sample_rate: int) -> list[float]:
    """Average the absolute differences of two recordings over their windows.

    Parameters
    ----------
    target, estimate : float [samples]
        Of one length.
    sample_rate : int
        Hz.

    Returns
    -------
    list of float
        dB, in the order of `SHORT`: level, spectrum (over windows and bands), loudness (K-weighted, not gated).
    """
    wanted, got = over_time(target, sample_rate), over_time(estimate, sample_rate)
    heard = wanted[0] >= np.quantile(wanted[0], 0.9) - PAUSE_DB
    return [float(np.mean(np.abs(a - b)[heard])) for a, b in zip(wanted, got, strict=True)]


def render_along(worker: Any, spec: ChainSpec, audio: np.ndarray, trajectory: Trajectory, rate: int) -> np.ndarray:
    """Render float32 [samples] along a trajectory; runs in a farm worker."""
    return worker.chain(spec).render_raw(audio[None], trajectory, rate)[0]
