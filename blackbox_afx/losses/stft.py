"""Multi-resolution STFT loss: how far magnitude spectra are apart, on a linear and on a logarithmic scale.

Conventions: Hann window as long as the FFT, hop half of it, frames centred with reflection, power not below
1e-8, natural logarithm. These are auraloss's definitions, and its value is the same; this one differentiates
the whole distance in one closed-form step and leaves the unused phase out, for speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

FFT_SIZES = (32, 128, 512, 2048, 8192, 32768)
"""The resolutions of the style-transfer paper, samples."""

POWER_FLOOR = 1e-8


@lru_cache(maxsize=64)
def _window(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.hann_window(size, dtype=dtype, device=device)


def _spectrum(rows: Tensor, size: int) -> Tensor:
    """Transform [rows, samples] into [rows, size / 2 + 1, frames], complex."""
    window = _window(size, rows.dtype, rows.device)
    return torch.stft(rows, size, size // 2, size, window, return_complex=True)


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()


class _MagnitudeDistance(torch.autograd.Function):
    """Mean of |m - t| + |ln m - ln t| over bins and frames, m and t the magnitudes of two spectra.

    Its derivative by the first spectrum X is sign(m - t) (1 + 1/m) X / m, known as soon as the value is.
    The second spectrum gets none.
    """

    @staticmethod
    def forward(ctx: Any, estimate: Tensor, target: Tensor) -> Tensor:
        power = _power(estimate)
        above = power > POWER_FLOOR
        magnitude = power.clamp_(min=POWER_FLOOR).sqrt_()
        other = _power(target).clamp_(min=POWER_FLOOR).sqrt_()
        bins = magnitude.shape[-1] * magnitude.shape[-2]
        difference = magnitude - other
        sign = difference.sign()
        # |d| = sign d * d, and the logarithm's difference has the sign of the linear one.
        distance = difference.add_(other.reciprocal_().mul_(magnitude).log_()).mul_(sign)
        if ctx.needs_input_grad[0]:
            slope = sign.mul_(above).mul_(magnitude + 1).div_(magnitude.square_()).div_(bins)
            ctx.save_for_backward(estimate * slope)
        return distance.sum((-1, -2)) / bins

    @staticmethod
    @torch.autograd.function.once_differentiable
    # once_differentiable hides the parameter's name from the checker.
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyrefly: ignore[bad-override]
        (slope,) = ctx.saved_tensors
        return slope * grad_outputs[0][:, None, None], None


def _plain_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """The same value by autograd alone; differentiable by both, and twice."""
    magnitude = _power(estimate).clamp(min=POWER_FLOOR).sqrt()
    other = _power(target).clamp(min=POWER_FLOOR).sqrt()
    distance = (magnitude - other).abs() + (magnitude.log() - other.log()).abs()
    return distance.mean((-1, -2))


def multi_resolution_stft(
    estimate: Tensor, target: Tensor, *, fft_sizes: Sequence[int] = FFT_SIZES, reduction: str = "mean"
) -> Tensor:
    """Measure the distance of two recordings' magnitude spectra, averaged over several resolutions.

    Parameters
    ----------
    estimate, target : Tensor [batch, channels, samples]
        Full scale at +-1. Gradients flow to either; to the estimate alone they are cheaper.
    fft_sizes : sequence of int
        Samples of each FFT, and of its window.
    reduction : {"mean", "none"}
        One value for the batch, or one an example.

    Returns
    -------
    Tensor [] or [batch]

    Raises
    ------
    ValueError
        For shapes that differ or are not [batch, channels, samples], too few samples, an unknown reduction.

    Notes
    -----
    A resolution whose reflected edge (half an FFT) is not shorter than the signal is left out of the average:
    below 16 385 samples the largest of the paper's six goes. auraloss raises there.
    Spectral convergence and phase have no part in it.

    References
    ----------
    Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing",
    JAES 70(9), 2022.
    Yamamoto, Song, Kim, "Parallel WaveGAN", ICASSP 2020.
    """
    if estimate.shape != target.shape or estimate.ndim != 3:
        raise ValueError(
            f"estimate {list(estimate.shape)} and target {list(target.shape)}; "
            "expected the same [batch, channels, samples]"
        )
    if reduction not in ("mean", "none"):
        raise ValueError(f"reduction '{reduction}'; expected 'mean' or 'none'")
    samples = estimate.shape[-1]
    sizes = [size for size in fft_sizes if size // 2 < samples]
    if not sizes:
        raise ValueError(f"{samples} samples; expected more than {min(fft_sizes) // 2} for the smallest FFT")
    rows, others = estimate.flatten(0, 1), target.flatten(0, 1)
    distance = _plain_distance if target.requires_grad else _MagnitudeDistance.apply
    found = [distance(_spectrum(rows, size), _spectrum(others, size)) for size in sizes]
    # Every channel has as many bins, so the mean over channels is the mean over all.
    each = torch.stack(found).mean(0).view(estimate.shape[:2]).mean(1)
    return each.mean() if reduction == "mean" else each
