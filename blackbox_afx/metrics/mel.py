"""Mel spectral distance (MSD): how far two recordings' long-term mel spectra are apart.

Conventions: FFT, window (periodic Hann) and hop of 65 536 samples, frames centred with reflection, power not
below 1e-8, 128 mel bands from 0 Hz to Nyquist on Slaney's scale with unit area each, mean absolute difference
of the linear and of the natural-logarithmic band magnitudes, added.
These are the settings of the style-transfer paper's released code; its Table 1 used an older definition.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft

SIZE = 65536
BANDS = 128
POWER_FLOOR = 1e-8

# Slaney's mel scale: linear to 1 kHz at 200/3 Hz a mel, then 27 logarithmic mels for each factor of 6.4.
_HZ_PER_MEL = 200.0 / 3.0
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(frequency: float) -> float:
    """Convert Hz to Slaney mels; not HTK's 2595 log10(1 + f / 700)."""
    if frequency < _KNEE_HZ:
        return frequency / _HZ_PER_MEL
    return float(_KNEE_MEL + np.log(frequency / _KNEE_HZ) / _LOG_STEP)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Convert Slaney mels to Hz."""
    return np.where(mel < _KNEE_MEL, mel * _HZ_PER_MEL, _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL)))


@lru_cache(maxsize=8)
def mel_filterbank(sample_rate: float, size: int = SIZE, bands: int = BANDS) -> np.ndarray:
    """Make triangular mel filters of unit area.

    Parameters
    ----------
    sample_rate : float > 0
        Hz.
    size : int
        Samples of the FFT.
    bands : int
        How many filters, from 0 Hz to Nyquist.

    Returns
    -------
    np.ndarray [bands, size / 2 + 1] float64
        Weights of the magnitude bins. Cached; do not write to it.

    References
    ----------
    Slaney, "Auditory Toolbox, Version 2", Interval Research 1998-010, 1998.
    """
    bins = np.fft.rfftfreq(size, 1.0 / sample_rate)
    edges = mel_to_hz(np.linspace(0.0, hz_to_mel(sample_rate / 2), bands + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=8)
def _sparse_filterbank(sample_rate: float):
    # 98 % of the weights are zero: a sparse product takes 1/30 of the time.
    from scipy.sparse import csr_array

    return csr_array(mel_filterbank(sample_rate))


@lru_cache(maxsize=1)
def _window() -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SIZE) / SIZE)


def mel_spectrum(audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """Analyse a recording into mel band magnitudes.

    Parameters
    ----------
    audio : np.ndarray [samples] or [channels, samples]
        Padded with zeros to 65 536 samples where it is shorter.
    sample_rate : float > 0
        Hz.

    Returns
    -------
    np.ndarray [channels, 128, 1 + samples // 65536] float64
    """
    audio = np.atleast_2d(audio)
    audio = np.pad(audio, ((0, 0), (0, max(0, SIZE - audio.shape[1]))))
    frames = 1 + audio.shape[1] // SIZE
    padded = np.pad(audio, ((0, 0), (SIZE // 2, SIZE // 2)), mode="reflect")
    filters = _sparse_filterbank(float(sample_rate))
    out = np.empty((len(audio), BANDS, frames))
    # A frame at a time: an hour of audio has no room for all spectra at once.
    for frame in range(frames):
        windowed = padded[:, frame * SIZE : (frame + 1) * SIZE] * _window()
        spectrum = scipy.fft.rfft(windowed)
        magnitude = np.sqrt(np.maximum(spectrum.real**2 + spectrum.imag**2, POWER_FLOOR))
        out[:, :, frame] = (filters @ magnitude.T).T
    return out


def mel_distance(target: np.ndarray, estimate: np.ndarray, sample_rate: float) -> float:
    """Measure the mel spectral distance.

    Parameters
    ----------
    target, estimate : np.ndarray [samples] or [channels, samples]
        Compared frame by frame; where they have different numbers of frames, the mean frame of each is.
    sample_rate : float > 0
        Hz, of both.

    Returns
    -------
    float
        Zero for equal mel spectra; has no unit.

    References
    ----------
    Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing",
    JAES 70(9), 2022.
    """
    first, second = mel_spectrum(target, sample_rate), mel_spectrum(estimate, sample_rate)
    if first.shape[-1] != second.shape[-1]:
        first, second = first.mean(-1, keepdims=True), second.mean(-1, keepdims=True)
    linear = np.abs(first - second).mean()
    logarithmic = np.abs(np.log(first) - np.log(second)).mean()
    return float(linear + logarithmic)
