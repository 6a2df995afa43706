"""How level and tone move in a file, and how a stretch would sound with another level and tone.

Conventions: N blocks of a quarter of the controller's window. Shapes [SHAPES] are dB: the bands' mean level first,
then the first cosine coefficients of the spectrum over bands, scaled so that their root sum of squares is the RMS
difference over bands. They are measured on the frames in which something is heard.
"""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec
import numpy as np
from scipy import fft

from blackbox_afx.audio import stream
from blackbox_afx.features.bands import band_bank, decibels
from blackbox_afx.transfer.listen import SILENT_POWER

PAUSE_DB = 35.0
"""Blocks this far below the loud ones (90th percentile) are pauses. More than for stretches that stand for a whole
recording: a quiet passage is what automation is for."""
BANDS = 40
SHAPES = 6
"""The level, and five coefficients of tone: the finest has two and a half waves over the spectrum."""
HEARD_DB = 20.0
"""Frames this far below a block's loud ones do not count: pauses say nothing of how loud somebody is."""


class Course(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold how a file goes on, block by block.

    Parameters
    ----------
    shapes : float64 [N, SHAPES]
    active : bool [N]
        False in pauses.
    block_s : float
        Seconds of a block.
    """

    shapes: np.ndarray
    active: np.ndarray
    block_s: float


def follow(path: str | Path, sample_rate: int, block: int, channel: int | None, gain_db: float) -> Course:
    """Measure a file block by block, in bounded memory.

    Parameters
    ----------
    path : path
    sample_rate : int
        Of the controller, Hz.
    block : int
        Samples at that rate; a rest at the end that is shorter counts as one if it is half a block or all there is.
    channel : int or None
        Which one; None for the channels' mean.
    gain_db : float
        Applied first.
    """
    gain = np.float32(10 ** (gain_db / 20))
    shapes, powers = [], []
    for piece in stream(path, block, sample_rate=sample_rate):
        if piece.shape[1] < block / 2 and shapes:
            continue
        mono = (piece.mean(axis=0, dtype=np.float32) if channel is None else piece[channel]) * gain
        shapes.append(measure(mono, sample_rate))
        powers.append(float(np.mean(np.square(mono, dtype=np.float64))))
    return Course(shapes=np.stack(shapes), active=find_active(np.array(powers)), block_s=block / sample_rate)


def find_active(powers: np.ndarray) -> np.ndarray:
    """Mark the blocks in which something is heard, from their mean squares [N]; at least one is."""
    audible = powers[powers > SILENT_POWER]
    if not len(audible):
        return np.arange(len(powers)) == np.argmax(powers)
    return powers >= max(np.quantile(audible, 0.9) * 10 ** (-PAUSE_DB / 10), SILENT_POWER)


@functools.lru_cache(maxsize=4)
def _analysis(sample_rate: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    size = 2 * round(2048 / 24000 * sample_rate / 2)
    bank, centres = band_bank(np.arange(size // 2 + 1) * sample_rate / size, BANDS)
    return size, np.hanning(size + 1)[:-1].astype(np.float32), bank, centres


def measure(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Measure how loud something is, and with what tone.

    Parameters
    ----------
    audio : float32 [samples]
        Mono; padded with silence where it is shorter than a frame of 85 ms.
    sample_rate : int
        Hz.

    Returns
    -------
    float64 [SHAPES]
        A gain moves the first alone.
    """
    size, window, bank, _ = _analysis(sample_rate)
    padded = np.pad(audio, (0, max(0, size - len(audio))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2] * window
    power = np.square(np.abs(fft.rfft(frames, axis=1))) / np.sum(window) ** 2
    total = power.sum(axis=1)
    heard = power[total >= np.quantile(total, 0.95) * 10 ** (-HEARD_DB / 10)].mean(axis=0)
    shapes = fft.dct(decibels(heard @ bank, -150.0).astype(np.float64), norm="ortho")
    return shapes[:SHAPES] / np.sqrt(BANDS)


def reshape(audio: np.ndarray, change: np.ndarray, sample_rate: int) -> np.ndarray:
    """Give a stretch another level and tone.

    Parameters
    ----------
    audio : float32 [samples]
        Mono.
    change : float64 [SHAPES]
        What to add to its shapes, dB.
    sample_rate : int
        Hz.

    Returns
    -------
    float32 [samples]
        Filtered without phase; what rings over the end comes in at the start, some 10 ms of it.
    """
    padded = np.zeros(BANDS)
    padded[:SHAPES] = change * np.sqrt(BANDS)
    curve = fft.idct(padded, norm="ortho")
    size = fft.next_fast_len(len(audio), real=True)
    hertz = np.fft.rfftfreq(size, 1.0 / sample_rate)
    *_, centres = _analysis(sample_rate)
    gains = 10 ** (np.interp(np.log1p(hertz), np.log1p(centres), curve) / 20)
    return fft.irfft(fft.rfft(audio, size) * gains.astype(np.float32), size)[: len(audio)].astype(np.float32)
