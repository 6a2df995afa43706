"""Gain in dB."""

from __future__ import annotations

from torch import Tensor

from blackbox_afx.dsp.compressor import decibels


def gain(audio: Tensor, sample_rate: float, *, gain_db: Tensor) -> Tensor:
    """Scale audio.

    Parameters
    ----------
    audio : Tensor [batch, channels, samples]
    sample_rate : float
        Not used.
    gain_db : Tensor [batch]

    Returns
    -------
    Tensor [batch, channels, samples]
    """
    return audio * decibels(gain_db).to(audio)[:, None, None]
