"""Measure how much each control moves the sound.

Conventions: an effect is the level of the difference between two renders relative to the louder of them, in dB; 0 is
as much difference as there is sound. `SILENT_DB` means that no sample ever changed by more than the plugin's own
repeatability.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from blackbox_afx.plugins.control import Control, ControlSpace
from blackbox_afx.plugins.select import SILENT_DB

Render = Callable[[np.ndarray], "np.ndarray | None"]
"""Raw values [controls] to audio [channels, samples]; None where the plugin fails or gives no finite sound."""

FLOOR_DB = -100.0

NEARER = (0.5, 0.25)
"""What is left of the way from the defaults, time and again, when a plugin gives no sound at a random setting."""


def movement(
    render: Render,
    controls: Sequence[Control],
    rng: np.random.Generator,
    *,
    bases: int = 20,
    budget_s: float = 20.0,
    repeatability: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the effect of each control around random settings.

    Parameters
    ----------
    render : callable
        Raw values [controls] to audio, or None.
    controls : sequence of Control
    rng : numpy.random.Generator
    bases : int > 0
        Random settings around which each control is moved, time permitting.
    budget_s : float > 0
        Seconds; where it does not suffice, controls that have not moved yet come first.
    repeatability : float >= 0
        Share of the peak by which renders of the same settings differ; smaller effects don't count.

    Returns
    -------
    effect : float64 [controls]
        dB, the power mean over the bases; `SILENT_DB` where nothing moved.
    tried : int [controls]
        Around how many bases each was moved.

    Notes
    -----
    One random setting can hide a control behind another (a band that is off), so toggles are forced: all off, all on,
    each on alone, then at random.
    """
    space = ControlSpace(tuple(controls))
    count = len(controls)
    power = np.zeros(count)
    tried = np.zeros(count, int)
    moved = np.zeros(count, int)
    floor = max(10 ** (FLOOR_DB / 20), 3 * repeatability)
    started = time.monotonic()
    for turn in range(bases):
        base = random_setting(space, rng, turn, bases)
        sound = render(space.to_raw(base))
        for nearer in NEARER:
            if sound is not None and rms(sound) >= 1e-6:
                break
            base = towards_defaults(space, base, nearer)
            sound = render(space.to_raw(base))
        if sound is None or rms(sound) < 1e-6:
            continue
        for k in sorted(range(count), key=lambda k: (moved[k] > 0, tried[k], rng.random())):
            other = base.copy()
            other[k] = _elsewhere(controls[k], base[k], rng)
            changed = render(space.to_raw(other))
            if changed is None or changed.shape != sound.shape:
                continue
            share = rms(changed - sound) / max(rms(sound), rms(changed), 1e-9)
            tried[k] += 1
            if share > floor:
                moved[k] += 1
                power[k] += share**2
            if time.monotonic() - started > budget_s * (turn + 1) / bases:
                break
    mean = power / np.maximum(tried, 1)
    effect = np.where(moved > 0, 10 * np.log10(np.maximum(mean, 1e-12)), SILENT_DB)
    return np.where((moved > 0) & (effect <= SILENT_DB), SILENT_DB + 0.1, effect), tried


def random_setting(space: ControlSpace, rng: np.random.Generator, turn: int, turns: int) -> np.ndarray:
    """Draw positions [controls], with the toggles forced as the turn asks."""
    positions = rng.random(len(space))
    toggles = [k for k, control in enumerate(space.controls) if control.steps == 1]
    if toggles and turn < 2:
        positions[toggles] = turn
    elif toggles and turn < 2 + min(len(toggles), turns // 2):
        positions[toggles] = 0.0
        positions[toggles[turn - 2]] = 1.0
    elif toggles:
        positions[toggles] = rng.integers(0, 2, len(toggles))
        # Each in turn surely on, then each in turn surely off.
        positions[toggles[turn % len(toggles)]] = (turn // len(toggles)) % 2
    return space.snap(positions)


def towards_defaults(space: ControlSpace, positions: np.ndarray, share: float) -> np.ndarray:
    """Leave continuous controls only a share of their way from the defaults; others stay."""
    nearer = space.defaults + share * (positions - space.defaults)
    return space.snap(np.where(space.continuous, nearer, positions))


def rms(sound: np.ndarray) -> float:
    """Root mean square of all samples."""
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def _elsewhere(control: Control, position: float, rng: np.random.Generator) -> float:
    """Choose another position, at least a quarter of the range away; of a toggle, the other."""
    if control.steps == 1:
        return 1.0 - position
    shift = rng.uniform(0.25, 0.75)
    place = position + shift if position + shift <= 1.0 else position - shift if position >= shift else None
    if place is None:
        place = 0.0 if position > 0.5 else 1.0
    if control.steps:
        step = 1.0 / control.steps
        if abs(place - position) < step:
            place = position + step if position + step <= 1.0 else position - step
    return float(np.clip(place, 0.0, 1.0))
