"""What each control does to the linear part of its plugin, measured with an impulse at the very setting.

An impulse of 0.06 s through one plugin costs a few percent of a render. The difference of two, at
settings a small step to either side, is the derivative of the plugin's response: exact at every frequency for an
equaliser, for a mix or a gain, whatever the plugin is called.
Two things are made of it. The change of the chain's output that it foretells, where what follows is linear too, is a
basis function of the tangent proxy. And where it foretells the change of a plugin's own output, a probe needs not
render that plugin: the change is added to what goes into the next one.

Runs in render workers, so nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.errors import PluginError
from blackbox_afx.features.filters import IMPULSE_DBFS, apply_change, impulse
from blackbox_afx.features.ringing import extend_all
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.jobs import audio_flaw, finite_input

TAPS = 1408
"""Samples of an impulse's render: 256 before the impulse, and 48 ms at 24 kHz after it; what rings on is carried on."""


class Impulses(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold each plugin's response at a setting, and how its controls change it.

    Parameters
    ----------
    here : float32 [plugins, taps]
        Carried on beyond what was rendered, where it rings. As `blackbox_afx.features.filters` means it.
    change : float32 [P, taps]
        Of the control's own plugin, for each unit of position; 0 for controls that were not turned.
    """

    here: np.ndarray
    change: np.ndarray


def plugin_places(spec: ChainSpec) -> np.ndarray:
    """Give the place of each control's plugin in the chain, int64 [P]."""
    return np.repeat(np.arange(len(spec.profiles)), [len(profile.active) for profile in spec.profiles])


def impulse_calls(spec: ChainSpec, steps: np.ndarray, samples: int) -> float:
    """Say what measuring costs, in renders of the whole chain of so many samples."""
    places = plugin_places(spec)[np.isfinite(steps)]
    counts = np.bincount(places, minlength=len(spec.profiles))
    return float((spec.shares * (2 * counts + (counts > 0))).sum()) * TAPS / samples


def turned_point(spec: ChainSpec, base: np.ndarray, control: int, step: float, up: bool) -> tuple[np.ndarray, float]:
    """Turn one control by a step, the other way where a wall is near.

    Parameters
    ----------
    spec : ChainSpec
    base : float [P]
    control : int
    step : float
    up : bool
        Where both directions are free.

    Returns
    -------
    float [P], float
        The positions, and how far the control moved.
    """
    point = np.array(base, np.float64)
    if not step <= point[control] <= 1 - step:
        up = point[control] < 0.5
    point[control] += step if up else -step
    point = spec.space.snap(np.clip(point, 0.0, 1.0))
    return point, float(point[control] - base[control])


def measure_impulses(
    worker: Any,
    spec: ChainSpec,
    base: np.ndarray,
    steps: np.ndarray,
    rate: int,
    controls: Sequence[int] | None = None,
) -> Impulses:
    """Measure the plugins' responses at a setting, and how controls change them.

    Parameters
    ----------
    worker : Worker
    spec : ChainSpec
    base : float64 [P]
    steps : float [P]
        NaN: not turned.
    rate : int
        Hertz.
    controls : sequence of int, optional
        Those to turn; all that can be by default.

    Raises
    ------
    PluginError
        A render was not sound.
    """
    chain, places, dry = worker.chain(spec), plugin_places(spec), impulse(TAPS)[None]
    level = np.float32(10 ** (IMPULSE_DBFS / 20))
    live = np.flatnonzero(np.isfinite(steps)) if controls is None else np.asarray(controls)

    def respond(plugin: int, positions: np.ndarray) -> np.ndarray:
        wet = chain.render_one(plugin, dry, positions, rate)[0]
        if flaw := audio_flaw(wet):
            raise PluginError(f"{spec.labels[plugin]}, an impulse: {flaw}")
        return wet / level

    used = sorted(set(places[live].tolist()))
    rendered = [respond(plugin, base) for plugin in used]
    applied = np.zeros(len(live))
    for k, control in enumerate(live):
        ends = []
        for sign in (1.0, -1.0):
            point = np.array(base, np.float64)
            point[control] += sign * steps[control]
            point = spec.space.snap(np.clip(point, 0.0, 1.0))
            ends.append(float(point[control]))
            still = point[control] == base[control]
            rendered.append(rendered[used.index(places[control])] if still else respond(int(places[control]), point))
        applied[k] = ends[0] - ends[1]
    long = extend_all(np.stack(rendered)) if rendered else np.zeros((0, TAPS))
    here = np.zeros((len(spec.profiles), long.shape[1]), np.float32)
    here[used] = long[: len(used)]
    change = np.zeros((len(places), long.shape[1]), np.float32)
    pairs = long[len(used) :].reshape(len(live), 2, -1)
    moved = applied > 1e-9
    change[live[moved]] = (pairs[moved, 0] - pairs[moved, 1]) / applied[moved, None]
    return Impulses(here=here, change=change)


def entries(spec: ChainSpec, linear: np.ndarray) -> np.ndarray:
    """Say from which plugin on a render differs when a control moves, int64 [P].

    A control's own, or the next one where an impulse foretells what becomes of its own plugin's output. The last
    plugin is always rendered.
    """
    places = plugin_places(spec)
    return np.minimum(places + np.asarray(linear, bool), len(spec.profiles) - 1)


def first_rendered(entry: np.ndarray, base: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Say which plugin each point [M, P] is rendered from, int64 [M]."""
    moved = np.abs(points - base) > 1e-12
    return np.where(moved, entry, entry.max(initial=0)).min(axis=1, initial=entry.max(initial=0))


def probe_calls(spec: ChainSpec, linear: np.ndarray, base: np.ndarray, points: np.ndarray) -> float:
    """Count what `probe_linear` renders, in renders of the whole chain."""
    if not len(points):
        return 0.0
    first = first_rendered(entries(spec, linear), base, points)
    later = np.cumsum(spec.shares[::-1])[::-1]
    return float(later[first].sum() + spec.shares[: first.max()].sum())


def probe_linear(
    worker: Any,
    spec: ChainSpec,
    audio: np.ndarray,
    base: np.ndarray,
    points: np.ndarray,
    cotangent: np.ndarray,
    rate: int,
    linear: np.ndarray,
    change: np.ndarray,
) -> np.ndarray:
    """Measure ``<dL/dy, y(point)>`` as `ProbeJob` does, rendering no plugin whose change is foretold.

    Parameters
    ----------
    worker : Worker
    spec : ChainSpec
    audio, cotangent : float32 [channels, samples]
    base : float64 [P]
        The setting of the forward render.
    points : float64 [M, P]
    rate : int
        Hertz.
    linear : bool [P]
    change : float32 [P, taps]
        Of `Impulses`, at `base`.

    Returns
    -------
    float64 [M]
        NaN where a render failed.
    """
    audio, cotangent = finite_input(worker.audio(audio)), np.asarray(cotangent, np.float64)
    places, entry = plugin_places(spec), entries(spec, linear)
    chain = worker.chain(spec)
    render = chain.prefixed(audio, rate, base)
    responses = np.full(len(points), np.nan)
    for k, (point, first) in enumerate(zip(points, first_rendered(entry, base, points).tolist(), strict=True)):
        worker.at(k)
        into = render.before(first, base)
        early = np.flatnonzero((places < first) & (np.abs(point - base) > 1e-12))
        if len(early):
            # All of them belong to the plugin before: earlier ones would have been rendered from further up.
            moved = (point - base)[early] @ change[early]
            into = into + apply_change(moved, render.before(first - 1, base))
        wet = chain.render_from(first, into, point, rate)
        if not audio_flaw(wet):
            responses[k] = np.sum(cotangent * wet)
    return responses
