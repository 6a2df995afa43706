"""The compressor and the expander with which recordings are corrupted before learning.

Conventions: the envelope follows the rectified waveform in the linear domain, with one time constant up and one
down, as SoX's compand does; the static curve has a quadratic knee. Not the compressors under control.
"""

from __future__ import annotations

import math

import numpy as np

_FLOOR = 1e-5


def envelope(audio: np.ndarray, attack: float, release: float, sample_rate: float) -> np.ndarray:
    """Follow the amplitude of a signal, sample by sample.

    Parameters
    ----------
    audio : np.ndarray [samples]
    attack, release : float > 0
        Time constants (63 %) of a rising and a falling amplitude, seconds.
    sample_rate : float
        Hz.

    Returns
    -------
    np.ndarray [samples] float64
        Linear amplitude; starts from silence.

    Notes
    -----
    Exact, in a plain Python loop: the choice between the two time constants depends on the sample before, which
    leaves nothing to vectorise. About 10 ms for 65 536 samples.
    """
    up = 1.0 - math.exp(-1.0 / (attack * sample_rate))
    down = 1.0 - math.exp(-1.0 / (release * sample_rate))
    level = 0.0
    levels = []
    append = levels.append
    for value in np.abs(audio).astype(np.float64).tolist():
        level += (value - level) * (up if value > level else down)
        append(level)
    return np.array(levels)


def compressor_gain_db(level_db: np.ndarray, threshold: float, ratio: float, knee: float) -> np.ndarray:
    """Compute the static gain of a downward compressor.

    Parameters
    ----------
    level_db : np.ndarray
        dBFS.
    threshold : float
        dBFS; louder than this is reduced.
    ratio : float >= 1
        dB in for each dB out above the threshold.
    knee : float >= 0
        Width of the quadratic transition, dB.

    Returns
    -------
    np.ndarray
        dB, zero or below.

    References
    ----------
    Giannoulis, Massberg, Reiss, "Digital dynamic range compressor design", JAES 60(6), 2012, eq. 4.
    """
    return (1.0 / ratio - 1.0) * _soft_excess(level_db - threshold, knee)


def expander_gain_db(level_db: np.ndarray, threshold: float, ratio: float, knee: float) -> np.ndarray:
    """Compute the static gain of a downward expander: as the compressor's, with softer than the threshold reduced.

    Returns
    -------
    np.ndarray
        dB, zero or below; not under -96, so that silence keeps a value.
    """
    return np.maximum((1.0 - ratio) * _soft_excess(threshold - level_db, knee), -96.0)


def _soft_excess(over: np.ndarray, knee: float) -> np.ndarray:
    """Return max(over, 0), with a parabola between -knee / 2 and +knee / 2."""
    if knee <= 0:
        return np.maximum(over, 0.0)
    inside = np.clip(over + knee / 2.0, 0.0, knee)
    return inside**2 / (2.0 * knee) + np.maximum(over - knee / 2.0, 0.0)


def _level_db(audio: np.ndarray, attack: float, release: float, sample_rate: float) -> np.ndarray:
    return 20.0 * np.log10(np.maximum(envelope(audio, attack, release, sample_rate), _FLOOR))


def compress(
    audio: np.ndarray,
    sample_rate: float,
    *,
    threshold: float,
    ratio: float,
    attack: float,
    release: float,
    knee: float,
    makeup: float = 0.0,
) -> np.ndarray:
    """Compress a signal.

    Parameters
    ----------
    audio : np.ndarray [samples] float32
    sample_rate : float
        Hz.
    threshold : float
        dBFS.
    ratio : float >= 1
    attack, release : float > 0
        Seconds.
    knee : float >= 0
        dB.
    makeup : float
        Gain afterwards, dB.

    Returns
    -------
    np.ndarray [samples] float32
    """
    level = _level_db(audio, attack, release, sample_rate)
    gain = compressor_gain_db(level, threshold, ratio, knee) + makeup
    return (audio * 10.0 ** (gain / 20.0)).astype(np.float32)


def expand(
    audio: np.ndarray,
    sample_rate: float,
    *,
    threshold: float,
    ratio: float,
    attack: float,
    release: float,
    knee: float,
    makeup: float = 0.0,
) -> np.ndarray:
    """Expand a signal downwards; parameters as for `compress`."""
    level = _level_db(audio, attack, release, sample_rate)
    gain = expander_gain_db(level, threshold, ratio, knee) + makeup
    return (audio * 10.0 ** (gain / 20.0)).astype(np.float32)
