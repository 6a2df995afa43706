"""The loss that style controllers, proxies and TCNs are trained with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from blackbox_afx.losses.stft import FFT_SIZES, multi_resolution_stft


class StyleLoss(torch.nn.Module):
    """Add the multi-resolution STFT distance and a weighted mean absolute error of the waveform.

    Parameters
    ----------
    waveform_weight : float >= 0
        What the mean absolute error counts; 100 in the paper.
    fft_sizes : sequence of int
        As for `multi_resolution_stft`.

    References
    ----------
    Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing",
    JAES 70(9), 2022.
    """

    def __init__(self, waveform_weight: float = 100.0, fft_sizes: Sequence[int] = FFT_SIZES) -> None:
        super().__init__()
        self.waveform_weight = waveform_weight
        self.fft_sizes = tuple(fft_sizes)

    def per_example(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each example.

        Parameters
        ----------
        estimate, target : Tensor [batch, channels, samples]

        Returns
        -------
        Tensor [batch]
        """
        spectral = multi_resolution_stft(estimate, target, fft_sizes=self.fft_sizes, reduction="none")
        return spectral + self.waveform_weight * (estimate - target).abs().mean((1, 2))

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        return self.per_example(estimate, target).mean()
