"""How level and tone move in a file, and how a stretch would sound with another level and tone.

Conventions: N blocks of a quarter of the controller's window. Shapes [SHAPES] are dB: the bands' mean level first,
then the first cosine coefficients of the spectrum over bands, scaled so that their root sum of squares is the RMS
difference over bands. They are means of dB over the frames in which something is heard, so that a filter moves them
by its own shape whatever passes through it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from scipy import fft

from blackbox_afx.audio import stream
from blackbox_afx.features.bands import band_bank, decibels
from blackbox_afx.transfer.listen import SILENT_POWER
from blackbox_afx.transfer.voices import Print, take_print

PAUSE_DB = 35.0
"""Blocks this far below the loud ones (90th percentile) are pauses. More than for stretches that stand for a whole
recording: a quiet passage is what automation is for."""
BANDS = 40
SHAPES = 6
"""The level, and five coefficients of tone: the finest has two and a half waves over the spectrum."""
FRAME_S = 1024 / 24000
HEARD_DB = 15.0
"""Frames this far below the loud ones of a block and its neighbours do not count: pauses say nothing of how loud
somebody is, and the faint ends of words have a tone of their own."""
MOVING_DB = 30.0
"""The same for changes from frame to frame, of which the fainter ones tell as much."""


class Course(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold how a file goes on, block by block.

    Parameters
    ----------
    shapes : float64 [N, SHAPES]
    heard : float64 [N]
        How much of a block is heard, 0 to 1; 0 in pauses.
    prints : tuple of Print
        What tells who or what is heard, N of them.
    block_s : float
        Seconds of a block.
    """

    shapes: np.ndarray
    heard: np.ndarray
    prints: tuple[Print, ...]
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
    pieces = stream(path, block, sample_rate=sample_rate)
    mono = (piece.mean(axis=0, dtype=np.float32) if channel is None else piece[channel] for piece in pieces)
    return follow_blocks((piece * gain for piece in mono), sample_rate, block)


def follow_blocks(pieces: Iterable[np.ndarray], sample_rate: int, block: int) -> Course:
    """Measure blocks as they come.

    Parameters
    ----------
    pieces : iterable of float32 [samples]
        Mono; all of one length but the last.
    sample_rate : int
        Hz.
    block : int
        Samples; a rest at the end that is shorter counts as one if it is half a block or all there is.
    """
    powers: list[float] = []

    def frames() -> Iterator[np.ndarray]:
        for piece in pieces:
            if len(piece) < block / 2 and powers:
                continue
            powers.append(float(np.mean(np.square(piece, dtype=np.float64))))
            yield analyse(piece, sample_rate)

    shapes, heard, prints = [], [], []
    for bands, loud_db in _with_neighbours(frames()):
        counts, moving = above(bands, loud_db, HEARD_DB), above(bands, loud_db, MOVING_DB)
        shapes.append(shape_of(bands, counts))
        heard.append(np.mean(counts))
        prints.append(take_print(bands, counts, moving))
    active = find_active(np.array(powers))
    return Course(
        shapes=np.stack(shapes), heard=np.array(heard) * active, prints=tuple(prints), block_s=block / sample_rate
    )


def _with_neighbours(frames: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, float]]:
    """Give each block's frames with the level of the loud ones (95th percentile) in it and on either side, dB."""
    before, now = -np.inf, next(frames)
    loud = _loud(now)
    for after in frames:
        coming = _loud(after)
        yield now, max(before, loud, coming)
        before, now, loud = loud, after, coming
    yield now, max(before, loud)


def _loud(bands: np.ndarray) -> float:
    return float(np.quantile(_levels(bands), 0.95))


def _levels(bands: np.ndarray) -> np.ndarray:
    return decibels(np.sum(10 ** (bands / 10), axis=1))


def above(bands: np.ndarray, loud_db: float, least_db: float) -> np.ndarray:
    """Mark frames of bands [frames, BANDS] that are not `least_db` below a level, bool [frames]."""
    return _levels(bands) >= loud_db - least_db


def find_active(powers: np.ndarray) -> np.ndarray:
    """Mark the blocks in which something is heard, from their mean squares [N]; at least one is."""
    audible = powers[powers > SILENT_POWER]
    if not len(audible):
        return np.arange(len(powers)) == np.argmax(powers)
    return powers >= max(np.quantile(audible, 0.9) * 10 ** (-PAUSE_DB / 10), SILENT_POWER)


@functools.lru_cache(maxsize=4)
def _analysis(sample_rate: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    size = 2 * round(FRAME_S * sample_rate / 2)
    bank, centres = band_bank(np.arange(size // 2 + 1) * sample_rate / size, BANDS)
    return size, np.hanning(size + 1)[:-1].astype(np.float32), bank, centres


def analyse(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Give the levels of bands in frames of 43 ms that overlap by half.

    Parameters
    ----------
    audio : float32 [samples]
        Mono; padded with silence where it is shorter than a frame.
    sample_rate : int
        Hz.

    Returns
    -------
    float32 [frames, BANDS]
        dB; at least -120.
    """
    size, window, bank, _ = _analysis(sample_rate)
    padded = np.pad(audio, (0, max(0, size - len(audio))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2] * window
    power = np.square(np.abs(fft.rfft(frames, axis=1))) / np.sum(window) ** 2
    return decibels(power @ bank, -120.0)


def shape_of(bands: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average the frames [frames, BANDS] that count; the loudest where none does. Gives float64 [SHAPES]."""
    some = bands[counts] if counts.any() else bands[[np.argmax(_levels(bands))]]
    return fft.dct(some.mean(axis=0, dtype=np.float64), norm="ortho")[:SHAPES] / np.sqrt(BANDS)


def measure(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Measure how loud something is, and with what tone.

    Parameters
    ----------
    audio : float32 [samples]
        Mono.
    sample_rate : int
        Hz.

    Returns
    -------
    float64 [SHAPES]
        A gain moves the first alone.
    """
    bands = analyse(audio, sample_rate)
    return shape_of(bands, above(bands, _loud(bands), HEARD_DB))


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
