"""Impulses through single plugins, and probes that leave a linear plugin unrendered."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from blackbox_afx.benchmark.gradients import chain_steps
from blackbox_afx.features.filters import grid, relative_change
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm_worker import Worker
from blackbox_afx.train.impulses import (
    TAPS,
    entries,
    impulse_calls,
    measure_impulses,
    plugin_places,
    probe_calls,
    probe_linear,
)
from tests.cookbook import peak

RATE = 24000


def chain(*names: str) -> ChainSpec:
    return ChainSpec(profiles=tuple(builtin_profile(name) for name in names))


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


def test_changes_of_a_peak_are_those_of_the_cookbook(worker):
    spec = chain("PeakFilter")
    base = spec.space.snap(np.full(3, 0.6))
    found = measure_impulses(worker, spec, base, chain_steps(spec), RATE)
    relative = relative_change(found.here[0], found.change)

    def log_response(positions: np.ndarray) -> np.ndarray:
        gain_db, frequency, q = spec.space.to_plain(positions)
        b, a = peak(frequency, gain_db, q, RATE)
        return np.log(signal.freqz(b, a, grid(TAPS) // 2 + 1, fs=RATE, include_nyquist=True)[1])

    for control in range(3):
        ends = [base + sign * 5e-3 * np.eye(3)[control] for sign in (1, -1)]
        known = (log_response(ends[0]) - log_response(ends[1])) / 1e-2
        assert np.abs(relative[control] - known).max() < 0.01 * np.abs(known).max()


def test_probes_before_a_saturator_are_those_of_the_chain(worker):
    spec = chain("PeakFilter", "HighShelfFilter", "Distortion")
    places, rng = plugin_places(spec), np.random.default_rng(3)
    base = spec.space.snap(rng.uniform(0.3, 0.7, len(places)))
    audio = rng.normal(0, 0.1, (1, 12000)).astype(np.float32)
    cotangent = rng.normal(size=audio.shape).astype(np.float32)
    points = base + 1e-3 * np.vstack([np.eye(len(places)), rng.normal(size=(3, len(places)))])
    points = spec.space.snap(points)
    steps = chain_steps(spec)
    impulses = measure_impulses(worker, spec, base, steps, RATE)
    at = float((cotangent.astype(np.float64) * worker.chain(spec).render(audio, base, RATE)).sum())
    rendered = np.array(
        [float((cotangent.astype(np.float64) * worker.chain(spec).render(audio, row, RATE)).sum()) for row in points]
    )
    linear = places < 2
    worker.chain(spec).calls = 0.0
    found = probe_linear(worker, spec, audio, base, points, cotangent, RATE, linear, impulses.change)
    np.testing.assert_allclose(found - at, rendered - at, rtol=0.03, atol=0.02 * np.abs(rendered - at).max())
    # What was counted is what was rendered.
    assert worker.chain(spec).calls == pytest.approx(probe_calls(spec, linear, base, points), abs=1e-6)
    assert probe_calls(spec, linear, base, points) < probe_calls(spec, np.zeros(len(places), bool), base, points)


def test_what_is_counted():
    spec = chain("Gain", "PeakFilter")
    assert list(entries(spec, np.zeros(4, bool))) == [0, 1, 1, 1]
    assert list(entries(spec, np.ones(4, bool))) == [1, 1, 1, 1]
    base = np.full(4, 0.5)
    points = np.array([[0.6, 0.5, 0.5, 0.5], [0.5, 0.6, 0.5, 0.5]])
    assert probe_calls(spec, np.zeros(4, bool), base, points) == pytest.approx(1.0 + 0.5 + 0.5)
    assert probe_calls(spec, np.ones(4, bool), base, points) == pytest.approx(0.5 + 0.5 + 0.5)
    assert probe_calls(spec, np.ones(4, bool), base, points[:0]) == 0.0
    # Two a control and one a plugin.
    steps = np.array([0.01, 0.01, np.nan, np.nan])
    assert impulse_calls(spec, steps, TAPS) == pytest.approx(3 * 0.5 + 3 * 0.5)
