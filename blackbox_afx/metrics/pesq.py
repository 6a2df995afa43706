"""PESQ: a model of how listeners rate speech against its target; needs the extra `metrics`."""

from __future__ import annotations

import importlib.util
import math

import numpy as np

from blackbox_afx.audio.resampling import resample
from blackbox_afx.errors import UsageError

RATE = 16000


def available() -> bool:
    """Tell whether the extra is installed."""
    return importlib.util.find_spec("pesq") is not None


def pesq_score(target: np.ndarray, estimate: np.ndarray, sample_rate: float) -> float:
    """Rate speech by wide-band PESQ at 16 kHz.

    Parameters
    ----------
    target, estimate : np.ndarray [samples] or [channels, samples]
        Aligned speech; channels are averaged.
    sample_rate : float > 0
        Hz.

    Returns
    -------
    float
        About 1.0 (bad) to 4.64 (the same): larger is better. NaN where PESQ finds no utterance or fails
        otherwise; such pairs are to be counted, not averaged in.

    Raises
    ------
    UsageError
        Where the extra is not installed.

    References
    ----------
    ITU-T P.862.2, 2007.
    """
    if not available():
        raise UsageError("PESQ is not installed; expected the extra 'metrics'; pip install 'blackbox_afx[metrics]'")
    import pesq

    at_16k = [
        resample(np.atleast_2d(audio).mean(0, keepdims=True, dtype=np.float32), sample_rate, RATE)[0]
        for audio in (target, estimate)
    ]
    length = min(len(audio) for audio in at_16k)
    try:
        # Its C code reads beyond signals under a quarter of a second.
        if length < RATE // 4:
            return math.nan
        return float(pesq.pesq(RATE, at_16k[0][:length], at_16k[1][:length], "wb"))
    except (pesq.PesqError, ValueError):
        return math.nan
