"""Encoders: audio to embedding, behind one interface.

An encoder has two halves. `prepare` is numpy, has no weights and runs in render workers: what it returns is small and
can be cached. The module's `forward` is torch and takes a batch of what `prepare` returned.

`hears` names what `prepare` returns, as `blackbox_afx.features.hearing` does: training keeps that of every recording.

Conventions: audio is mono float32 [samples] at the controller's sample rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from blackbox_afx.errors import RecipeError, nearest
from blackbox_afx.features.hearing import Hears, hear
from blackbox_afx.features.mixture import coloured_dimension
from blackbox_afx.features.statistics import DIMENSION
from blackbox_afx.networks.efficientnet import EfficientNetB2


class PaperEncoder(nn.Module):
    """EfficientNet-B2 on power-law spectra, as in the 2022 paper (9 147 330 weights).

    The spectrum is |STFT| with 4096 points, hop 2048, centred, to the power 0.3, standardised by fixed numbers; the
    analysis window starts as Hann and is learned. The last feature map is averaged over time and frequency, projected
    to 1024 numbers and scaled to unit length.

    Notes
    -----
    Not a mel and not a decibel spectrum, whatever its cousins use.

    References
    ----------
    Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing", JAES 2022,
    Section 3.1.
    """

    dimension = 1024
    hears: Hears = "audio"
    mean, deviation, power = 0.322970, 0.278452, 0.3

    def __init__(self) -> None:
        super().__init__()
        self.window = nn.Parameter(torch.hann_window(4096))
        self.network = EfficientNetB2()
        self.project = nn.Linear(EfficientNetB2.channels, self.dimension)

    @staticmethod
    def prepare(audio: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return the audio itself: the window is learned, so the spectrum can't be cached."""
        return hear("audio", audio, sample_rate)

    def forward(self, audio: Tensor) -> Tensor:
        """Embed audio [batch, samples] as unit vectors [batch, 1024]."""
        spectrum = torch.stft(audio, 4096, 2048, window=self.window, return_complex=True).abs()
        spectrum = ((spectrum + 1e-8) ** self.power - self.mean) / self.deviation
        maps = self.network(spectrum.transpose(1, 2).unsqueeze(1))
        return nn.functional.normalize(self.project(maps.mean((2, 3))), dim=-1)


class StatisticsEncoder(nn.Module):
    """Statistics of spectra, levels and dynamics, in dB: milliseconds on a CPU and nothing to learn.

    The numbers are `blackbox_afx.features.statistics`; a controller standardises and learns behind it.
    """

    dimension = DIMENSION
    hears: Hears = "statistics"

    def prepare(self, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        """Measure the features [dimension] of one recording."""
        return hear(self.hears, audio, sample_rate)

    def forward(self, features: Tensor) -> Tensor:
        """Pass features [batch, dimension] on."""
        return features


class MixtureEncoder(StatisticsEncoder):
    """Statistics, and what a mixture of short-time spectra says of colour and content: `coloured_statistics`.

    The mixture was learned beforehand, on speech and music that went through no plugin; nothing of it is learned here.
    """

    dimension = coloured_dimension()
    hears: Hears = "mixture"


ENCODERS: dict[str, Callable[..., Any]] = {
    "mixture": MixtureEncoder,
    "statistics": StatisticsEncoder,
    "efficientnet_b2": PaperEncoder,
}


def make_encoder(name: str, **options: Any) -> Any:
    """Build an encoder by name.

    Raises
    ------
    RecipeError
        When no encoder is called that.
    """
    if name not in ENCODERS:
        raise RecipeError(f"no encoder is called '{name}'; {nearest(name, list(ENCODERS))}")
    return ENCODERS[name](**options)
