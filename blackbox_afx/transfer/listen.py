"""What a controller hears of a file: a few active stretches, chosen over its whole length in bounded memory."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from blackbox_afx.audio import checked_stream, info, peak_dbfs, read_audio
from blackbox_afx.errors import AudioError

MINIMUM_S = 1.0
ACTIVE_DB = 15.0
"""Stretches this far below the loud ones (90th percentile) are pauses."""
SILENT_POWER = 1e-9
"""Mean square (-90 dBFS) of stretches that hold nothing; they say nothing about how loud the others are."""
STRETCHES = 8


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what was heard of one recording.

    Parameters
    ----------
    path : str
    stretches : tuple of float32 [samples]
        Mono, at the controller's rate.
    peak_dbfs : float
        Upper quartile of the stretches' peaks: one click does not set the level of an hour.
    seconds : float
        Length of the whole file.
    channels, sample_rate : int
        Of the file.
    starts : tuple of float
        Where in the file each stretch begins, seconds.
    rate : int
        Of the stretches, Hz.
    channel : int or None
        Which channel was heard; None for their mean.
    """

    path: str
    stretches: tuple[np.ndarray, ...]
    peak_dbfs: float
    seconds: float
    channels: int
    sample_rate: int
    starts: tuple[float, ...] = ()
    rate: int = 0
    channel: int | None = None


def listen(path: str | Path, sample_rate: int, segment: int, stretches: int = STRETCHES) -> Heard:
    """Choose active stretches of a file, evenly over its length.

    Parameters
    ----------
    path : path
    sample_rate : int
        Of the controller, Hz.
    segment : int
        Samples of one stretch at that rate; a shorter file is one stretch.
    stretches : int
        How many at the most.

    Returns
    -------
    Heard

    Raises
    ------
    AudioError
        No such file, not audio, empty, silent, NaN, or shorter than a second.
    """
    about = info(path)
    frames = round(segment * about.sample_rate / sample_rate)
    power, channel, total = _levels(path, frames)
    audible = power[power > SILENT_POWER]
    if not len(audible):
        raise AudioError(f"{path}: silent; expected a recording with sound in it")
    active = np.flatnonzero(power >= np.quantile(audible, 0.9) * 10 ** (-ACTIVE_DB / 10))
    spread = np.linspace(0, len(active) - 1, min(stretches, len(active)))
    heard, starts = [], []
    for k in active[np.unique(spread.round().astype(int))]:
        # The last stretch is a whole one that ends with the file.
        start = min(int(k) * frames, max(total - frames, 0))
        audio, _ = read_audio(path, start=start, frames=frames, sample_rate=sample_rate)
        heard.append(np.ascontiguousarray(_mono(audio, channel)))
        starts.append(start / about.sample_rate)
    return Heard(
        path=str(path),
        stretches=tuple(heard),
        peak_dbfs=float(np.quantile([peak_dbfs(clip) for clip in heard], 0.75, method="higher")),
        seconds=total / about.sample_rate,
        channels=about.channels,
        sample_rate=about.sample_rate,
        starts=tuple(starts),
        rate=sample_rate,
        channel=channel,
    )


def _levels(path: str | Path, frames: int) -> tuple[np.ndarray, int | None, int]:
    """Measure each stretch's mean square and check the whole file, once through it.

    Returns
    -------
    float64 [stretches]
    int or None
        None to average the channels, or the louder channel where averaging would cancel them.
    int
        Samples in the file; not every header tells the truth.
    """
    mixed, apart, total = [], [], 0
    for block in checked_stream(path, frames, min_seconds=MINIMUM_S):
        mixed.append(np.mean(np.square(block.mean(axis=0, dtype=np.float32)), dtype=np.float64))
        apart.append(np.mean(np.square(block), axis=1, dtype=np.float64))
        total += block.shape[1]
    each = np.stack(apart)
    if np.sum(mixed) < 0.01 * np.sum(each):
        channel = int(np.argmax(each.sum(axis=0)))
        return each[:, channel], channel, total
    return np.asarray(mixed), None, total


def _mono(audio: np.ndarray, channel: int | None) -> np.ndarray:
    return audio.mean(axis=0, dtype=np.float32) if channel is None else audio[channel]
