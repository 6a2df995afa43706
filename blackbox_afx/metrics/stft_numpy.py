"""The multi-resolution STFT distance without torch, for render workers that search: the target is analysed once.

Same definition as `blackbox_afx.losses.multi_resolution_stft`, and the same value; no gradient.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft

FFT_SIZES = (32, 128, 512, 2048, 8192, 32768)
POWER_FLOOR = np.float32(1e-8)


@lru_cache(maxsize=16)
def _window(size: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


def _magnitude(audio: np.ndarray, size: int) -> np.ndarray:
    """Give magnitudes float32 [frames, size / 2 + 1] of audio [samples]."""
    padded = np.pad(audio, size // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    spectrum = fft.rfft(frames * _window(size), axis=1)
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    return np.sqrt(np.maximum(power, POWER_FLOOR, out=power), out=power)


class StftTarget:
    """A target to which many results are compared.

    Parameters
    ----------
    target : np.ndarray [samples] float32
        At least 17 samples.

    Notes
    -----
    Holds about fourteen times the target's size.
    """

    def __init__(self, target: np.ndarray) -> None:
        target = np.ascontiguousarray(target, np.float32)
        self.samples = len(target)
        self.sizes = [size for size in FFT_SIZES if size // 2 < self.samples]
        self.spectra = [_magnitude(target, size) for size in self.sizes]
        self.logarithms = [np.log(spectrum) for spectrum in self.spectra]

    def distance(self, estimate: np.ndarray) -> float:
        """Measure how far a result float32 [samples] is; infinite for one that is not finite."""
        if not np.isfinite(estimate).all():
            return float("inf")
        total = 0.0
        for size, spectrum, logarithm in zip(self.sizes, self.spectra, self.logarithms, strict=True):
            found = _magnitude(np.ascontiguousarray(estimate, np.float32), size)
            linear = float(np.mean(np.abs(found - spectrum), dtype=np.float64))
            np.log(found, out=found)
            found -= logarithm
            total += linear + float(np.mean(np.abs(found, out=found), dtype=np.float64))
        return total / len(self.sizes)
