"""A small network from positions to a curve in dB: what a plugin's filters do, as it is measured."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LARGEST_DB = 60.0
"""Largest gain, either way."""


class Embedding(nn.Module):
    """Widen positions by cosines, so that bends in a control's effect are cheap to learn, and mix them."""

    def __init__(self, controls: int, width: int, harmonics: int = 4) -> None:
        super().__init__()
        self.harmonics = harmonics
        self.first = nn.Linear(controls * (1 + harmonics), width)
        self.second = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, positions: Tensor) -> Tensor:
        waves = [torch.cos(math.pi * (k + 1) * positions) for k in range(self.harmonics)]
        hidden = nn.functional.silu(self.first(torch.cat([2 * positions - 1, *waves], dim=1)))
        return self.norm(nn.functional.silu(self.second(hidden)))


class Curve(nn.Module):
    """Say a curve in dB from positions; an untrained one is flat.

    Parameters
    ----------
    controls, width : int
    knots : int
        Points of the curve.
    """

    def __init__(self, controls: int, width: int, knots: int) -> None:
        super().__init__()
        self.controls = controls
        self.embed = Embedding(controls, width)
        # A band's gain multiplies a shape that frequency and Q set: a product is what the network should start from.
        self.factor = nn.Linear(width, width)
        self.last = nn.Linear(width, knots)
        self.forget()

    def forget(self) -> None:
        """Make the curve flat again."""
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def knots_db(self, positions: Tensor) -> Tensor:
        """Give the curve in dB [batch, knots] for positions [batch, controls]."""
        hidden = self.embed(positions)
        knots = 10.0 * self.last(hidden * self.factor(hidden)).float()
        return LARGEST_DB * torch.tanh(knots / LARGEST_DB)
