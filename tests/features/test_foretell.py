"""What a filter will make of statistics, against filters by scipy and the statistics of what they really made."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, signal

from blackbox_afx.features.filters import impulse
from blackbox_afx.features.foretell import filter_statistics, pull_back
from blackbox_afx.features.responses import response_db
from blackbox_afx.features.statistics import BANDS, DIMENSION, LAYOUT, statistics

RATE = 24000
PEAK, POLES = signal.iirpeak(1500, 2, fs=RATE)
FILTERS = {
    "low pass": signal.butter(1, 300, fs=RATE, output="sos"),
    "high pass": signal.butter(2, 250, "high", fs=RATE, output="sos"),
    "peak of 12 dB": np.concatenate([POLES + 3 * PEAK, POLES])[None],
}


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    """Noise with a spectrum like a voice's, in bursts."""
    rng = np.random.default_rng(4)
    noise = signal.lfilter([1], [1, -0.9], rng.normal(0, 0.02, 3 * RATE))
    gate = np.repeat(10 ** rng.uniform(-2, 0, 30), RATE // 10)
    return (noise * gate).astype(np.float32)


@pytest.mark.parametrize("kind", FILTERS)
def test_statistics_of_what_a_filter_made_are_foretold(kind, recording):
    sections = FILTERS[kind]
    before = statistics(recording, RATE)
    after = statistics(signal.sosfilt(sections, recording).astype(np.float32), RATE)
    foretold = filter_statistics(before, response_db(signal.sosfilt(sections, impulse(4096)), RATE)[None])[0]
    for part in ("mean_power", "mean_db", "quantiles", "by_level", "levels"):
        moved, left = np.abs(after - before)[LAYOUT[part]].mean(), np.abs(after - foretold)[LAYOUT[part]].mean()
        assert moved > 1.0, part
        assert left < 0.2 * moved, part
    _, rms, loudness, centroid = np.abs(after - foretold)[LAYOUT["scalars"]]
    assert max(rms, loudness) < 0.5
    assert centroid < 0.3 * np.abs(after - before)[LAYOUT["scalars"]][3]


def test_a_gain_is_foretold_exactly(recording):
    before, after = statistics(recording, RATE), statistics(recording * np.float32(2.0), RATE)
    foretold = filter_statistics(before, np.full((1, BANDS), 20 * np.log10(2.0)))[0]
    np.testing.assert_allclose(foretold, after, atol=0.01)


def test_slopes_are_those_of_differences(recording):
    before, rng = statistics(recording, RATE), np.random.default_rng(0)
    response, row = rng.normal(0, 4, BANDS), rng.normal(0, 1, DIMENSION)

    def value(bands: np.ndarray) -> float:
        return float(filter_statistics(before, bands[None])[0] @ row)

    differences = optimize.approx_fprime(response, value, 1e-5)
    np.testing.assert_allclose(pull_back(before, response, row), differences, atol=1e-3)
