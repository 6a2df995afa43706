"""A feed-forward compressor in torch: exact, or with the one-pole approximation of the 2022 paper.

Two choices, as compressors differ in them:

detector
    ``gain``: the level of every sample goes through the static curve and the *reduction* in dB is smoothed (the paper,
    most of the literature, ZamComp). ``level``: the rectified audio is smoothed and its level goes through the static
    curve (JUCE, so pedalboard's Compressor).
smoothing
    ``exact``: attack and release, sample by sample (`blackbox_afx.dsp.ballistics`). ``one_pole``: one linear low-pass
    with its corner at ``1 / (2 attack)`` Hz, by FFT; the release has no part in it and gets no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from blackbox_afx.dsp.ballistics import Engine, coefficient, smooth
from blackbox_afx.dsp.biquads import one_pole_low_pass
from blackbox_afx.dsp.frequency_sampling import filter_sampled
from blackbox_afx.dsp.gain_computer import gain_reduction_db
from blackbox_afx.errors import UsageError, nearest

Detector = Literal["gain", "level"]
Smoothing = Literal["one_pole", "exact"]

FLOOR_DB = -96.0
"""Softer samples count as this loud, so that silence has a level."""

RISE_TIME = math.log(9.0)
"""Attack and release as the time from 10 to 90 % (the paper); 1 for time constants, `JUCE_TIME` as JUCE has them."""
JUCE_TIME = 2.0 * math.pi


def amplitude_db(amplitude: Tensor, floor_db: float = FLOOR_DB) -> Tensor:
    """Give the level of amplitudes, dB, not below a floor; there the derivative is zero."""
    return 20.0 * amplitude.clamp(min=10.0 ** (floor_db / 20.0)).log10()


def compress(
    audio: Tensor,
    sample_rate: float,
    *,
    threshold_db: Tensor,
    ratio: Tensor,
    attack_ms: Tensor,
    release_ms: Tensor,
    knee_db: Tensor | None = None,
    makeup_db: Tensor | None = None,
    detector: Detector = "gain",
    smoothing: Smoothing = "exact",
    time_factor: float = RISE_TIME,
    curve: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = gain_reduction_db,
    engine: Engine = "auto",
) -> Tensor:
    """Reduce the level above a threshold, each channel by its own.

    Parameters
    ----------
    audio : Tensor [batch, channels, samples]
        Full scale at +-1.
    sample_rate : float
        Hz.
    threshold_db : Tensor [batch]
        dBFS.
    ratio : Tensor [batch] >= 1
        dB in for each dB out above the threshold.
    attack_ms, release_ms : Tensor [batch] > 0
    knee_db : Tensor [batch] >= 0, optional
        Its whole width; hard without.
    makeup_db : Tensor [batch], optional
        Added to the gain; none without.
    detector : {"gain", "level"}
        What is smoothed.
    smoothing : {"one_pole", "exact"}
    time_factor : float
        What exact attack and release times mean, see `ballistics.coefficient`.
    curve : callable
        The static curve, ``(level_db, threshold_db, ratio, knee_db) -> reduction in dB``.
    engine : str
        Of the exact smoothing, see `ballistics.smooth`.

    Returns
    -------
    Tensor [batch, channels, samples]

    Raises
    ------
    UsageError
        For an unknown detector, smoothing or engine.

    References
    ----------
    Giannoulis, Massberg, Reiss, "Digital dynamic range compressor design", JAES 60(6), 2012.
    Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing", JAES 70(9), 2022,
    eq. 3 (exact) and 4 (one pole).
    """
    for what, name, known in (
        ("detector", detector, ["gain", "level"]),
        ("smoothing", smoothing, ["exact", "one_pole"]),
    ):
        if name not in known:
            raise UsageError(f"no {what} is called '{name}'; {nearest(name, known)}")
    threshold, slope, knee = (
        part.to(audio)[:, None, None]
        for part in (threshold_db, ratio, torch.zeros_like(ratio) if knee_db is None else knee_db)
    )
    batch, channels, samples = audio.shape

    def follow(signal: Tensor) -> Tensor:
        if smoothing == "one_pole":
            b, a = one_pole_low_pass(500.0 / attack_ms, sample_rate)
            return filter_sampled(signal, b[:, None], a[:, None])
        each = (
            coefficient(time, sample_rate, time_factor)[:, None].expand(-1, channels).reshape(-1)
            for time in (attack_ms, release_ms)
        )
        return smooth(signal.reshape(-1, samples), *each, engine=engine).view(batch, channels, samples)

    if detector == "level":
        reduction = curve(amplitude_db(follow(audio.abs())), threshold, slope, knee)
    else:
        reduction = follow(curve(amplitude_db(audio.abs()), threshold, slope, knee))
    gain_db = -reduction if makeup_db is None else makeup_db.to(audio)[:, None, None] - reduction
    return audio * decibels(gain_db)


def decibels(gain_db: Tensor) -> Tensor:
    """Give the factor of a gain in dB."""
    return (gain_db * (math.log(10.0) / 20.0)).exp()
