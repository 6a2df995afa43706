"""How different two recordings of the same content sound, from their statistics: numpy, for render workers.

Conventions: inputs are `blackbox_afx.features.statistics` [..., DIMENSION]; parts are mean absolute differences in dB
(centroid: octaves; of linear amplitudes: at full scale, and as a share of both). `blackbox_afx.losses.sound` is the
same in torch, with the constants that stand here. `blackbox_afx.features.style` is for recordings whose content
differs.
"""

from __future__ import annotations

import functools

import numpy as np

from blackbox_afx.features.bands import HIGHEST_HZ
from blackbox_afx.features.statistics import BANDS, LAYOUT, QUANTILES, band_centres

TYPICAL = {
    "stft": 8.0,
    "mel": 8.0,
    "rms": 8.0,
    "loudness": 8.0,
    "centroid": 0.35,
    "linear": 1.0,
    "share": 0.5,
    "levels": 16.0,
}
"""What each part typically measures between input and target: by dividing, all parts count alike."""
QUANTILE_WEIGHTS = (0.1, 0.2, 0.3, 0.25, 0.15)
LOUDEST_DB = 30.0
"""Powers count as no louder than this in the linear part, which would overflow."""

FAINT = 1e-6
"""Amplitude below which a difference is no longer a share of anything."""


@functools.lru_cache(maxsize=1)
def band_weights() -> tuple[np.ndarray, np.ndarray]:
    """Give each band's share of the linear and of the mel frequency axis, float64 [BANDS] each; both sum to 1."""
    centres = band_centres()
    edges = np.concatenate(([0.0], (centres[1:] + centres[:-1]) / 2, [HIGHEST_HZ]))
    hertz = np.diff(edges)
    mel = np.diff(2595 * np.log10(1 + edges / 700))
    return hertz / hertz.sum(), mel / mel.sum()


def sound_parts(estimate: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    """Give each part [...] before scaling.

    Parameters
    ----------
    estimate, target : float [..., DIMENSION]
        Statistics.
    """
    hertz, mel = band_weights()
    both = [np.asarray(x, np.float64) for x in (estimate, target)]
    gap = np.abs(both[0] - both[1])
    frames = gap[..., LAYOUT["quantiles"]].reshape(*gap.shape[:-1], len(QUANTILES), BANDS)
    power = LAYOUT["mean_power"]
    _, rms, loudness, centroid = np.moveaxis(gap[..., LAYOUT["scalars"]], -1, 0)
    first, second = (10 ** (np.minimum(x[..., power], LOUDEST_DB) / 20) for x in both)
    linear = np.abs(first - second) @ mel
    return {
        "stft": 0.5 * (gap[..., LAYOUT["mean_db"]] @ hertz) + 0.5 * (frames @ hertz) @ np.array(QUANTILE_WEIGHTS),
        "mel": gap[..., power] @ mel,
        "rms": rms,
        "loudness": loudness,
        "centroid": centroid,
        "linear": linear,
        "share": 2 * linear / ((first + second) @ mel + FAINT),
        "levels": gap[..., LAYOUT["levels"]].mean(-1),
    }


def sound_distance(estimate: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Give one distance [...]: the sum of the parts, each divided by what is typical of it."""
    parts = sound_parts(estimate, target)
    return np.sum([part / TYPICAL[name] for name, part in parts.items()], axis=0)
