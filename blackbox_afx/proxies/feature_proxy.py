"""A proxy in the feature domain: what a recording's statistics become when a chain processes it.

Milliseconds where a waveform proxy takes a second, and all that a controller needs to hear which way a control turns
the sound.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from blackbox_afx.features.statistics import DIMENSION
from blackbox_afx.networks.residual import ResidualBlock, Standardise


class FeatureProxy(nn.Module):
    """Map statistics of the input and positions to statistics of the output.

    Parameters
    ----------
    controls : int
    width, blocks : int
        Of the residual network.
    harmonics : int
        Cosines of each position that go in beside it, so that bends in a control's effect are cheap to learn.
    """

    def __init__(self, controls: int, width: int = 512, blocks: int = 2, harmonics: int = 2) -> None:
        super().__init__()
        self.source = Standardise(DIMENSION)
        self.change = Standardise(DIMENSION)
        self.harmonics = harmonics
        self.hear = nn.Linear(DIMENSION, width)
        self.turn = nn.Sequential(nn.Linear(controls * (1 + harmonics), width), nn.GELU(), nn.Linear(width, width))
        self.blocks = nn.Sequential(*[ResidualBlock(width) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, DIMENSION)

    def forward(self, statistics: Tensor, positions: Tensor) -> Tensor:
        """Predict statistics [batch, DIMENSION] for statistics [batch, DIMENSION] and positions [batch, controls]."""
        waves = [torch.cos(math.pi * (k + 1) * positions) for k in range(self.harmonics)]
        turned = torch.cat([2 * positions - 1, *waves], dim=1)
        hidden = self.blocks(self.hear(self.source(statistics)) + self.turn(turned))
        change = self.last(self.norm(hidden)).float()
        return statistics + change * self.change.deviation + self.change.mean

    def error(self, statistics: Tensor, positions: Tensor, target: Tensor) -> Tensor:
        """Give the training loss: a smooth absolute error in units of each number's usual change."""
        gap = (self(statistics, positions) - target) / self.change.deviation
        return nn.functional.smooth_l1_loss(gap, torch.zeros_like(gap), beta=0.1)
