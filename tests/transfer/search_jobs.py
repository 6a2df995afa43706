"""What the tests of searching call in workers: a made-up plugin that is sound, fails at some settings, or crashes."""

from __future__ import annotations

import ctypes

import numpy as np

from blackbox_afx.errors import PluginError
from blackbox_afx.features.style import style_weights

BAD = 0.7
"""Settings whose first control is above this fail."""


def made_up(positions: np.ndarray) -> np.ndarray:
    """Give a smooth style vector of settings."""
    rng = np.random.default_rng(5)
    mixing = rng.normal(0, 6, (len(style_weights()), len(positions)))
    bend = rng.normal(0, 3, (len(style_weights()), len(positions)))
    return mixing @ positions + bend @ np.sin(3 * positions)


def sound(worker, positions):
    return made_up(positions)


def fails(worker, positions):
    if positions[0] > BAD:
        raise PluginError("the made-up plugin gave NaN at sample 0")
    return made_up(positions)


def crashes(worker, positions):
    if positions[0] > BAD:
        ctypes.string_at(0)
    return made_up(positions)
