"""The controller: two embeddings in, positions out."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PaperController(nn.Module):
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
