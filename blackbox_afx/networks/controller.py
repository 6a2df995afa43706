"""The controller: two embeddings in, positions out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from blackbox_afx.networks.residual import ResidualBlock, Standardise

RESIDUAL_OPTIONS: dict[str, Any] = {"width": 512, "blocks": 4, "dropout": 0.1}
"""What a residual controller is made with where a recipe says nothing: two blocks more than the shipped trunk has.

Those of the class are what files of earlier versions leave out.
"""


class Controller(nn.Module):
    """What every controller answers when it is used, where it may do more than the `forward` that is trained."""

    def each(self, source: Tensor, reference: Tensor) -> Tensor:
        """Give final positions [batch, controls] for two embeddings [batch, dimension]; rows know nothing of others."""
        return self(source, reference)

    def together(self, source: Tensor, reference: Tensor) -> Tensor:
        """Give one answer for all rows, which are of one recording and one style: logits of positions [controls]."""
        return mean_logits(self.each(source, reference).double())


def mean_logits(positions: Tensor) -> Tensor:
    """Average positions [rows, controls] as logits [controls].

    Notes
    -----
    Two sure votes near an end are not pulled to the middle by one unsure one, as a mean of positions would be.
    """
    return torch.logit(positions, 1e-4).mean(0)


class PaperController(Controller):
    """Three linear layers with LeakyReLU and a sigmoid, as in the 2022 paper.

    Parameters
    ----------
    dimension : int
        Numbers in one embedding.
    controls : int

    Notes
    -----
    With a 1024-dimensional encoder and 24 controls: 596 504 weights.
    """

    def __init__(self, dimension: int, controls: int, hidden: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * dimension, hidden),
            nn.LeakyReLU(0.01),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.01),
            nn.Linear(hidden, controls),
        )

    def forward(self, source: Tensor, reference: Tensor) -> Tensor:
        """Give positions [batch, controls] in (0, 1) for two embeddings [batch, dimension]."""
        return torch.sigmoid(self.layers(torch.cat([source, reference], dim=-1)))


class ResidualController(Controller):
    """A residual network on the input's embedding and on how the reference differs from it.

    Parameters
    ----------
    dimension : int
        Numbers in one embedding.
    controls : int
    width, blocks, dropout
        Of the residual network.

    Notes
    -----
    Fit for embeddings whose differences mean something, as decibels do.

    Attributes
    ----------
    standardised : bool
        Whether means and deviations came with what it starts from, and are not to be measured.
    """

    def __init__(self, dimension: int, controls: int, width: int = 512, blocks: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.standardised = False
        self.source = Standardise(dimension)
        self.difference = Standardise(dimension)
        self.first = nn.Linear(2 * dimension, width)
        self.blocks = nn.Sequential(*[ResidualBlock(width, dropout) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, controls)
        with torch.no_grad():
            self.last.weight *= 0.3

    def fit(self, source: Tensor, reference: Tensor) -> None:
        """Measure means and deviations on embeddings [examples, dimension]."""
        self.source.fit(source.mean(0), source.std(0))
        self.difference.fit((reference - source).mean(0), (reference - source).std(0))

    def forward(self, source: Tensor, reference: Tensor) -> Tensor:
        """Give positions [batch, controls] in (0, 1) for two embeddings [batch, dimension]."""
        return self.guess(self.hidden(self.heard(source, reference)))

    def heard(self, source: Tensor, reference: Tensor) -> Tensor:
        """Standardise both parts, [batch, 2 x dimension]."""
        return torch.cat([self.source(source), self.difference(reference - source)], dim=-1)

    def hidden(self, heard: Tensor) -> Tensor:
        """Compute the last layer's input [batch, width] for what `heard` returned."""
        return self.norm(self.blocks(self.first(heard)))

    def guess(self, hidden: Tensor) -> Tensor:
        """Give positions [batch, controls] for what `hidden` returned."""
        return torch.sigmoid(self.last(hidden).float())
