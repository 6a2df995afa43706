"""Distortion without memory: a curve that every sample goes through, with or without oversampling against aliasing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from blackbox_afx.dsp.compressor import decibels
from blackbox_afx.errors import UsageError, nearest

_GUARD = 1024
"""Zeros behind the audio, so that the interpolation's ringing does not come round to its start."""


def soft_clip(audio: Tensor) -> Tensor:
    """Bend by the cubic ``(3x - x^3) / 2`` and clip at +-1, where its slope is 0."""
    inside = audio.clamp(-1.0, 1.0)
    return 1.5 * inside - 0.5 * inside**3


SHAPES: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "soft_clip": soft_clip}


def distort(
    audio: Tensor,
    sample_rate: float,
    *,
    drive_db: Tensor,
    level_db: Tensor | None = None,
    shape: Literal["tanh", "soft_clip"] = "tanh",
    oversampling: int = 1,
) -> Tensor:
    """Drive audio into a curve.

    Parameters
    ----------
    audio : Tensor [batch, channels, samples]
        Full scale at +-1.
    sample_rate : float
        Not used.
    drive_db : Tensor [batch]
        Gain before the curve.
    level_db : Tensor [batch], optional
        Gain after it.
    shape : {"tanh", "soft_clip"}
        ``tanh`` is what pedalboard's Distortion does.
    oversampling : int >= 1
        How many times the sample rate the curve is applied at; harmonics above half of that still fold back.

    Returns
    -------
    Tensor [batch, channels, samples]

    Raises
    ------
    UsageError
        For an unknown shape, or no whole oversampling factor.
    """
    if shape not in SHAPES:
        raise UsageError(f"no shape is called '{shape}'; {nearest(shape, list(SHAPES))}")
    if oversampling < 1 or int(oversampling) != oversampling:
        raise UsageError(f"oversampling = {oversampling}; expected a whole number from 1")
    driven = audio * decibels(drive_db).to(audio)[:, None, None]
    bent = _oversampled(driven, SHAPES[shape], int(oversampling))
    return bent if level_db is None else bent * decibels(level_db).to(audio)[:, None, None]


def _oversampled(audio: Tensor, curve: Callable[[Tensor], Tensor], factor: int) -> Tensor:
    """Interpolate by a longer spectrum, apply the curve, and cut the spectrum back: no delay, no filter to design."""
    if factor == 1:
        return curve(audio)
    samples = audio.shape[-1]
    size = samples + samples % 2 + _GUARD
    fine = torch.fft.irfft(torch.fft.rfft(audio, size), factor * size) * factor
    spectrum = torch.fft.rfft(curve(fine))[..., : size // 2 + 1]
    return torch.fft.irfft(spectrum, size)[..., :samples] / factor
