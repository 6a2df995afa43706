"""The oracle: the loss's distance, every render counted, and nearer to the target than what listens to nothing."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_afx.benchmark.methods import RandomSettings
from blackbox_afx.benchmark.oracle import Oracle, search_setting
from blackbox_afx.benchmark.pairs import PairMaker
from blackbox_afx.benchmark.report import markdown, summarise_errors
from blackbox_afx.benchmark.synthetic import run_synthetic
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.metrics.stft import stft_distance
from blackbox_afx.metrics.stft_numpy import StftTarget
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm

SPEC = ChainSpec(profiles=(builtin_profile("ChannelStrip"),))
RATE = 24000


@pytest.mark.parametrize("samples", [40000, 9000, 100])
def test_the_distance_without_torch_is_the_losses(samples):
    rng = np.random.default_rng(0)
    target, estimate = (0.1 * rng.standard_normal(samples).astype(np.float32) for _ in range(2))
    # Silence is floored on both sides alike.
    estimate[: samples // 3] = 0
    expected = stft_distance(target, estimate, RATE)
    assert StftTarget(target).distance(estimate) == pytest.approx(expected, rel=1e-4)
    assert StftTarget(target).distance(target) == 0
    assert StftTarget(target).distance(np.full_like(target, np.nan)) == np.inf


class Quadratic:
    """A worker whose chain writes how far a setting is from a known one into the audio."""

    def __init__(self, best: np.ndarray) -> None:
        self.best, self.calls = best, 0

    def chain(self, spec):
        return self

    def render(self, audio, positions, sample_rate):
        self.calls += 1
        return audio * (1 + 5 * float(np.sum((positions - self.best) ** 2)))


def test_the_search_finds_a_known_optimum_with_the_renders_it_may_spend():
    audio = 0.1 * np.random.default_rng(1).standard_normal(512).astype(np.float32)
    spec = ChainSpec(profiles=(builtin_profile("Compressor"),))
    best = np.random.default_rng(2).uniform(0.1, 0.9, len(spec.space))
    worker = Quadratic(best)
    found = search_setting(worker, spec, audio, audio, RATE, 250, (0, 1))
    assert worker.calls == found[-1] == 250
    assert found[-2] < 0.01
    assert np.abs(found[:-2] - best).max() < 0.05
    np.testing.assert_array_equal(found, search_setting(Quadratic(best), spec, audio, audio, RATE, 250, (0, 1)))


def test_the_oracle_is_a_row_of_the_table(demo_audio):
    clips = load_clips(find_audio(demo_audio, where="type=speech", purpose="benchmark"), "test")
    maker = PairMaker(clips, "self", SPEC, seed=1, segment=16384)
    told: list[int] = []
    # The search has a generator of its own and leaves the shared one alone.
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    with Farm(1) as farm:
        oracle = Oracle("oracle", SPEC, farm, renders=60, seed=0, tell=told.append)
        errors = run_synthetic(maker, [oracle, RandomSettings(SPEC, 1)], farm, pairs=4)
    assert told == [1, 2, 3, 4]
    assert oracle.spent == 240
    assert np.random.random() == expected  # noqa: NPY002
    summary = summarise_errors(errors, 0)
    assert summary["methods"]["oracle"]["stft"] < 0.7 * summary["input"]["stft"]
    assert summary["methods"]["oracle"]["stft"] < summary["methods"]["random"]["stft"]
    facts = {"renders_a_pair": 60, "renders": {"oracle": oracle.spent}}
    text = markdown({"protocol": "self", "pairs": 4, "seed": 0, "oracle": facts, **summary})
    assert "found by CMA-ES (240 renders in all)" in text
