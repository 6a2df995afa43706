"""Recursive filters applied in the frequency domain: fast to train through, and all but exact.

The response of each section is sampled on the bins of an FFT of at least twice the audio's length, so that the product
of spectra is a linear convolution. What is not exact: an impulse response that rings longer than the FFT folds back.

References
----------
Nercessian, "Neural parametric equalizer matching using differentiable biquads", DAFx 2020.
Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing", JAES 70(9), 2022,
eq. 1.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

SHORTEST = 32768
"""Samples of the smallest FFT, so that short audio leaves low filters room to ring out."""


def fft_size(samples: int) -> int:
    """Give the power of two that holds a linear convolution of two signals of so many samples, or `SHORTEST`."""
    return max(SHORTEST, 1 << (2 * samples - 2).bit_length()) if samples > 1 else SHORTEST


@lru_cache(maxsize=16)
def _grid(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Give ``1 - cos(w)`` and ``sin(w)`` [bins], the first without its cancellation near 0."""
    angle = torch.arange(size // 2 + 1, dtype=torch.float64, device=device) * (2.0 * math.pi / size)
    return (2.0 * (angle / 2.0).sin().square()).to(dtype), angle.sin().to(dtype)


def _polynomial(coefficients: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """Evaluate ``z (c0 + c1/z + c2/z^2)`` on the unit circle, complex [..., bins].

    Written as ``(c0 + c1 + c2) - (c0 + c2)(1 - cos w) + i (c0 - c2) sin w``: the sum at 0 Hz is taken in double, so
    that what remains may be float32 even for filters at 20 Hz. The factor z cancels between numerator and denominator.
    """
    c0, c1, c2 = coefficients.double().unbind(-1)
    total, even, odd = (part.to(dtype)[..., None] for part in (c0 + c1 + c2, c0 + c2, c0 - c2))
    versine, sine = _grid(size, dtype, coefficients.device)
    return torch.complex(total - even * versine, odd * sine)


def frequency_response(b: Tensor, a: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sample the response of filters in series on the bins of an FFT.

    Parameters
    ----------
    b, a : Tensor [..., sections, 3]
    size : int
        Of the FFT.
    dtype : torch.dtype
        Of the real part.

    Returns
    -------
    Tensor [..., size / 2 + 1], complex
        Of all sections together.
    """
    top, bottom = (_polynomial(part, size, dtype) for part in (b, a))
    numerator, denominator = top[..., 0, :], bottom[..., 0, :]
    for section in range(1, b.shape[-2]):
        numerator = numerator * top[..., section, :]
        denominator = denominator * bottom[..., section, :]
    return numerator / denominator


def filter_sampled(audio: Tensor, b: Tensor, a: Tensor) -> Tensor:
    """Filter audio by sections in series, in the frequency domain.

    Parameters
    ----------
    audio : Tensor [batch, channels, samples]
        float32 or float64.
    b, a : Tensor [batch, sections, 3]
        Of stable filters, ``a[..., 0]`` 1. Every channel goes through the same.

    Returns
    -------
    Tensor [batch, channels, samples]

    Notes
    -----
    Not for streams: the whole of the audio is one block.
    """
    samples = audio.shape[-1]
    size = fft_size(samples)
    response = frequency_response(b, a, size, audio.dtype)
    return torch.fft.irfft(torch.fft.rfft(audio, size) * response[:, None], size)[..., :samples]
