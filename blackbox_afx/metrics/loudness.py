"""Loudness by ITU-R BS.1770, and by how many LU two recordings differ."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache

import numpy as np

from blackbox_afx.errors import AudioError

BLOCK_SECONDS = 0.4


@lru_cache(maxsize=8)
def _meter(sample_rate: float):
    import pyloudnorm

    return pyloudnorm.Meter(sample_rate, block_size=BLOCK_SECONDS)


def integrated_loudness(audio: np.ndarray, sample_rate: float) -> float:
    """Measure the gated loudness of a recording.

    Parameters
    ----------
    audio : np.ndarray [samples] or [channels, samples]
        Up to five channels in BS.1770's order; one channel counts once (some tools double it: +3.01 LU).
    sample_rate : float > 0
        Hz.

    Returns
    -------
    float
        LUFS.

    Raises
    ------
    AudioError
        For less than 0.4 s, for nothing above the gate at -70 LUFS, and for more than five channels.

    References
    ----------
    ITU-R BS.1770-4, 2015. Steinmetz, Reiss, "pyloudnorm", AES 150th Convention, 2021.
    """
    audio = np.atleast_2d(audio)
    channels, samples = audio.shape
    if channels > 5:
        raise AudioError(f"{channels} channels; loudness is defined for up to 5; mix down to stereo")
    if samples < BLOCK_SECONDS * sample_rate:
        raise AudioError(
            f"{samples / sample_rate:.3f} s is too short for loudness; expected at least {BLOCK_SECONDS} s"
        )
    with warnings.catch_warnings():
        # An empty gate is what we test for; pyloudnorm speaks of it in numpy's warnings.
        warnings.simplefilter("ignore")
        value = float(_meter(float(sample_rate)).integrated_loudness(audio.T.astype(np.float64)))
    if not math.isfinite(value):
        raise AudioError("the audio has no loudness: nothing in it is above -70 LUFS; give another recording")
    return value


def loudness_error(target: np.ndarray, estimate: np.ndarray, sample_rate: float) -> float:
    """Measure by how many LU (dB) the loudness of two recordings differs; NaN where either has none."""
    try:
        return abs(integrated_loudness(target, sample_rate) - integrated_loudness(estimate, sample_rate))
    except AudioError:
        return math.nan
