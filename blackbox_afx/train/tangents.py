"""Pairs of renders a small turn of one control apart: what a tangent proxy learns from. Runs in render workers."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_afx.data.corruptions import corrupt_input
from blackbox_afx.data.segments import ClipSampler
from blackbox_afx.errors import PluginError
from blackbox_afx.features.filters import HEARD, apply_change, apply_relative, heard, relative_change
from blackbox_afx.features.tiles import BANDS, BASIS, FEATURES, gram, project_with, tiles
from blackbox_afx.plugins.chain import ChainSpec, PrefixedRender
from blackbox_afx.plugins.jobs import audio_flaw
from blackbox_afx.train.clip_book import read_clip_book
from blackbox_afx.train.impulses import measure_impulses, plugin_places, turned_point

TURN = 0.01
"""Position step, up or down at random: its curvature then averages out over the training set."""


def make_tangents(
    worker: Any,
    spec: ChainSpec,
    book: str,
    seed: int,
    count: int,
    turns: int,
    segment: int,
    corrupted: float,
    steps: np.ndarray,
    around: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Render random settings, and each with a few of its controls turned a little.

    Parameters
    ----------
    worker : farm worker
    spec : ChainSpec
    book : str
        Clip book to draw from.
    seed : int
        Decides everything that is drawn.
    count, turns : int
        Settings, and controls turned at each.
    segment : int
        Samples of a recording.
    corrupted : float, 0 to 1
        Share of inputs that went through other effects first.
    steps : float [P]
        Least step of each control; NaN: never turned.
    around : float [N, P], optional
        Settings to draw from, for example those that a controller asks for, each moved by a deviation of 0.1; without
        it they are uniform.

    Returns
    -------
    dict
        ``features`` float32 [count, FEATURES], ``positions`` float32 [count, P], ``gram`` complex64 [count, B, J, J],
        ``control`` int64 [count, turns], ``heard`` float32 [count, turns, HEARD], ``change`` complex64
        [count, turns, B, J + 1], ``cross`` complex64 [count, turns, B, J], ``own`` float32 [count, turns, B],
        ``energy`` float32 [count, turns], ``misfit`` float32 [count, turns]: the share of the output of the control's
        own plugin that its response does not explain, 1 for the last plugin, ``valid`` bool [count, turns].
    """
    rng = np.random.default_rng(seed)
    source = read_clip_book(book)
    rate = source.sample_rate
    sampler = ClipSampler(rng, source, segment, segment // 2)
    controls = len(spec.space)
    live, places = np.flatnonzero(np.isfinite(steps)), plugin_places(spec)
    turns = min(turns, len(live))
    made: dict[str, np.ndarray] = {
        "features": np.zeros((count, FEATURES), np.float32),
        "positions": np.zeros((count, controls), np.float32),
        "gram": np.zeros((count, BANDS, BASIS, BASIS), np.complex64),
        "control": np.zeros((count, turns), np.int64),
        "heard": np.zeros((count, turns, HEARD), np.float32),
        "change": np.zeros((count, turns, BANDS, BASIS + 1), np.complex64),
        "cross": np.zeros((count, turns, BANDS, BASIS), np.complex64),
        "own": np.zeros((count, turns, BANDS), np.float32),
        "misfit": np.ones((count, turns), np.float32),
        "energy": np.zeros((count, turns), np.float32),
        "valid": np.zeros((count, turns), bool),
    }
    for k in range(count):
        clean = sampler.draw()[0]
        dry = (corrupt_input(rng, clean, rate, quick=True) if rng.random() < corrupted else clean)[None]
        drawn = rng.random(controls)
        if around is not None:
            drawn = np.clip(around[rng.integers(len(around))] + 0.1 * rng.normal(size=controls), 0.0, 1.0)
        base = spec.space.snap(drawn)
        # Late plugins first would save nothing: the base is kept throughout.
        turned = np.sort(rng.permutation(live)[:turns])
        sign = rng.choice((-1.0, 1.0), size=turns)
        worker.at(k)
        render = worker.chain(spec).prefixed(dry, rate, base)
        wet = render(base).copy()
        if audio_flaw(wet) or not wet.any():
            continue
        try:
            impulses = measure_impulses(worker, spec, base, steps, rate, turned.tolist())
        except PluginError as error:
            worker.note(str(error))
            continue
        found = tiles(dry, wet, rate)
        made["features"][k], made["positions"][k], made["gram"][k] = found.features, base, gram(found)
        made["control"][k] = turned
        for d, control in enumerate(turned):
            step = max(TURN, float(steps[control]))
            point, applied = turned_point(spec, base, int(control), step, bool(sign[d] > 0))
            moved = render(point)
            if audio_flaw(moved) or abs(applied) < 1e-6:
                continue
            relative = relative_change(impulses.here[places[control]], impulses.change[control])
            foretold = apply_relative(relative, wet)
            change = (moved - wet) / np.float32(applied)
            projection = project_with(found, foretold, change, rate)
            for name in ("change", "cross", "own", "energy"):
                made[name][k, d] = getattr(projection, name)
            made["heard"][k, d] = heard(relative, rate)
            made["misfit"][k, d] = misfit(render, int(places[control]), base, impulses.here[places[control]])
            made["valid"][k, d] = np.isfinite(projection.change).all() and np.isfinite(foretold).all()
    return made


def misfit(render: PrefixedRender, plugin: int, base: np.ndarray, here: np.ndarray) -> float:
    """Say which share of a plugin's output its response to an impulse does not explain; 1 for the last plugin.

    Parameters
    ----------
    render : PrefixedRender
    plugin : int
        Its place in the chain.
    base : float [P]
    here : float32 [taps]
        Its response there.
    """
    if plugin == len(render.chain.spec.profiles) - 1:
        return 1.0
    out = render.before(plugin + 1, base)
    left = out - apply_change(here, render.before(plugin, base))
    return float(min(np.square(left).sum() / max(float(np.square(out).sum()), 1e-20), 1.0))
