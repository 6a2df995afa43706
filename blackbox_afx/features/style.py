"""How far one recording is from the production style of another, whatever is played or said in the two.

Conventions: styles are vectors [STYLE] computed from `statistics`, each number divided by what two stretches of one
speaker or artist in one production typically differ by. Spectra are smoothed over neighbouring bands, pauses count
little, and dynamics are levels against the recording's own RMS, so that what is left is tone, loudness, crest and
movement at several time scales.

`blackbox_afx.features.distance` compares recordings of the same content instead.
"""

from __future__ import annotations

import functools

import msgspec
import numpy as np

from blackbox_afx.features.statistics import BANDS, DIMENSION, LAYOUT, LEVEL_QUANTILES, LEVEL_WINDOWS_S, QUANTILES

SMOOTHED = 27
"""Spectral bands that are left after smoothing."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one part of a style.

    Parameters
    ----------
    weight : float > 0
        What the whole part counts, however many numbers it has.
    noise : float > 0
        Root mean square difference between two stretches in one production, dB (centroid: octaves).
    """

    weight: float
    noise: float


PARTS: dict[str, Part] = {
    "spectrum": Part(weight=3.0, noise=4.0),
    "body": Part(weight=3.0, noise=4.0),
    "loud": Part(weight=1.0, noise=5.0),
    "spread": Part(weight=0.5, noise=2.0),
    "loudness": Part(weight=6.0, noise=1.5),
    "centroid": Part(weight=0.5, noise=0.25),
    "crest": Part(weight=0.5, noise=2.5),
    "dynamics": Part(weight=1.0, noise=2.0),
    "steps": Part(weight=0.5, noise=2.0),
}
"""``spectrum``: mean power; ``body``: what bands hold usually, often and at times; ``loud``: the loudest eighth;
``spread``: of each band over time; ``crest``: peak over RMS; ``dynamics``: levels over RMS in four windows; ``steps``:
changes of level from window to window. Levels below the median, mostly pauses, are left out. Loudness counts as much as
spectrum and body together: a level is heard first, and to match it costs nothing where a chain has a gain (between 2
and 6 the results between speakers of the split val came nearer in RMS and loudness, and in spectrum as near)."""


@functools.lru_cache(maxsize=1)
def _analysis() -> tuple[np.ndarray, np.ndarray, dict[str, slice]]:
    smooth = _smoothing()
    every = np.eye(DIMENSION)
    peak, rms, loudness, centroid = every[LAYOUT["scalars"]]
    quantile = every[LAYOUT["quantiles"]].reshape(len(QUANTILES), BANDS, DIMENSION)
    levels = every[LAYOUT["levels"]].reshape(len(LEVEL_WINDOWS_S), len(LEVEL_QUANTILES), DIMENSION)
    rows = {
        "spectrum": smooth @ every[LAYOUT["mean_power"]],
        "body": np.concatenate([smooth @ quantile[k] for k in (2, 3, 4)]),
        "loud": smooth @ every[LAYOUT["by_level"]][:BANDS],
        "spread": smooth @ every[LAYOUT["spread"]],
        "loudness": np.stack([rms, loudness]),
        "centroid": centroid[None],
        "crest": (peak - rms)[None],
        "dynamics": (levels[:, 3:] - rms).reshape(-1, DIMENSION),
        "steps": every[LAYOUT["steps"]],
    }
    places, at = {}, 0
    for name, matrix in rows.items():
        places[name] = slice(at, at + len(matrix))
        at += len(matrix)
    matrix = np.concatenate([part / PARTS[name].noise for name, part in rows.items()])
    weights = np.concatenate([np.full(len(part), PARTS[name].weight / len(part)) for name, part in rows.items()])
    return matrix, weights / weights.sum(), places


def _smoothing() -> np.ndarray:
    """Make triangles over five bands, every third one; rows sum to 1."""
    centres = np.linspace(0.5, BANDS - 1.5, SMOOTHED)
    rise = np.clip(1 - np.abs(np.arange(BANDS) - centres[:, None]) / 3.0, 0.0, None)
    return rise / rise.sum(1, keepdims=True)


def style_of(statistics: np.ndarray) -> np.ndarray:
    """Turn statistics [..., DIMENSION] into style vectors [..., STYLE]: float64, in units of what content changes."""
    return np.asarray(statistics, np.float64) @ _analysis()[0].T


def style_pull_back(row: np.ndarray) -> np.ndarray:
    """Multiply a row float [STYLE] by the Jacobian of `style_of`: float64 [DIMENSION]."""
    return np.asarray(row, np.float64) @ _analysis()[0]


def style_of_gain() -> np.ndarray:
    """Give what one dB of gain adds to a style, float64 [STYLE], as if no band lay at the floor of decibels.

    Notes
    -----
    Of a recording with an empty band, such as one that was made at 16 kHz, the bands at the floor stay there: within
    6 dB that is an eighth of what two stretches of one production differ by.
    """
    added = np.zeros(DIMENSION)
    for part in ("mean_power", "mean_db", "quantiles", "levels", "by_level"):
        added[LAYOUT[part]] = 1.0
    # Peak, RMS and loudness, not the centroid.
    added[LAYOUT["scalars"]] = (1.0, 1.0, 1.0, 0.0)
    return style_of(added)


@functools.lru_cache(maxsize=8)
def style_weights(spectrum: float = 1.0) -> np.ndarray:
    """Give what each number of a style counts, float64 [STYLE]; the sum is 1.

    Parameters
    ----------
    spectrum : float > 0
        How many times as much as usual the mean power of bands counts beside the rest.
    """
    weights = _analysis()[1].copy()
    weights[style_parts()["spectrum"]] *= spectrum
    weights /= weights.sum()
    weights.flags.writeable = False
    return weights


def style_parts() -> dict[str, slice]:
    """Give where the parts of a style vector lie, by name."""
    return _analysis()[2]


def style_distance(estimate: np.ndarray, reference: np.ndarray, spectrum: float = 1.0) -> np.ndarray:
    """Measure how far styles are apart.

    Parameters
    ----------
    estimate, reference : float [..., STYLE]
    spectrum : float > 0
        As of `style_weights`.

    Returns
    -------
    float64 [...]
        The weighted mean of sqrt(1 + gap^2) - 1, which is a square for gaps within what content explains and an
        absolute value beyond: 0 for the same style vector, about 0.4 for two stretches of one production.
    """
    gap = np.asarray(estimate, np.float64) - np.asarray(reference, np.float64)
    return (np.sqrt(1.0 + gap * gap) - 1.0) @ style_weights(spectrum)
