"""The plugin's audio forward, a proxy's Jacobian backward (NP-FH of the 2022 paper, as it was meant).

The loss is differentiated exactly at the audio that the plugin really made; only the step from there to the positions
goes through the proxy, at the very input and positions.

Notes
-----
Not to be confused with a loss on the proxy's audio (NP): there the loss gradient itself is that of a sound which the
plugin does not make.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from blackbox_afx.errors import UsageError
from blackbox_afx.grads.bridge import BlackBox


class StraightThroughEffect(nn.Module):
    """Render by the black box, differentiate by the proxy.

    Parameters
    ----------
    box : BlackBox
    proxy : nn.Module
        (audio [batch, channels, samples], positions [batch, controls]) -> audio; it is not changed.
    differentiable : bool [controls], optional
        Controls that get a gradient; all by default. Toggles and choices are turned by halves in no plugin.

    Attributes
    ----------
    failed : int
        Examples that lost their render.
    last_ok : bool [batch] or None
        Which examples of the latest call did not fail. A failed one comes out as it went in, with gradient 0.
    """

    def __init__(self, box: BlackBox, proxy: nn.Module, differentiable: np.ndarray | None = None) -> None:
        super().__init__()
        self.box = box
        # In a list, so that the proxy's weights are not taken for this module's, which would train and save them.
        self._proxy = [proxy]
        self.differentiable = differentiable
        self.failed = 0
        self.last_ok: np.ndarray | None = None

    @property
    def proxy(self) -> nn.Module:
        """The proxy."""
        return self._proxy[0]

    def _apply(self, fn: Any, recurse: bool = True) -> StraightThroughEffect:
        # The proxy moves along to another device, though its weights are not this module's.
        self.proxy._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def forward(self, audio: Tensor, positions: Tensor) -> Tensor:
        """Render audio [batch, channels, samples] at positions [batch, controls]."""
        return _StraightThrough.apply(audio, positions, self)

    def render(self, audio: Tensor, positions: Tensor) -> tuple[Tensor, np.ndarray]:
        """Render without a gradient: the audio, and which examples did not fail."""
        sound = audio.detach().cpu().float().contiguous().numpy()
        output, ok = self.box.render(list(sound), positions.detach().cpu().double().numpy())
        output = np.asarray(output)
        if output.shape != sound.shape:
            raise UsageError(
                f"the box rendered {output.shape}, expected {sound.shape} like its input: crop its latency"
            )
        ok = np.asarray(ok, bool) & np.isfinite(output).all(axis=(1, 2))
        self.last_ok = ok
        self.failed += int((~ok).sum())
        return torch.from_numpy(np.where(ok[:, None, None], output, sound)).to(audio), ok

    def pull_back(self, audio: Tensor, positions: Tensor, cotangent: Tensor, ok: np.ndarray) -> Tensor:
        """Multiply a loss gradient at the audio by the proxy's Jacobian: the gradient [batch, controls]."""
        with torch.enable_grad():
            at = positions.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.proxy(audio.detach(), at), at, cotangent)
        if self.differentiable is not None:
            gradient = gradient * torch.as_tensor(self.differentiable, dtype=gradient.dtype, device=gradient.device)
        # Written, not multiplied: a failed example's gradient may be anything.
        gradient[torch.as_tensor(~ok, device=gradient.device)] = 0.0
        return gradient


class _StraightThrough(torch.autograd.Function):
    """Keep what backward needs in the call's own context, so that several forward passes may precede one backward."""

    @staticmethod
    def forward(ctx: Any, audio: Tensor, positions: Tensor, effect: StraightThroughEffect) -> Tensor:
        rendered, ok = effect.render(audio, positions)
        ctx.effect, ctx.ok = effect, ok
        ctx.save_for_backward(audio, positions)
        return rendered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyrefly: ignore[bad-override]  (the decorator's typing)
        """Pull the loss gradient back through the proxy; audio gets none."""
        if not ctx.needs_input_grad[1]:
            return None, None, None
        audio, positions = ctx.saved_tensors
        return None, ctx.effect.pull_back(audio, positions, grad_outputs[0], ctx.ok), None
