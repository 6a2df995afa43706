"""What encoders hear of a recording, by name: numpy, for render workers.

``audio`` is the recording itself, for networks that learn their own features; the others are features that can be
measured once and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from blackbox_afx.features.mixture import coloured_dimension, coloured_statistics
from blackbox_afx.features.statistics import DIMENSION, statistics

Hears = Literal["audio", "statistics", "mixture"]
FEATURES: dict[str, tuple[int, Callable[[np.ndarray, int], np.ndarray]]] = {
    "statistics": (DIMENSION, statistics),
    "mixture": (coloured_dimension(), coloured_statistics),
}


def hear(hears: Hears, audio: np.ndarray, sample_rate: int, samples: int | None = None) -> np.ndarray:
    """Give what an encoder hears of mono audio.

    Parameters
    ----------
    hears : str
    audio : float32 [samples]
    sample_rate : int
        Hertz.
    samples : int, optional
        Bring audio to this length; what is short is repeated, so that no silence is heard.

    Returns
    -------
    float32 [T] or [features]
    """
    if hears == "audio":
        return np.ascontiguousarray(audio if samples is None else np.resize(audio, samples), np.float32)
    return FEATURES[hears][1](audio, sample_rate)


def heard_shape(hears: Hears, samples: int) -> tuple[int]:
    """Give the shape of what `hear` gives for so many samples."""
    return (samples,) if hears == "audio" else (FEATURES[hears][0],)
