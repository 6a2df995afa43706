"""Building blocks of the small networks: standardised inputs, residual blocks, and the number format they train in."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """Shift and scale to mean 0 and deviation 1 as measured by `fit`; outliers are clipped at 6 deviations.

    Parameters
    ----------
    dimension : int
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("deviation", torch.ones(dimension))

    def fit(self, mean: Tensor, deviation: Tensor, least: float = 0.5) -> None:
        """Take mean and deviation [dimension]; deviations below `least` (dB) count as `least`."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp(min=least))

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.deviation).clamp(-6, 6)


class ResidualBlock(nn.Module):
    """Normalise, widen, bend, add; starts as the identity."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.bend = nn.Linear(width, width)
        self.back = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.back.weight)
        nn.init.zeros_(self.back.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.back(nn.functional.gelu(self.bend(self.norm(x)))))


@functools.cache
def half_precision_pays() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32 (AVX512_BF16 or AMX)."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def fast_matrices() -> torch.autocast:
    """Give a context in which matrix products run in bfloat16 where that pays; sums and losses stay float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=half_precision_pays())
