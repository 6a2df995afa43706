"""Recursive filters applied sample by sample, with exact gradients for audio and coefficients.

A filter is its finite part, which torch differentiates by itself, followed by the all-pole recursion, whose gradient
is the same recursion run backwards in time; that makes it differentiable any number of times.

References
----------
Yu, Fazekas, "Differentiable time-varying linear prediction in the context of end-to-end analysis-by-synthesis",
Interspeech 2024 (torchlpc, which the extra `exact` brings).
"""

from __future__ import annotations

import importlib.util
from typing import Any, Literal

import numpy as np
import scipy.signal
import torch
from torch import Tensor

from blackbox_afx.errors import UsageError

Engine = Literal["auto", "scipy", "torchlpc"]


class _AllPole(torch.autograd.Function):
    """``y[n] = x[n] - sum_k a[k] y[n-k]`` for rows [rows, samples] and a [rows, order]; computed by scipy in double."""

    @staticmethod
    def forward(ctx: Any, signal: Tensor, a: Tensor) -> Tensor:
        rows = signal.detach().cpu().double().numpy()
        poles = np.pad(a.detach().cpu().double().numpy(), ((0, 0), (1, 0)), constant_values=1.0)
        out = np.empty_like(rows)
        for k, (row, pole) in enumerate(zip(rows, poles, strict=True)):
            out[k] = scipy.signal.lfilter([1.0], pole, row)
        filtered = torch.from_numpy(out).to(signal)
        ctx.save_for_backward(a, filtered)
        return filtered

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        a, filtered = ctx.saved_tensors
        back = _AllPole.apply(grad_outputs[0].flip(-1), a).flip(-1)
        slope = None
        if ctx.needs_input_grad[1]:
            slope = torch.stack(
                [-(back[:, k:] * filtered[:, : filtered.shape[1] - k]).sum(-1) for k in range(1, a.shape[1] + 1)], -1
            ).to(a)
        return back, slope


def _torchlpc(signal: Tensor, a: Tensor) -> Tensor:
    from torchlpc import sample_wise_lpc  # pyrefly: ignore[missing-import]  (an extra)

    return sample_wise_lpc(signal, a.to(signal)[:, None].expand(-1, signal.shape[1], -1))


def _delayed(signal: Tensor, by: int) -> Tensor:
    return torch.nn.functional.pad(signal, (by, 0))[..., : signal.shape[-1]]


def filter_recursive(audio: Tensor, b: Tensor, a: Tensor, *, engine: Engine = "auto") -> Tensor:
    """Filter audio by sections in series, sample by sample from silence.

    Parameters
    ----------
    audio : Tensor [batch, channels, samples]
        On any device; scipy works on the CPU.
    b, a : Tensor [batch, sections, 3]
        ``a[..., 0]`` is 1. Every channel goes through the same.
    engine : {"auto", "scipy", "torchlpc"}
        What runs the recursion; torchlpc where the extra `exact` is installed, scipy otherwise.

    Returns
    -------
    Tensor [batch, channels, samples]
        In the audio's dtype; computed in double, which filters at low frequencies need.

    Raises
    ------
    UsageError
        For torchlpc where it is not installed, or an unknown engine.
    """
    if engine not in ("auto", "scipy", "torchlpc"):
        raise UsageError(f"no engine is called '{engine}'; known: auto, scipy, torchlpc")
    there = importlib.util.find_spec("torchlpc") is not None
    if engine == "torchlpc" and not there:
        raise UsageError("torchlpc is not installed; expected the extra 'exact'; pip install 'blackbox-afx[exact]'")
    all_pole = _torchlpc if there and engine != "scipy" else _AllPole.apply
    batch, channels, samples = audio.shape
    if not audio.numel():
        return audio
    signal = audio.double()
    for section in range(b.shape[1]):
        taps, poles = (part[:, section].double() for part in (b, a))
        finite = sum(taps[:, k, None, None] * _delayed(signal, k) for k in range(3))
        rows = poles[:, None, 1:].expand(-1, channels, -1).reshape(-1, 2)
        signal = all_pole(torch.as_tensor(finite).reshape(-1, samples), rows).view(batch, channels, samples)
    return signal.to(audio)
