"""Measure single facts about a plugin by rendering with it.

Conventions: `play` renders audio [channels, samples] with raw values [controls] and gives None where the plugin fails
or its sound is not finite. Differences are shares of the peak.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.movement import rms
from blackbox_afx.plugins.repeat import difference

Play = Callable[..., "np.ndarray | None"]
"""(audio, values, block_size=None) to audio or None."""

TAIL_DB = -60.0
LEVEL_STEP_DB = -20.0
NONLINEAR = 3e-3
"""Share of the signal by which a plugin may miss a change of level and still count as linear."""

EXACT_GAIN = 1e-4

_GAIN_NAMES = re.compile(r"master|output|out\b|makeup|make-up|gain|level|volume|trim", re.IGNORECASE)


def tail_seconds(
    play: Play, audio: np.ndarray, settings: Sequence[np.ndarray], sample_rate: int, *, silence_s: float = 5.0
) -> float:
    """Measure how long sound rings on after its input ended, until it is 60 dB below the peak.

    Returns
    -------
    float
        Seconds, the longest of all settings; at most `silence_s`.
    """
    length = audio.shape[1]
    padded = np.pad(audio, ((0, 0), (0, round(silence_s * sample_rate))))
    longest = 0
    for values in settings:
        sound = play(padded, values)
        if sound is None or rms(sound) < 1e-6:
            continue
        # Against the sound while there was input: a plugin that hums in silence would otherwise ring for ever.
        loud = np.abs(sound).max(axis=0) > np.abs(sound[:, :length]).max() * 10 ** (TAIL_DB / 20)
        longest = max(longest, int(np.flatnonzero(loud)[-1]) + 1 - length if loud.any() else 0)
    return round(longest / sample_rate, 3)


def depends_on_level(play: Play, audio: np.ndarray, settings: Sequence[np.ndarray], repeatability: float) -> bool:
    """Say whether a plugin's gain depends on the level of what it hears, as of compressors and distortion."""
    ratio = np.float32(10 ** (LEVEL_STEP_DB / 20))
    slack = max(NONLINEAR, 10 * repeatability)
    for values in settings:
        loud, quiet = play(audio, values), play(audio * ratio, values)
        if loud is None or quiet is None or rms(loud) < 1e-5:
            continue
        if rms(quiet / ratio - loud) > slack * rms(loud):
            return True
    return False


def block_sensitivity(
    play: Play,
    audio: np.ndarray,
    settings: Sequence[np.ndarray],
    block_size: int,
    others: Sequence[int] = (64, 256, 1024),
) -> dict[str, float]:
    """Measure how far renders with other block sizes are from those with the profile's."""
    found = {str(size): 0.0 for size in others}
    for values in settings:
        base = play(audio, values)
        if base is None or rms(base) < 1e-6:
            continue
        for size in others:
            found[str(size)] = max(found[str(size)], difference(base, play(audio, values, size)))
    return {key: float(f"{value:.3g}") for key, value in found.items() if int(key) != block_size}


def exact_gains(
    play: Play,
    audio: np.ndarray,
    controls: Sequence[Control],
    settings: Sequence[np.ndarray],
    *,
    expired: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Find the controls in dB that scale the whole output exactly, likeliest output gain first.

    Once time has `expired` no further control is tried.
    """
    candidates = [
        (k, control)
        for k, control in enumerate(controls)
        if control.unit.lower() == "db" and not control.steps and control.automatable
    ]
    candidates.sort(key=lambda pair: not _GAIN_NAMES.search(pair[1].name))
    found = []
    for k, control in candidates:
        if expired():
            break
        if is_exact_gain(play, audio, control, k, settings):
            found.append(control.name)
    return found


def is_exact_gain(play: Play, audio: np.ndarray, control: Control, place: int, settings: Sequence[np.ndarray]) -> bool:
    """Say whether one control multiplies the output by its value in dB and does nothing else."""
    checked = 0
    for values in settings:
        low, high = values.copy(), values.copy()
        low[place], high[place] = 0.35, 0.65
        step_db = float(control.plain_from_raw(0.65) - control.plain_from_raw(0.35))
        quiet, loud = play(audio, low), play(audio, high)
        if quiet is None or loud is None or max(rms(quiet), rms(loud)) < 1e-5:
            continue
        if rms(quiet * 10 ** (step_db / 20) - loud) > EXACT_GAIN * rms(loud):
            return False
        checked += 1
    return checked > 0
