"""Black boxes in torch: a real render forward, an estimator backward.

The loss is differentiated exactly down to the audio; only the step from values to audio is estimated, from
renders of the same input at nearby positions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from blackbox_afx.errors import UsageError
from blackbox_afx.grads.protocol import Estimator


@runtime_checkable
class BlackBox(Protocol):
    """What renders: a chain on the farm, a built-in effect, anything with these two methods."""

    def render(self, audio: list[np.ndarray], positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Render each example once.

        Parameters
        ----------
        audio : list of B arrays [shape=(C, N)]
        positions : array [shape=(B, P)] of float64, 0 to 1

        Returns
        -------
        output : array [shape=(B, C, N)]
        ok : array [shape=(B,)] of bool
            False for an example whose render failed; its output is not looked at.
        """
        ...

    def respond(self, audio: list[np.ndarray], points: np.ndarray, cotangents: np.ndarray) -> np.ndarray:
        """Render each example at several points and multiply each render with its example's loss gradient.

        Parameters
        ----------
        audio : list of B arrays [shape=(C, N)]
        points : array [shape=(B, M, P)] of float64, 0 to 1
        cotangents : array [shape=(B, C, N)]
            dL/dy.

        Returns
        -------
        array [shape=(B, M)] of float64
            ``sum(cotangent * render)``, summed in float64; NaN for a render that failed.
        """
        ...


class BlackBoxEffect(torch.nn.Module):
    """Put a black box into a network: its audio forward, its estimated gradient backward.

    Parameters
    ----------
    box : BlackBox
    estimator : Estimator
    steps : array [shape=(P,)]
        See `blackbox_afx.grads.steps.step_sizes`; NaN: not differentiated.
    seed : int
        Of the generator that the estimator draws directions from.
    snap : callable, positions [shape=(..., P)] -> positions, or None
        Moves positions onto the grid of the controls, as the box itself would.  With it the estimator divides
        by the differences that the plugin saw.
    guide : callable, (audio, positions, cotangents, output) -> array [shape=(B, P)], or None
        Makes the direction that guided estimators take, from what went in, where, the loss gradient, and what came
        out; arguments as `estimate` has them.  One that has a method ``respond(rows, points, cotangents)`` answers the
        probes of these rows itself, as `BlackBox.respond` would.
    limit : float >= 0
        Longest gradient of an example, in medians of its batch; 0 for none.  A loss that breaks within a step of a
        control gives a derivative many times as long as others, which would decide a whole training step.

    Attributes
    ----------
    calls : int
        Renders asked for beyond the forward ones.
    failed : int
        Examples that lost their forward render, or so many probes that no estimate was left.
    last_ok : array [shape=(B,)] of bool, or None
        Which examples of the latest forward pass, or backward pass if that came later, did not fail.
        A training loop leaves the others out of the loss.
    rng, state
        The generator, and what the estimator carries from step to step.

    Notes
    -----
    An example that failed comes out as its input went in (finite, and of the right size) and gets gradient 0.
    An example whose loss gradient is 0 throughout, one left out of the loss, is not probed: its gradient *is*
    0.
    One whose loss gradient is not finite gets NaN, as in any torch function, so that a broken loss is seen.

    The gradient stops here: audio gets none.  Several effects in series are one box (a chain), not several
    modules.

    Examples
    --------
    >>> effect = BlackBoxEffect(box, make_estimator("orthogonal", directions=8), steps)  # doctest: +SKIP
    >>> loss(effect(audio, values), target).backward()  # doctest: +SKIP
    """

    def __init__(
        self,
        box: BlackBox,
        estimator: Estimator,
        steps: np.ndarray,
        *,
        seed: int = 0,
        snap: Callable[[np.ndarray], np.ndarray] | None = None,
        guide: Callable[[list[np.ndarray], np.ndarray, np.ndarray, list[np.ndarray]], np.ndarray] | None = None,
        limit: float = 0.0,
    ) -> None:
        super().__init__()
        self.limit = limit
        self.box = box
        self.estimator = estimator
        self.steps = np.asarray(steps, dtype=np.float64)
        self.snap = snap
        self.guide = guide
        self.rng = np.random.default_rng(seed)
        self.state: Any = None
        self.calls = 0
        self.failed = 0
        self.last_ok: np.ndarray | None = None

    def forward(self, audio: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Render.

        Parameters
        ----------
        audio : Tensor [shape=(B, C, N)]
        values : Tensor [shape=(B, P)], 0 <= values <= 1
            Positions of the controls.

        Returns
        -------
        Tensor [shape=(B, C, N)]

        Raises
        ------
        UsageError
            If shapes do not fit each other, or a value is not finite or outside the box.
        """
        controls = len(self.steps)
        if audio.ndim != 3 or values.shape != (len(audio), controls):
            raise UsageError(
                f"audio has shape {tuple(audio.shape)} and values {tuple(values.shape)}, "
                f"expected [batch, channels, samples] and [batch, {controls}]"
            )
        low, high = (float(bound) for bound in torch.aminmax(values.detach())) if values.numel() else (0.0, 1.0)
        if not (low >= 0.0 and high <= 1.0):
            raise UsageError(f"values lie in {low:g}..{high:g}, expected positions from 0 to 1: use a sigmoid")
        if audio.requires_grad and torch.is_grad_enabled():
            warnings.warn(
                "a black box passes no gradient on to its audio: make effects in series one chain",
                stacklevel=2,
            )
        return BlackBoxFunction.apply(audio, values, self)

    def estimate(
        self,
        audio: np.ndarray,
        positions: np.ndarray,
        output: np.ndarray,
        cotangents: np.ndarray,
        ok: np.ndarray,
    ) -> np.ndarray:
        """Probe the box and make the gradient with respect to the positions.

        Parameters
        ----------
        audio, output, cotangents : array [shape=(B, C, N)]
        positions : array [shape=(B, P)] of float64
        ok : array [shape=(B,)] of bool
            Examples whose forward render came back.

        Returns
        -------
        array [shape=(B, P)] of float64
        """
        if self.snap is not None:
            positions = np.asarray(self.snap(positions), dtype=np.float64)
        finite = np.isfinite(cotangents).all(axis=(1, 2))
        heard = finite & cotangents.any(axis=(1, 2))
        base = np.where(ok, np.einsum("bcn,bcn->b", cotangents, output, dtype=np.float64), np.nan)
        guide = None if self.guide is None else self.guide(list(audio), positions, cotangents, list(output))

        points, state = self.estimator.ask(positions, self.steps, guide, self.rng, self.state)
        if self.snap is not None:
            points = np.asarray(self.snap(points), dtype=np.float64)
        wanted = np.flatnonzero(ok & heard)
        responses = np.where((ok & finite)[:, None], np.zeros(points.shape[:2]), np.nan)
        if points.shape[1] and len(wanted):
            answer = getattr(self.guide, "respond", None)
            if answer is not None:
                responses[wanted] = answer(wanted, points[wanted], cotangents[wanted])
            else:
                responses[wanted] = self.box.respond([audio[i] for i in wanted], points[wanted], cotangents[wanted])
            self.calls += len(wanted) * points.shape[1]
        gradient, self.state = self.estimator.tell(points, responses, base, guide, state)

        valid = getattr(self.state, "valid", None)
        if valid is None:
            valid = np.isfinite(responses).any(axis=1) | (points.shape[1] == 0)
        self.last_ok = ok & (valid | ~finite)
        self.failed += int((ok & ~self.last_ok).sum())
        gradient = np.where((self.last_ok & heard)[:, None], gradient, 0.0)
        if self.limit:
            gradient = shortened(gradient, self.limit)
        gradient[~finite & ok] = np.nan
        return gradient


def shortened(gradient: np.ndarray, limit: float) -> np.ndarray:
    """Shorten rows [B, P] that are longer than `limit` medians of those that are not 0."""
    length = np.linalg.norm(gradient, axis=1)
    if not length.any():
        return gradient
    longest = limit * np.median(length[length > 0])
    return gradient * np.minimum(1.0, longest / np.maximum(length, 1e-300))[:, None]


class BlackBoxFunction(torch.autograd.Function):
    """Carry audio and values from the forward render to the backward probes of a `BlackBoxEffect`.

    All that a call needs is kept in its own context, so several forward passes may precede one backward.
    """

    @staticmethod
    def forward(ctx: Any, audio: torch.Tensor, values: torch.Tensor, effect: BlackBoxEffect) -> torch.Tensor:
        """Render each example; an example that fails comes out as it went in."""
        sound = _numpy(audio)
        output, ok = effect.box.render(list(sound), _numpy(values).astype(np.float64))
        output = np.asarray(output)
        if output.shape != sound.shape:
            raise UsageError(
                f"the box rendered {output.shape}, expected {sound.shape} like its input: crop its latency"
            )
        ok = np.asarray(ok, dtype=bool) & np.isfinite(output).all(axis=(1, 2))
        output = np.where(ok[:, None, None], output, sound)
        effect.last_ok = ok
        effect.failed += int((~ok).sum())
        ctx.effect, ctx.ok = effect, ok
        rendered = torch.from_numpy(output).to(audio)
        ctx.save_for_backward(audio, values, rendered)
        return rendered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyrefly: ignore[bad-override]  (the decorator's typing)
        """Estimate the gradient of the values; audio gets none."""
        if not ctx.needs_input_grad[1]:
            return None, None, None
        audio, values, rendered = ctx.saved_tensors
        gradient = ctx.effect.estimate(
            _numpy(audio),
            _numpy(values).astype(np.float64),
            _numpy(rendered),
            _numpy(grad_outputs[0]),
            ctx.ok,
        )
        return None, torch.from_numpy(gradient).to(values), None


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    """Copy a tensor to an array; half precision, which numpy or plugins do not take, becomes float32."""
    tensor = tensor.detach().cpu()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    return tensor.contiguous().numpy()
