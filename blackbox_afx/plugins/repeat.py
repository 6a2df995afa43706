"""Find out what makes a plugin repeat a render exactly after other settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.host import Instance
from blackbox_afx.plugins.profile import ResetPolicy

FEWEST = 4
"""Settings that are compared however slow a plugin is."""
CLEARLY = 10.0
"""How many times closer than a fresh instance's the renders of a cheaper policy must be, where neither are exact."""

Load = Callable[[ResetPolicy], Instance]


def choose_reset(
    load: Load,
    settings: Sequence[np.ndarray],
    audio: np.ndarray,
    sample_rate: int,
    *,
    policies: Sequence[ResetPolicy] = ("reset", "reinstantiate", "fresh"),
    budget_s: float = 20.0,
) -> tuple[ResetPolicy, dict[str, float]]:
    """Choose the first reset policy under which renders repeat exactly, else the best one.

    Parameters
    ----------
    load : callable
        Gives an instance under a policy.
    settings : sequence of float64 [controls]
        Raw values, the most telling ones first, as a slow plugin gets through few; each is rendered, then each again
        after others, then by a second instance in another order.
    audio : float32 [channels, samples]
    sample_rate : int
        Hertz.
    policies : sequence
        Cheapest first.
    budget_s : float > 0
        Seconds, about. Each policy has an equal part, and gets through `FEWEST` settings however long they take: one
        that was left out for want of time could not be chosen.

    Returns
    -------
    policy : str
    differences : dict of str to float
        For each policy tried the largest difference as a share of the peak; 0 means bit by bit the same.

    Raises
    ------
    PluginError
        No setting can be rendered at all.

    Notes
    -----
    Where no policy is exact the numbers are partly chance: ZamTube's fresh instances differ by 5e-5 to 4e-2 from run
    to run, its forced reinstantiation always by 0.24. What a fresh instance leaves is at least no trace of earlier
    renders, so it is preferred unless another is `CLEARLY` better.
    """
    found: dict[ResetPolicy, float] = {}
    for policy in policies:
        found[policy] = worst = _difference(load, policy, settings, audio, sample_rate, budget_s / len(policies))
        if worst == 0.0:
            break
    return _best(found), dict(found)


def _best(found: dict[ResetPolicy, float]) -> ResetPolicy:
    """Choose among differences by policy."""
    return min(found, key=lambda policy: found[policy] / (CLEARLY if policy == "fresh" else 1.0))


def _difference(
    load: Load,
    policy: ResetPolicy,
    settings: Sequence[np.ndarray],
    audio: np.ndarray,
    sample_rate: int,
    budget_s: float,
) -> float:
    """Render the settings in three orders on two instances and compare."""
    began = time.monotonic()
    count = len(settings)
    first: dict[int, np.ndarray] = {}
    instance = load(policy)
    for place in range(count):
        if (sound := attempt(instance, audio, settings[place], sample_rate)) is not None:
            first[place] = sound
        if time.monotonic() - began > budget_s / 3 and len(first) >= FEWEST:
            break
    if not first:
        raise PluginError("no render of random settings gives a finite sound")
    worst = 0.0
    # Neighbours swapped, then every other one backwards: each setting follows another one than before, and the first
    # few are compared even where time runs out.
    kept = list(first)
    swapped = [place for k in range(0, len(kept), 2) for place in kept[k : k + 2][::-1]]
    for again, order in enumerate((swapped, [*kept[::-2], *kept[-2::-2]])):
        if again:
            instance.close()
            instance = load(policy)
        for turn, place in enumerate(order, 1):
            sound = attempt(instance, audio, settings[place], sample_rate)
            worst = max(worst, difference(first[place], sound))
            if time.monotonic() - began > budget_s * (2 + again) / 3 and turn >= FEWEST:
                break
    instance.close()
    return worst


def attempt(
    instance: Instance,
    audio: np.ndarray,
    values: np.ndarray,
    sample_rate: int,
    block_size: int | None = None,
) -> np.ndarray | None:
    """Render, or give None where the plugin refuses or its sound is not finite or beyond all measure."""
    try:
        sound = instance.render(audio, given(values), sample_rate, block_size=block_size)
    except PluginError:
        return None
    return sound if np.isfinite(sound).all() and np.abs(sound).max(initial=0.0) < 1e4 else None


def given(values: np.ndarray) -> Any:
    """Give values as hosts take them: None where there is nothing to set."""
    return values if len(values) else None


def difference(one: np.ndarray, other: np.ndarray | None) -> float:
    """Give the largest difference between two renders as a share of the peak; 1 where there is no other."""
    if other is None or one.shape != other.shape:
        return 1.0
    largest = float(np.abs(one - other).max(initial=0.0))
    return largest / max(float(np.abs(one).max(initial=0.0)), 1e-9) if largest else 0.0
