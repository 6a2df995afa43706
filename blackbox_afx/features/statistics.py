"""Statistics of a recording's spectrum, level and dynamics: what a small controller hears.

Conventions: all numbers are in dB against full scale, but for the spectral centroid (log2 of Hz), so that a plain gain
is a shift. Time constants are in seconds, bands in Hz, so that any sample rate gives comparable numbers.

Parts (`LAYOUT` has their places)
---------------------------------
mean_power        dB of each band's mean power
mean_db, spread   mean and standard deviation over frames of each band's dB
quantiles         five quantiles over frames of each band's dB
levels            eight quantiles of the level, in windows of 5, 20, 80 and 320 ms
steps             six quantiles of the level's change from window to window, in the three shorter ones
by_level          band spectra of the loudest eighth and of the quietest quarter of the frames
scalars           peak, RMS, loudness (LUFS, from the spectrum), centroid
"""

from __future__ import annotations

import functools

import msgspec
import numpy as np
from scipy import fft

from blackbox_afx.features.bands import band_bank, decibels, k_weighting, quantiles

BANDS = 80
FRAME_S, HOP_S = 2048 / 24000, 1024 / 24000
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEVEL_WINDOWS_S = (0.005, 0.02, 0.08, 0.32)
LEVEL_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)
STEP_QUANTILES = (0.01, 0.05, 0.25, 0.75, 0.95, 0.99)
LOUDNESS_BLOCK_FRAMES = 9
"""Frames of 42.7 ms hop in a loudness block of 0.4 s."""
SILENCE_LUFS = -70.0
"""Where loudness stops: the absolute gate of BS.1770."""


def _layout() -> tuple[dict[str, slice], int]:
    places, at = {}, 0
    for name, size in (
        ("mean_power", BANDS),
        ("mean_db", BANDS),
        ("spread", BANDS),
        ("quantiles", BANDS * len(QUANTILES)),
        ("levels", len(LEVEL_WINDOWS_S) * len(LEVEL_QUANTILES)),
        ("steps", 3 * len(STEP_QUANTILES)),
        ("by_level", 2 * BANDS),
        ("scalars", 4),
    ):
        places[name] = slice(at, at + size)
        at += size
    return places, at


LAYOUT, DIMENSION = _layout()


@functools.lru_cache(maxsize=8)
def _front_end(sample_rate: int) -> tuple[int, int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    size, hop = 2 * round(FRAME_S * sample_rate / 2), round(HOP_S * sample_rate)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    hertz = (np.arange(size // 2 + 1) * sample_rate / size).astype(np.float32)
    bank, _ = band_bank(hertz, BANDS)
    # Scales |DFT|^2 so that the bins of a frame add up to twice its mean square, however many bins there are.
    scale = np.float32(4.0 / np.sum(window**2) / size)
    return size, hop, window * np.sqrt(scale), hertz, bank, k_weighting(hertz)


def band_centres() -> np.ndarray:
    """Centres of the bands, Hz."""
    return band_bank(np.arange(1025) * 24000 / 2048, BANDS)[1]


class Spectra(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a recording and its short-time spectra.

    Parameters
    ----------
    audio : float32 [samples]
        At least one frame long, finite.
    sample_rate : int
        Hertz.
    power : float32 [frames, bins]
        Scaled so that the bins of a frame add up to twice its mean square.
    bands : float32 [frames, BANDS]
        Mean power of each band.
    decibels : float32 [frames, BANDS]
        The same in dB.
    """

    audio: np.ndarray
    sample_rate: int
    power: np.ndarray
    bands: np.ndarray
    decibels: np.ndarray


def spectra(audio: np.ndarray, sample_rate: int) -> Spectra:
    """Take the short-time spectra of a recording; parameters as of `statistics`."""
    size, hop, window, _, bank, _ = _front_end(int(sample_rate))
    audio = np.nan_to_num(np.clip(np.asarray(audio, np.float32), -1e3, 1e3))
    if len(audio) < size:
        audio = np.pad(audio, (0, size - len(audio)))
    frames = np.lib.stride_tricks.sliding_window_view(audio, size)[::hop] * window
    spectrum = fft.rfft(frames, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    bands = power @ bank
    return Spectra(audio=audio, sample_rate=int(sample_rate), power=power, bands=bands, decibels=decibels(bands))


def statistics(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Measure a recording.

    Parameters
    ----------
    audio : float32 [samples]
        Mono, full scale at +-1; shorter than one frame (85 ms) is padded with silence.
    sample_rate : int
        Hertz.

    Returns
    -------
    float32 [DIMENSION]
        Always finite.
    """
    return statistics_of(spectra(audio, sample_rate))


def statistics_of(heard: Spectra) -> np.ndarray:
    """Measure a recording whose spectra were taken; the numbers of `statistics`."""
    _, _, _, hertz, _, weighting = _front_end(heard.sample_rate)
    audio, power, bands, shown = heard.audio, heard.power, heard.bands, heard.decibels
    by_level = np.argsort(power.sum(1))
    count = len(by_level)
    levels, steps = _levels(audio, heard.sample_rate)
    magnitude = np.sqrt(power)
    centroid = float(np.mean(magnitude @ hertz / (magnitude.sum(1) + 1e-12)))
    mean_square = float(np.mean(np.square(audio)))
    peak = float(np.max(np.abs(audio)))
    return np.concatenate(
        [
            decibels(bands.mean(0)),
            shown.mean(0),
            shown.std(0),
            quantiles(np.sort(shown, axis=0), QUANTILES).ravel(),
            *levels,
            *steps,
            decibels(bands[by_level[-max(count // 8, 1) :]].mean(0)),
            decibels(bands[by_level[: max(count // 4, 1)]].mean(0)),
            [
                float(decibels(peak * peak)),
                float(decibels(mean_square)),
                _loudness(power @ weighting),
                np.log2(centroid + 20.0),
            ],
        ]
    ).astype(np.float32)


def _levels(audio: np.ndarray, sample_rate: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    cell = max(1, round(LEVEL_WINDOWS_S[0] * sample_rate))
    energy = np.square(audio)
    cells = energy[: len(energy) // cell * cell].reshape(-1, cell).mean(1)
    levels, steps = [], []
    for k, window_s in enumerate(LEVEL_WINDOWS_S):
        ratio = round(window_s / LEVEL_WINDOWS_S[0])
        whole = cells[: len(cells) // ratio * ratio] if len(cells) >= ratio else np.resize(cells, ratio)
        level = decibels(whole.reshape(-1, ratio).mean(1))
        levels.append(quantiles(np.sort(level), LEVEL_QUANTILES))
        if k < 3:
            change = np.diff(level) if len(level) > 1 else np.zeros(1, np.float32)
            steps.append(quantiles(np.sort(change), STEP_QUANTILES))
    return levels, steps


def _loudness(frame_power: np.ndarray) -> float:
    """Gate frame powers as BS.1770 does and give LUFS; close to the standard's, measured from spectra."""
    frame_power = frame_power * 0.5
    length = LOUDNESS_BLOCK_FRAMES
    if len(frame_power) > length + 1:
        summed = np.cumsum(np.concatenate(([0.0], frame_power.astype(np.float64))))
        blocks = (summed[length:] - summed[:-length]) / length
    else:
        blocks = np.array([frame_power.mean()])
    level = -0.691 + decibels(blocks)
    kept = level > SILENCE_LUFS
    if not kept.any():
        return SILENCE_LUFS
    kept &= level > -0.691 + decibels(blocks[kept].mean()) - 10.0
    return float(-0.691 + decibels(blocks[kept].mean())) if kept.any() else SILENCE_LUFS
