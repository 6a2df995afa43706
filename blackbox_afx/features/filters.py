"""Filters as they are measured with an impulse, and what a small change of one does to sound.

Conventions: a response is float [taps], of an impulse of height 1 after `BEFORE` samples of silence. A *relative
change* D is complex [bins] on the grid of `grid` samples: a filter that becomes H (1 + D dp) turns its output y into
y + dp (D * y), whatever linear follows it.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, signal

from blackbox_afx.features.tiles import BANDS, band_starts

IMPULSE_DBFS = -60.0
BEFORE = 256
"""Samples of silence before the impulse, so that a filter's start and the impulse don't meet."""
EMPTY = 1e-10
"""Power of a response, relative to its greatest, below which nothing is known of how it changes."""


def impulse(samples: int) -> np.ndarray:
    """Make a quiet impulse, float32 [samples]."""
    audio = np.zeros(samples, np.float32)
    audio[BEFORE] = 10 ** (IMPULSE_DBFS / 20)
    return audio


def grid(taps: int) -> int:
    """Samples of the transform in which responses are divided: room for what is left before and after."""
    return 2 ** int(np.ceil(np.log2(2 * taps)))


def relative_change(here: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Divide a response's change by the response.

    Parameters
    ----------
    here : float [..., taps]
    change : float [..., taps]
        For each unit of a control's position.

    Returns
    -------
    complex128 [..., bins]
        0 where the response is.
    """
    size = grid(here.shape[-1])
    return fft.rfft(np.asarray(change, np.float64), size) * _inverse(here, size)


def _inverse(here: np.ndarray, size: int) -> np.ndarray:
    spectrum = fft.rfft(np.asarray(here, np.float64), size)
    power = np.square(np.abs(spectrum))
    return np.conj(spectrum) / np.maximum(power + EMPTY * power.max(-1, keepdims=True), 1e-200)


def apply_relative(relative: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """Filter audio float32 [channels, samples] by a relative change [bins]."""
    size = 2 * (len(relative) - 1)
    taps = fft.fftshift(fft.irfft(relative, size))
    whole = signal.oaconvolve(audio, taps[None].astype(audio.dtype), axes=1)
    return whole[:, size // 2 : size // 2 + audio.shape[1]]


def apply_change(change: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """Filter audio float32 [channels, samples] by a change [taps] of a response."""
    return signal.oaconvolve(audio, change[None].astype(audio.dtype), axes=1)[:, BEFORE : BEFORE + audio.shape[1]]


def correlate(audio: np.ndarray, cotangent: np.ndarray, size: int) -> np.ndarray:
    """Multiply a loss gradient with audio, frequency by frequency.

    Parameters
    ----------
    audio, cotangent : float [channels, samples]
        y and dL/dy.
    size : int
        Of the grid.

    Returns
    -------
    complex128 [bins]
        S: the change D * y changes the loss by ``Re sum(S * D)``.
    """
    share = np.full(size // 2 + 1, 2.0 / size)
    share[[0, -1]] /= 2.0
    return share * _correlation(audio, cotangent, size)


def _correlation(audio: np.ndarray, cotangent: np.ndarray, size: int) -> np.ndarray:
    whole = fft.next_fast_len(audio.shape[1] + size // 2, real=True)
    product = fft.rfft(np.asarray(cotangent, np.float64), whole) * np.conj(fft.rfft(audio.astype(np.float64), whole))
    lags = fft.irfft(product.sum(0), whole)
    return np.conj(fft.rfft(np.concatenate([lags[: size // 2], lags[-(size // 2) :]])))


def linear_part(here: np.ndarray, change: np.ndarray, audio: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """Give how a loss answers to changes of responses, float64 [P], where all that follows is linear.

    ``Re sum(S * D)`` of `correlate` and `relative_change`, by one transform a plugin instead of one a control.

    Parameters
    ----------
    here : float [P, taps]
        Response of each control's plugin; neighbours of one plugin have the same.
    change : float [P, taps]
        For each unit of a control's position.
    audio, cotangent : float [channels, samples]
        y and dL/dy.
    """
    taps = here.shape[-1]
    size = grid(taps)
    asked = _correlation(audio, cotangent, size)
    found = np.zeros(len(here))
    weight = np.zeros(taps)
    for k, (response, turned) in enumerate(zip(here, change, strict=True)):
        if k == 0 or not np.array_equal(response, here[k - 1]):
            weight = fft.irfft(np.conj(asked * _inverse(response, size)), size)[:taps]
        found[k] = weight @ turned
    return found


def in_bands(rows: np.ndarray, sample_rate: int) -> np.ndarray:
    """Add rows [..., bins] of the grid up in the bands of `blackbox_afx.features.tiles`: [..., B]."""
    return np.add.reduceat(rows, band_starts(2 * (rows.shape[-1] - 1), int(sample_rate)), axis=-1)


def heard(relative: np.ndarray, sample_rate: int) -> np.ndarray:
    """Word relative changes [..., bins] for a network, float32 [..., 2 B]: band means, great ones compressed."""
    means = in_bands(relative, sample_rate) / in_bands(np.ones(relative.shape[-1]), sample_rate)
    return np.arcsinh(np.concatenate([means.real, means.imag], axis=-1)).astype(np.float32)


HEARD = 2 * BANDS
