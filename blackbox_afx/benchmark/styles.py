"""Five styles of production to put recordings in: neutral, broadcast, telephone, bright, warm.

Each draws an equaliser (low shelf, one band, high shelf; Q 0.707) and a compressor from its ranges. They are not the
effects under control, so no controller can know their settings.

Mended against the style-transfer paper's released code: warm cuts the high shelf, as its name says; a sign bound
wrongly made it boost there.

Conventions: mono [samples] float32, full scale at +-1; every function draws from the generator that it is given.

References
----------
Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing",
JAES 70(9), 2022, section 5.
"""

from __future__ import annotations

import msgspec
import numpy as np

from blackbox_afx.audio.levels import normalise_peak
from blackbox_afx.data.dynamics import compress
from blackbox_afx.data.equaliser import equalise, section

Range = tuple[float, float]
Shelf = tuple[Range, Range]

HEADROOM_DB: Range = (3.0, 9.0)
"""The input peaks so far below full scale, before the equaliser."""
Q = 0.707


class Style(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ranges of a style's settings; each is drawn uniformly.

    Parameters
    ----------
    low_shelf, band, high_shelf : ((dB, dB), (Hz, Hz)) or None
        Gain and frequency.
    threshold : (dBFS, dBFS) or None
        None leaves the compressor out.
    ratio : (float, float)
    attack_ms, release_ms : (float, float)
        Milliseconds.
    """

    low_shelf: Shelf
    high_shelf: Shelf
    band: Shelf | None = None
    threshold: Range | None = None
    ratio: Range = (1.0, 1.0)
    attack_ms: Range = (1.0, 1.0)
    release_ms: Range = (1.0, 1.0)


STYLES: dict[str, Style] = {
    "neutral": Style(
        low_shelf=((1, 3), (80, 200)),
        high_shelf=((1, 3), (6000, 8000)),
        threshold=(-30, -20),
        ratio=(1.5, 2),
        attack_ms=(50, 70),
        release_ms=(100, 300),
    ),
    "broadcast": Style(
        low_shelf=((2, 6), (80, 200)),
        high_shelf=((2, 6), (6000, 8000)),
        threshold=(-50, -40),
        ratio=(3, 5),
        attack_ms=(5, 30),
        release_ms=(50, 150),
    ),
    "telephone": Style(
        low_shelf=((-26, -20), (200, 400)),
        band=((12, 16), (1000, 2000)),
        high_shelf=((-26, -20), (4000, 6000)),
        threshold=(-40, -20),
        ratio=(1.5, 3),
        attack_ms=(1, 6),
        release_ms=(10, 60),
    ),
    "bright": Style(low_shelf=((-26, -20), (200, 400)), high_shelf=((20, 26), (8000, 10000))),
    "warm": Style(low_shelf=((20, 26), (200, 400)), high_shelf=((-20, -14), (8000, 10000))),
}


def apply_style(rng: np.random.Generator, audio: np.ndarray, sample_rate: float, name: str) -> np.ndarray:
    """Put a recording in a style.

    Parameters
    ----------
    rng : np.random.Generator
        Draws the settings.
    audio : np.ndarray [samples] float32
        Not silent.
    sample_rate : float
        Hz.
    name : str
        A key of `STYLES`.

    Returns
    -------
    np.ndarray [samples] float32
        Peaks at 0 dBFS.

    Notes
    -----
    Frequencies stay below nine tenths of Nyquist.
    """
    style = STYLES[name]
    top = 0.9 * sample_rate / 2
    audio, _ = normalise_peak(audio, -rng.uniform(*HEADROOM_DB))
    sections = []
    for kind, ranges in (("low_shelf", style.low_shelf), ("peak", style.band), ("high_shelf", style.high_shelf)):
        if ranges is not None:
            gain, frequency = (rng.uniform(*limits) for limits in ranges)
            sections.append(section(kind, gain, min(frequency, top), Q, sample_rate))
    audio = equalise(audio, sections)
    if style.threshold is not None:
        audio = compress(
            audio,
            sample_rate,
            threshold=rng.uniform(*style.threshold),
            ratio=rng.uniform(*style.ratio),
            attack=rng.uniform(*style.attack_ms) / 1000,
            release=rng.uniform(*style.release_ms) / 1000,
            knee=0.0,
        )
    return normalise_peak(audio, 0.0)[0]
