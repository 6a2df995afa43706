"""Spectral centroid error (SCE): how much brighter or darker one recording is than another, in Hz."""

from __future__ import annotations

import math

import numpy as np
import scipy.fft

SIZE = 2048
HOP = 512
_BATCH = 256


def spectral_centroid(audio: np.ndarray, sample_rate: float) -> float:
    """Measure the magnitude-weighted mean frequency, averaged over time.

    Parameters
    ----------
    audio : np.ndarray [samples] or [channels, samples]
        Channels are averaged in the end.
    sample_rate : float > 0
        Hz.

    Returns
    -------
    float
        Hz; NaN where there is no frame with sound, or fewer than 1025 samples.

    Notes
    -----
    Periodic Hann window of 2048, hop 512, frames centred with reflection, as torchaudio's SpectralCentroid.
    Frames of digital silence have no centroid and are left out (torchaudio gives NaN for the whole).
    """
    audio = np.atleast_2d(audio)
    if audio.shape[1] <= SIZE // 2:
        return math.nan
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SIZE) / SIZE)).astype(np.float32)
    frequencies = np.fft.rfftfreq(SIZE, 1.0 / sample_rate)
    values: list[np.ndarray] = []
    for channel in audio:
        padded = np.pad(channel.astype(np.float32, copy=False), SIZE // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
        for at in range(0, len(frames), _BATCH):
            magnitude = np.abs(scipy.fft.rfft(frames[at : at + _BATCH] * window))
            weight = magnitude.sum(axis=1, dtype=np.float64)
            heard = weight > 0
            values.append((magnitude[heard] @ frequencies) / weight[heard])
    centroids = np.concatenate(values)
    return float(centroids.mean()) if centroids.size else math.nan


def centroid_error(target: np.ndarray, estimate: np.ndarray, sample_rate: float) -> float:
    """Measure by how many Hz the spectral centroids of two recordings differ; NaN where either has none."""
    return abs(spectral_centroid(target, sample_rate) - spectral_centroid(estimate, sample_rate))
