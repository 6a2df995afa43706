"""What a Gaussian mixture of short-time spectra says of a recording: its colour, apart from what is said or played.

The mean spectrum of a few seconds depends on which sounds happen to occur in them. A mixture learned on many
recordings knows which spectral shapes there are. Told from their classes, the frames say two things: how often each
kind of sound occurs (the *occupancy*), and which filter all of them went through (the *colour*). Colour and classes
are found in turns, as in expectation maximisation. Of two halves of spoken words in different styles, colours tell the
difference of the styles better than mean spectra do, of music they do not: `benchmarks/colour.py`.

The classes are those of one file, `FILE`. Controllers are learned on what they say: another mixture is another encoder
and needs another name.

Conventions: B bands and frames as in `blackbox_afx.features.statistics`, K classes; decibels. Shapes are frames
less their own mean over bands, so that neither gain nor compression of the whole band moves them.

References
----------
Gaubitch, Brookes, Naylor, "Blind channel magnitude response estimation in speech using spectrum classification",
IEEE TASLP 21(10), 2013.
"""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec
import numpy as np

from blackbox_afx.features.statistics import BANDS, DIMENSION, spectra, statistics_of

FILE = Path(__file__).with_name("mixture.npz")
"""Of speech and music; `scripts/fit_mixture.py` makes it."""
TEMPER = 0.25
"""What a decibel counts in telling classes apart: bands are no independent witnesses."""
TURNS = 6
ACTIVE_DB = 40.0
"""Frames quieter than the loudest one by more than this are pauses."""
DEEPEST_DB = 70.0
"""Bands count as no fainter than this under the loudest band of their frame."""
OCCUPANCY_SCALE = 10.0
"""An occupancy is a share of frames; times this it goes beside decibels. Ten times as much was no better."""


class Mixture(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a mixture of spectral shapes whose classes share one variance a band.

    Parameters
    ----------
    means : float32 [K, B]
        Shapes of the classes, dB.
    deviation : float32 [B]
        Standard deviation within a class, dB.
    log_prior : float32 [K]
    typical : float32 [B]
        Mean shape of all recordings it was learned on, dB, from which the search for a colour sets out.
    """

    means: np.ndarray
    deviation: np.ndarray
    log_prior: np.ndarray
    typical: np.ndarray

    def occupancy(self, votes: np.ndarray, colour: np.ndarray) -> np.ndarray:
        """Give the share [K] of frames that each class has, where all went through a filter [B] in dB.

        Parameters
        ----------
        votes : float32 [frames, K]
            What `votes` gave.
        colour : float32 [B]
        """
        told = votes - (TEMPER * colour / self.deviation**2) @ self.means.T
        told -= told.max(1, keepdims=True)
        np.exp(told, out=told)
        return (told / told.sum(1, keepdims=True)).mean(0)

    def votes(self, shapes: np.ndarray) -> np.ndarray:
        """Give the log-likelihood [frames, K] of shapes [frames, B], but for what all classes share."""
        precise = TEMPER * self.means / self.deviation**2
        return shapes @ precise.T - 0.5 * (precise * self.means).sum(1) + self.log_prior

    def separate(self, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tell colour from content.

        Parameters
        ----------
        shapes : float32 [frames, B]
            As `active_shapes` gives them.

        Returns
        -------
        float32 [B]
            Colour, dB, of mean 0.
        float32 [K]
            Occupancy; sums to 1.
        """
        votes, heard = self.votes(shapes), shapes.mean(0)
        colour = heard - self.typical
        share = self.occupancy(votes, colour)
        for _ in range(TURNS):
            colour = heard - share @ self.means
            colour -= colour.mean()
            share = self.occupancy(votes, colour)
        return colour, share


def active_shapes(decibels: np.ndarray) -> np.ndarray:
    """Give the shapes float32 [active frames, B] of frames [frames, B] in dB, without pauses."""
    loudest = decibels.max(1, keepdims=True)
    level = loudest[:, 0] + 10 * np.log10(np.exp((decibels - loudest) * np.float32(np.log(10) / 10)).sum(1))
    kept = level > level.max() - ACTIVE_DB
    shapes = np.maximum(decibels[kept], loudest[kept] - np.float32(DEEPEST_DB))
    return shapes - shapes.mean(1, keepdims=True)


@functools.lru_cache(maxsize=1)
def shipped_mixture() -> Mixture:
    """Load the mixture that comes with this package."""
    with np.load(FILE) as file:
        return Mixture(**{name: file[name].astype(np.float32) for name in Mixture.__struct_fields__})


def coloured_dimension() -> int:
    """Give the length of what `coloured_statistics` returns."""
    return DIMENSION + BANDS + len(shipped_mixture().log_prior)


def coloured_statistics(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Measure a recording: its statistics, then its colour, then its scaled occupancy.

    Parameters
    ----------
    audio : float32 [samples]
        Mono, full scale at +-1.
    sample_rate : int
        Hertz.

    Returns
    -------
    float32 [coloured_dimension()]
        Always finite.
    """
    heard = spectra(audio, sample_rate)
    colour, occupancy = shipped_mixture().separate(active_shapes(heard.decibels))
    return np.concatenate([statistics_of(heard), colour, OCCUPANCY_SCALE * occupancy]).astype(np.float32)
