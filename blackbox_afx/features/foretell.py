"""What a filter will make of a recording's statistics, from its response alone: no render, no network.

Conventions: statistics as in `blackbox_afx.features.statistics`, B bands; decibels. What lies in bands moves by the
response there; levels move by as much as all bands together gain, as if they did so at every moment. Spreads and steps
are left as they are. Bands at the floor of decibels stay there, such as those above 8 kHz of a recording that was made
at 16 kHz. Near the truth for equalisers and gains, wrong for what depends on level.
"""

from __future__ import annotations

import functools

import numpy as np

from blackbox_afx.features.bands import FLOOR_DB, k_weighting
from blackbox_afx.features.statistics import BANDS, LAYOUT, band_centres

IN_BANDS = ("mean_power", "mean_db", "quantiles", "by_level")
"""Parts of the statistics that a filter moves by its response in each band."""
CENTROID_HZ = 20.0
"""The centroid's logarithm is taken of hertz and this."""


@functools.lru_cache(maxsize=1)
def weighed_bands() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the bands' centres and widths in Hz, and what loudness weighs them with."""
    centres = band_centres()
    return centres, np.gradient(centres), k_weighting(centres).astype(np.float64)


def filter_statistics(statistics: np.ndarray, response_db: np.ndarray) -> np.ndarray:
    """Give the statistics that a filter leaves.

    Parameters
    ----------
    statistics : float [DIMENSION]
    response_db : float [M, B]

    Returns
    -------
    float64 [M, DIMENSION]
    """
    response_db = np.asarray(response_db, np.float64)
    made = np.repeat(np.asarray(statistics, np.float64)[None], len(response_db), axis=0)
    for name in IN_BANDS:
        place = LAYOUT[name]
        moved = made[:, place] + np.tile(response_db, (place.stop - place.start) // BANDS)
        made[:, place] = np.where(made[:, place] > FLOOR_DB + 0.5, np.maximum(moved, FLOOR_DB), made[:, place])
    level, loudness, octaves, _ = _moved(statistics, response_db)
    made[:, LAYOUT["levels"]] += level[:, None]
    made[:, LAYOUT["scalars"]] += np.stack([level, level, loudness, octaves], axis=1)
    return made


def pull_back(statistics: np.ndarray, response_db: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Multiply a row [DIMENSION] by the Jacobian of `filter_statistics` at one response [B]: float64 [B]."""
    slope = np.zeros(BANDS)
    for name in IN_BANDS:
        before = np.asarray(statistics, np.float64)[LAYOUT[name]].reshape(-1, BANDS)
        moving = (before > FLOOR_DB + 0.5) & (before + response_db > FLOOR_DB)
        slope += np.where(moving, row[LAYOUT[name]].reshape(-1, BANDS), 0.0).sum(0)
    _, _, _, slopes = _moved(statistics, np.asarray(response_db, np.float64)[None])
    peak, rms, loudness, centroid = row[LAYOUT["scalars"]]
    return slope + np.array([row[LAYOUT["levels"]].sum() + peak + rms, loudness, centroid]) @ slopes


def _moved(statistics: np.ndarray, response_db: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Give the changes [M] of level, loudness (dB) and centroid (octaves), and the last one's slopes [3, B]."""
    centres, widths, weighting = weighed_bands()
    before = 10 ** (np.asarray(statistics, np.float64)[LAYOUT["mean_power"]] / 10) * widths
    after = before * 10 ** (response_db / 10)
    weighed, plain = after @ weighting, after.sum(1)
    level = 10 * np.log10(plain / before.sum())
    loudness = 10 * np.log10(weighed / (before @ weighting))
    faint, loud = np.sqrt(before * widths), np.sqrt(after * widths)
    middle, was = loud @ centres / loud.sum(1), faint @ centres / faint.sum()
    octaves = np.log2((middle + CENTROID_HZ) / (was + CENTROID_HZ))
    bend = loud[-1] * (centres - middle[-1]) / loud[-1].sum() / (middle[-1] + CENTROID_HZ) / 20 * np.log2(10)
    slopes = np.stack([after[-1] / plain[-1], after[-1] * weighting / weighed[-1], bend])
    return level, loudness, octaves, slopes
