"""EfficientNet-B2 without its classifier, in plain torch.

Conventions: input [batch, 1, height, width]; output [batch, 1408, height', width'].
Trained from scratch here, so no weights are loaded from anywhere.

References
----------
M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019: Table 1 (stages),
Section 3.3 (compound scaling; B2 scales width by 1.1 and depth by 1.2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WIDTH, DEPTH, DROP_PATH = 1.1, 1.2, 0.2

# (expansion, channels, layers, stride, kernel) of the base network's seven stages.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def scaled_channels(channels: int) -> int:
    """Scale a channel count by `WIDTH` to the nearest multiple of 8 that loses at most a tenth."""
    wanted = channels * WIDTH
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    )


class SqueezeExcite(nn.Module):
    """Scale channels by a gate that sees their means."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(nn.functional.silu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel, gate, project; with a residual where shapes agree."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int, drop: float) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = _conv(inputs, hidden) if expansion != 1 else None
        self.filter = _conv(hidden, hidden, kernel, stride, groups=hidden)
        self.gate = SqueezeExcite(hidden, max(1, inputs // 4))
        self.project = _conv(hidden, outputs)
        self.residual = stride == 1 and inputs == outputs
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else nn.functional.silu(self.expand(x))
        y = self.gate(nn.functional.silu(self.filter(y)))
        y = self.project(y)
        if not self.residual:
            return y
        if self.training and self.drop:
            # Stochastic depth: whole examples skip the block, the others are scaled so that the mean stays.
            keep = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            y = y * keep / (1 - self.drop)
        return x + y


class EfficientNetB2(nn.Module):
    """EfficientNet-B2's convolutional part on one input channel (7 700 418 weights).

    Parameters
    ----------
    x : Tensor [batch, 1, height, width]

    Returns
    -------
    Tensor [batch, 1408, height / 32, width / 32], rounded up
    """

    channels = scaled_channels(1280)

    def __init__(self) -> None:
        super().__init__()
        width = scaled_channels(32)
        self.stem = _conv(1, width, 3, 2)
        total = sum(math.ceil(layers * DEPTH) for _, _, layers, _, _ in STAGES)
        blocks: list[nn.Module] = []
        for expansion, channels, layers, stride, kernel in STAGES:
            outputs = scaled_channels(channels)
            for layer in range(math.ceil(layers * DEPTH)):
                drop = DROP_PATH * len(blocks) / total
                step = stride if layer == 0 else 1
                blocks.append(InvertedBottleneck(width, outputs, expansion, kernel, step, drop))
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = _conv(width, self.channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(nn.functional.silu(self.stem(x)))
        return nn.functional.silu(self.head(x))
