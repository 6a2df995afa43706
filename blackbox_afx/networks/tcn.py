"""Temporal convolutional networks that are told control positions: the audio side of cTCN and of proxies.

Conventions: audio [batch, channels, samples]; conditioning [batch, controls]. Everything is causal: an output sample
depends on its own and earlier input samples only, and what came before the first one counts as silence, as for a
plugin that was just reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from blackbox_afx.errors import RecipeError

PAPER = {"channels": 64, "kernel": 13, "dilations": (1, 8, 64, 512)}
"""The 2022 paper's size: 174 209 weights with 24 controls, 7021 samples of memory (0.29 s at 24 kHz)."""

SMALL = {"channels": 16, "kernel": 13, "dilations": (1, 8, 64, 512)}
"""As deep and with the same memory, and a fifteenth of the multiplications: what two cores can train."""


class FiLM(nn.Module):
    """Normalise each channel over the batch, then scale and shift it as the conditioning says.

    Parameters
    ----------
    controls, channels : int
    """

    def __init__(self, controls: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels, affine=False)
        self.adapt = nn.Linear(controls, 2 * channels)

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        scale, shift = self.adapt(conditioning)[:, :, None].chunk(2, dim=1)
        return torch.addcmul(shift, self.norm(x), scale)


def dilated(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """Convolve with a dilated filter, as `conv(x)` does, with a backward pass that is fast on a CPU too.

    Parameters
    ----------
    x : float [batch, channels, samples]
    conv : nn.Conv1d
        Stride 1, no padding.

    Returns
    -------
    float [batch, outputs, samples - dilation * (kernel - 1)]

    Notes
    -----
    Samples that are `dilation` apart are laid side by side, and the filter goes over each row undilated. PyTorch's own
    backward pass through a dilated filter is slow on a CPU (`benchmarks/dilated.py`).
    """
    (dilation,), (kernel,) = conv.dilation, conv.kernel_size
    if dilation == 1 or not torch.is_grad_enabled() or x.device.type != "cpu":
        return conv(x)
    batch, channels, samples = x.shape
    rows = nn.functional.pad(x, (0, -samples % dilation)).unflatten(-1, (-1, dilation))
    rows = rows.permute(0, 3, 1, 2).reshape(batch * dilation, channels, -1)
    y = nn.functional.conv1d(rows, conv.weight, conv.bias).unflatten(0, (batch, dilation))
    return y.permute(0, 2, 3, 1).flatten(2)[..., : samples - dilation * (kernel - 1)]


class TCNBlock(nn.Module):
    """Dilated convolution, FiLM, PReLU; beside it a grouped 1x1 convolution as the residual path."""

    def __init__(self, inputs: int, channels: int, kernel: int, dilation: int, controls: int) -> None:
        super().__init__()
        self.pad = (kernel - 1) * dilation
        self.filter = nn.Conv1d(inputs, channels, kernel, dilation=dilation)
        self.film = FiLM(controls, channels)
        self.bend = nn.PReLU(channels)
        self.residual = nn.Conv1d(inputs, channels, 1, groups=inputs, bias=False)

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        y = dilated(nn.functional.pad(x, (self.pad, 0)), self.filter)
        return self.bend(self.film(y, conditioning)) + self.residual(x)


class TCN(nn.Module):
    """Filter audio as control positions say.

    Parameters
    ----------
    controls : int > 0
        Numbers in the conditioning.
    inputs, outputs : int
        Audio channels; `channels` must be a multiple of `inputs`, for the grouped residual path.
    channels : int
        Width of every block.
    kernel : int
        Samples of every block's filter.
    dilations : sequence of int
        One block each.
    start : {"random", "identity"}
        An untrained TCN makes noise of its own accord, which takes thousands of steps to unlearn; from "identity" on,
        its output is its input until it has learned better, and it is linear until its slopes have moved.

    Raises
    ------
    RecipeError
        A size that can't be built.

    Notes
    -----
    No skip connections: what a block makes goes to the next block alone. In training mode the normalisation sees the
    batch at hand; a proxy that is to stay as it is must be in evaluation mode.

    References
    ----------
    Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing", JAES 2022,
    Section 3.2.
    Steinmetz, Reiss, "Efficient neural networks for real-time analog audio effect modeling", AES 152, 2022.
    """

    def __init__(
        self,
        controls: int,
        *,
        inputs: int = 1,
        outputs: int = 1,
        channels: int = 64,
        kernel: int = 13,
        dilations: Sequence[int] = (1, 8, 64, 512),
        start: Literal["random", "identity"] = "random",
    ) -> None:
        super().__init__()
        if start not in ("random", "identity"):
            raise RecipeError(f"start = {start!r}; expected random or identity")
        if start == "identity" and inputs != outputs:
            raise RecipeError(f"{inputs} inputs and {outputs} outputs; an identity has as many of both")
        if channels % inputs:
            raise RecipeError(f"channels = {channels}; expected a multiple of the {inputs} input channels")
        if controls < 1 or kernel < 1 or not dilations or min(dilations) < 1:
            raise RecipeError("a TCN needs at least one control, a kernel of 1 or more, and dilations of 1 or more")
        self.blocks = nn.ModuleList(
            TCNBlock(channels if k else inputs, channels, kernel, dilation, controls)
            for k, dilation in enumerate(dilations)
        )
        self.last = nn.Conv1d(channels, outputs, 1)
        self.receptive_field = 1 + (kernel - 1) * sum(dilations)
        if start == "identity":
            self._pass_through()

    @torch.no_grad()
    def _pass_through(self) -> None:
        outputs, channels = self.last.weight.shape[:2]
        each = channels // outputs
        for block in self.blocks:
            assert isinstance(block, TCNBlock)
            # Nothing is added to what the residual path copies on, but a step in the scale adds something at once.
            block.film.adapt.weight.zero_()
            block.film.adapt.bias.zero_()
            block.residual.weight.fill_(1.0)
            # Linear: what is learned first makes no harmonics where a recording has nothing.
            block.bend.weight.fill_(1.0)
        assert self.last.bias is not None
        self.last.bias.zero_()
        self.last.weight.zero_()
        for output in range(outputs):
            # The grouped copies of an input lie side by side.
            self.last.weight[output, output * each : (output + 1) * each] = 1 / each

    def forward(self, audio: Tensor, conditioning: Tensor) -> Tensor:
        """Filter audio [batch, inputs, samples] as conditioning [batch, controls] says."""
        for block in self.blocks:
            audio = block(audio, conditioning)
        return self.last(audio)


class StagedTCN(nn.Module):
    """One TCN after another, each told its own controls.

    Parameters
    ----------
    controls : int
    stages : sequence of int, optional
        Controls of each TCN, in order; one TCN for all by default (cTCN 1). ``(18, 6)`` is the paper's cTCN 2.
    **options
        `channels`, `kernel`, `dilations` of each.

    Raises
    ------
    RecipeError
        When the stages do not add up to the controls.
    """

    def __init__(self, controls: int, stages: Sequence[int] | None = None, **options: Any) -> None:
        super().__init__()
        self.stages = tuple(stages) if stages else (controls,)
        if sum(self.stages) != controls or min(self.stages) < 1:
            raise RecipeError(f"stages {list(self.stages)} of {controls} controls; expected counts that add up to it")
        self.networks = nn.ModuleList(TCN(count, **options) for count in self.stages)

    @property
    def receptive_field(self) -> int:
        """Input samples that one output sample depends on."""
        memories: list[Any] = [network.receptive_field for network in self.networks]
        return 1 + sum(memory - 1 for memory in memories)

    def forward(self, audio: Tensor, positions: Tensor) -> Tensor:
        """Process audio [batch, 1, samples] at positions [batch, controls]."""
        for network, own in zip(self.networks, positions.split(self.stages, dim=1), strict=True):
            audio = network(audio, own)
        return audio
