"""What a controller hears of a file: a few active stretches, chosen over its whole length in bounded memory."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from blackbox_afx.audio import check_file, peak_dbfs, read_audio, stream
from blackbox_afx.errors import AudioError

MINIMUM_S = 1.0
ACTIVE_DB = 15.0
"""Stretches this far below the loud ones (90th percentile) are pauses."""
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
    """

    path: str
    stretches: tuple[np.ndarray, ...]
    peak_dbfs: float
    seconds: float
    channels: int
    sample_rate: int


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
    about = check_file(path, min_seconds=MINIMUM_S)
    frames = round(segment * about.sample_rate / sample_rate)
    channel = _hearable_channel(path, frames)
    levels = [float(np.mean(np.square(_mono(block, channel)))) for block in stream(path, frames)]
    if len(levels) > 1 and about.frames % frames:
        # The last stretch is a whole one that ends with the file.
        levels[-1] = max(levels[-1], 1e-12)
    starts = [min(k * frames, max(about.frames - frames, 0)) for k in range(len(levels))]
    power = np.asarray(levels)
    active = np.flatnonzero(power >= np.quantile(power, 0.9) * 10 ** (-ACTIVE_DB / 10))
    chosen = active[
        np.unique(np.linspace(0, len(active) - 1, min(stretches, len(active))).round().astype(int))
    ]
    heard = []
    for k in chosen:
        audio, _ = read_audio(path, start=starts[k], frames=frames, sample_rate=sample_rate)
        heard.append(np.ascontiguousarray(_mono(audio, channel)))
    peaks = [peak_dbfs(clip) for clip in heard]
    peak = float(np.quantile(peaks, 0.75, method="higher"))
    if not np.isfinite(peak):
        raise AudioError(f"{path}: silent; expected a recording with sound in it")
    return Heard(
        path=str(path),
        stretches=tuple(heard),
        peak_dbfs=peak,
        seconds=about.frames / about.sample_rate,
        channels=about.channels,
        sample_rate=about.sample_rate,
    )


def _hearable_channel(path: str | Path, frames: int) -> int | None:
    """Give None to average the channels, or the louder channel where averaging would cancel them."""
    both = apart = 0.0
    energy: np.ndarray | float = 0.0
    for block in stream(path, frames):
        if len(block) == 1:
            return None
        both += float(np.sum(np.square(block.mean(axis=0))))
        energy = energy + np.sum(np.square(block), axis=1, dtype=np.float64)
        apart += float(np.mean(np.sum(np.square(block), axis=1)))
    return int(np.argmax(energy)) if both < 0.01 * apart else None


def _mono(audio: np.ndarray, channel: int | None) -> np.ndarray:
    return audio.mean(axis=0, dtype=np.float32) if channel is None else audio[channel]
