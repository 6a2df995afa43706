"""What a guide reads off one example: its input's statistics, and what a loss gradient asks of its output's.

No plugin and no torch takes part, so that workers can read while the network waits.
"""

from __future__ import annotations

import msgspec
import numpy as np

from blackbox_afx.features.band_gradient import band_gradient
from blackbox_afx.features.statistics import DIMENSION, LAYOUT, statistics


class Reading(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold what was read.

    Parameters
    ----------
    heard : float32 [DIMENSION]
        Statistics of the input.
    asked : float32 [DIMENSION]
        How the loss answers to each of the output's statistics; 0 but for the quantiles of bands.
    linear : float64 [P], optional
        The derivative, as far as impulses tell it; None where they could not be measured.
    """

    heard: np.ndarray
    asked: np.ndarray
    linear: np.ndarray | None = None


def read(audio: np.ndarray, output: np.ndarray, cotangent: np.ndarray, sample_rate: int) -> Reading:
    """Read an example.

    Parameters
    ----------
    audio, output : float32 [channels, samples]
        The plugins' input and what they made of it.
    cotangent : float [channels, samples]
        dL/dy there.
    sample_rate : int
        Hertz.

    Returns
    -------
    Reading
        Without `linear`, which takes a plugin.
    """
    asked = np.zeros(DIMENSION, np.float32)
    asked[LAYOUT["quantiles"]] = band_gradient(output, cotangent, sample_rate).ravel()
    return Reading(heard=statistics(_sounding(audio), sample_rate), asked=asked)


def _sounding(audio: np.ndarray) -> np.ndarray:
    """Mix audio [channels, samples] down, without the zeros that a short clip was padded with."""
    mono = audio.mean(0)
    last = np.flatnonzero(mono)
    return mono[: last[-1] + 1] if len(last) else mono
