"""A proxy in the feature domain: what a recording's statistics become when a chain processes it.

Milliseconds where a waveform proxy takes a second, and all that a controller needs to hear which way a control turns
the sound. What the chain's filters do to each band is known beforehand, from responses measured on the plugins; the
network learns what is left.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from blackbox_afx.features.foretell import IN_BANDS
from blackbox_afx.features.statistics import BANDS, DIMENSION, LAYOUT
from blackbox_afx.networks.residual import ResidualBlock, Standardise
from blackbox_afx.proxies.curve import Curve

RESPONSE_WIDTH = 256


def filtered(statistics: Tensor, response_db: Tensor) -> Tensor:
    """Give statistics [batch, DIMENSION] as a filter of that response in dB [batch, BANDS] would leave them.

    Levels are left as they are: how loud the bands are together is not known from this alone.
    """
    parts = [
        statistics[:, place] + response_db.repeat(1, (place.stop - place.start) // BANDS)
        if name in IN_BANDS
        else statistics[:, place]
        for name, place in LAYOUT.items()
    ]
    return torch.cat(parts, dim=1)


class FeatureProxy(nn.Module):
    """Map statistics of the input and positions to statistics of the output.

    Parameters
    ----------
    controls : int
    width, blocks : int
        Of the residual network.
    harmonics : int
        Cosines of each position that go in beside it, so that bends in a control's effect are cheap to learn.

    Attributes
    ----------
    response : Curve
        The chain's response in the bands of the statistics; flat until `take_response`, and never trained with the
        rest.
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
        self.response = Curve(controls, RESPONSE_WIDTH, BANDS).requires_grad_(False)
        self.tell = nn.Linear(BANDS, width)
        nn.init.zeros_(self.tell.weight)

    def take_response(self, response: Curve) -> None:
        """Keep a copy of a trained response, frozen."""
        self.response.load_state_dict(response.state_dict())

    def forget_response(self) -> None:
        """Make the response flat again."""
        self.response.forget()

    @property
    def knows_response(self) -> bool:
        """Whether it was told a response, and has not forgotten it."""
        return bool(self.response.last.weight.any())

    def forward(self, statistics: Tensor, positions: Tensor) -> Tensor:
        """Predict statistics [batch, DIMENSION] for statistics [batch, DIMENSION] and positions [batch, controls]."""
        waves = [torch.cos(math.pi * (k + 1) * positions) for k in range(self.harmonics)]
        turned = torch.cat([2 * positions - 1, *waves], dim=1)
        response = self.response.knots_db(positions)
        hidden = self.hear(self.source(statistics)) + self.turn(turned) + self.tell(response / 10)
        change = self.last(self.norm(self.blocks(hidden))).float()
        return filtered(statistics, response) + change * self.change.deviation + self.change.mean

    def error(self, statistics: Tensor, positions: Tensor, target: Tensor) -> Tensor:
        """Give the training loss: a smooth absolute error in units of each number's usual change."""
        gap = (self(statistics, positions) - target) / self.change.deviation
        return nn.functional.smooth_l1_loss(gap, torch.zeros_like(gap), beta=0.1)
