"""Attack and release in torch, exact and differentiable by signal and by both coefficients.

``y[n] = a y[n-1] + (1 - a) x[n]``, where a is the attack's coefficient if ``x[n] > y[n-1]`` and the release's
otherwise. Once it is known which held where, the recursion is linear, and its gradient is a linear recursion backwards.

Three engines give the same:

loop
    Plain Python, row by row (`blackbox_afx.features.ballistics`): the fastest on a CPU without numba.
iterate
    For GPUs. Guess where the attack holds, solve the linear recursion for that guess by a scan, compare, guess again.
    Where the attack is the faster, y is the larger of two contractions of y[n-1], and this is Howard's policy
    iteration, which rises to the solution in a finite number of rounds; where it is the slower, the smaller, and falls.
torchcomp
    A numba or CUDA kernel, where the extra `exact` is installed.

References
----------
Giannoulis, Massberg, Reiss, "Digital dynamic range compressor design", JAES 60(6), 2012, eq. 16.
Yu, Mitcheltree, Carson, Bilbao, Reiss, Fazekas, "Differentiable all-pole filters for time-varying audio systems",
DAFx 2024 (torchcomp).
Howard, "Dynamic programming and Markov processes", 1960.
"""

from __future__ import annotations

import importlib.util
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from blackbox_afx.dsp.scan import linear_scan
from blackbox_afx.errors import UsageError
from blackbox_afx.features.ballistics import attack_release

Engine = Literal["auto", "loop", "iterate", "torchcomp"]
ROUNDS = 500
"""After so many guesses `iterate` hands over to `loop`; on speech and music it needs 2 to 50."""
_TIE = 1e-13


def _before(values: Tensor) -> Tensor:
    return torch.nn.functional.pad(values[:, :-1], (1, 0))


def _loop(signal: Tensor, attack: Tensor, release: Tensor) -> Tensor:
    rows = zip(signal.cpu().numpy(), attack.tolist(), release.tolist(), strict=True)
    return torch.from_numpy(np.stack([attack_release(*row) for row in rows])).to(signal)


def _iterate(signal: Tensor, attack: Tensor, release: Tensor) -> Tensor:
    rising = signal > _before(signal)
    last = torch.full_like(signal, torch.inf)
    near = _TIE * signal.abs().max()
    for _ in range(ROUNDS):
        decay = torch.where(rising, attack[:, None], release[:, None])
        smoothed = linear_scan(decay, (1.0 - decay) * signal)
        now = signal > _before(smoothed)
        # A steady signal is met to rounding, and its guesses may flicker for ever without a change of value.
        if torch.equal(now, rising) or bool((smoothed - last).abs().max() <= near):
            return smoothed
        rising, last = now, smoothed
    return _loop(signal, attack, release)


class _AttackRelease(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, signal: Tensor, attack: Tensor, release: Tensor, engine: str) -> Tensor:
        smoothed = (_loop if engine == "loop" else _iterate)(signal, attack, release)
        ctx.save_for_backward(signal, attack, release, smoothed)
        return smoothed

    @staticmethod
    @torch.autograd.function.once_differentiable
    # once_differentiable hides the parameter's name from the checker.
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyrefly: ignore[bad-override]
        signal, attack, release, smoothed = ctx.saved_tensors
        before = _before(smoothed)
        rising = signal > before
        decay = torch.where(rising, attack[:, None], release[:, None])
        # v[n] = g[n] + decay[n+1] v[n+1]: what a change of y[n] does to the loss, now and later.
        back = linear_scan(_before(decay.flip(-1)), grad_outputs[0].flip(-1)).flip(-1)
        slope = back * (before - signal)
        nothing = torch.zeros_like(slope)
        return (
            (1.0 - decay) * back,
            torch.where(rising, slope, nothing).sum(-1),
            torch.where(rising, nothing, slope).sum(-1),
            None,
        )


def smooth(signal: Tensor, attack: Tensor, release: Tensor, *, engine: Engine = "auto") -> Tensor:
    """Smooth rows, each with its own attack and release, from 0 before the first sample.

    Parameters
    ----------
    signal : Tensor [rows, samples]
    attack, release : Tensor [rows], 0 <= a < 1
        Coefficients; see `coefficient`.
    engine : {"auto", "loop", "iterate", "torchcomp"}
        What runs it: torchcomp where it is installed, otherwise `iterate` on a GPU and `loop` on a CPU.

    Returns
    -------
    Tensor [rows, samples]
        In the signal's dtype; computed in double.

    Raises
    ------
    UsageError
        For torchcomp where it is not installed, or an unknown engine.

    Notes
    -----
    The gradient is exact but where ``x[n] = y[n-1]``: both coefficients give the same value there, and the release's
    derivative is taken.
    """
    if engine not in ("auto", "loop", "iterate", "torchcomp"):
        raise UsageError(f"no engine is called '{engine}'; known: auto, loop, iterate, torchcomp")
    there = importlib.util.find_spec("torchcomp") is not None
    if engine == "torchcomp" and not there:
        raise UsageError("torchcomp is not installed; expected the extra 'exact'; pip install 'blackbox-afx[exact]'")
    if engine == "auto":
        engine = "torchcomp" if there else "iterate" if signal.is_cuda else "loop"
    if not signal.numel():
        return signal
    rows, up, down = signal.double(), attack.double(), release.double()
    if engine == "torchcomp":
        from torchcomp.core import compressor_core  # pyrefly: ignore[missing-import]  (an extra)

        # It takes 1 - a, first the one for when the signal falls: it is made for gains, which fall during the attack.
        return compressor_core(rows, torch.zeros_like(up), 1.0 - down, 1.0 - up).to(signal)
    return _AttackRelease.apply(rows, up, down, engine).to(signal)


def coefficient(time_ms: Tensor, sample_rate: float, factor: float) -> Tensor:
    """Give the coefficient of an attack or release time, ``exp(-factor / (sample_rate * time))``.

    Parameters
    ----------
    time_ms : Tensor [...] > 0
    sample_rate : float
        Hz.
    factor : float > 0
        What "time" means: 1 the time constant (63 %), ln 9 the rise from 10 to 90 %, 2 pi as JUCE has it.

    Returns
    -------
    Tensor [...] float64, in (0, 1)
    """
    return (-1000.0 * factor / (sample_rate * time_ms.double())).exp()
