"""A guide made of a chain's own renders: what it learns, keeps, and knows without learning."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch

from blackbox_afx.benchmark.gradients import chain_steps
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.errors import ControllerError, UsageError
from blackbox_afx.grads import Differences
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.proxies.tangent import TangentGuide, TangentProxy
from blackbox_afx.train.budget import Clock
from blackbox_afx.train.clip_book import write_clip_book
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.guide import (
    GUIDE_SHARE,
    LATE_SHARE,
    Case,
    Guide,
    GuidePlan,
    cosines,
    guide_plan,
    guide_seconds,
    last_gain,
    make_guide,
)
from blackbox_afx.train.linear_parts import LinearParts
from blackbox_afx.train.run_folder import save_tensors

SEGMENT = 16384


def chain(*names: str) -> ChainSpec:
    return ChainSpec(profiles=tuple(builtin_profile(name) for name in names))


@pytest.fixture(scope="module")
def book(demo_audio, tmp_path_factory) -> str:
    place = str(tmp_path_factory.mktemp("book") / "clips")
    collection = find_audio(demo_audio, where="type=speech", purpose="benchmark")
    write_clip_book(place, load_clips(collection, "test", sample_rate=24000, max_minutes=1.0))
    return place


def test_a_gain_at_the_end_is_known():
    assert last_gain(chain("Distortion", "Gain")) == (1, pytest.approx(48 * math.log(10) / 20))
    assert last_gain(chain("Gain", "Distortion")) == (-1, 0.0)
    parts = LinearParts(FarmEffect(Farm(1), chain("Gain", "PeakFilter"), 24000), np.full(4, 0.01), np.zeros(4))
    assert parts.costs == pytest.approx((1.0, 0.5, 0.5, 0.5))


def test_a_chain_of_choices_can_not_be_differentiated():
    with pytest.raises(UsageError, match="only toggles and choices"):
        chain_steps(chain("GSMFullRateCompressor"))


@pytest.mark.parametrize("cost_ms", [0.5, 20.0])
def test_a_plan_fits_its_time_and_is_small_where_there_is_none(cost_ms):
    """By the renders it asks for alone: five a setting, and each control twice as long a recording to calibrate."""
    profile = msgspec.structs.replace(builtin_profile("HighShelfFilter"), cost_ms=cost_ms)
    spec = ChainSpec(profiles=(profile, builtin_profile("Gain")))
    least = guide_plan(spec, -5.0, 2, 24000)
    assert least == guide_plan(spec, 0.0, 2, 24000)
    assert least.calibration < 10
    for seconds in (30.0, 100.0, 600.0):
        plan = guide_plan(spec, seconds, 2, 24000)
        renders = 5 * plan.examples + 2 * (1 + len(spec.space)) * plan.calibration
        took = renders * spec.cost_s(plan.segment / 24000) / 2
        assert took <= seconds
        assert plan.examples > least.examples
        assert plan.calibration > least.calibration
    assert plan.calibration == GuidePlan().calibration


def test_a_late_run_hurries_its_guide_and_says_so():
    on_time, late, over = Clock(10, spent_s=480), Clock(10, spent_s=570), Clock(10, spent_s=610)
    assert guide_seconds(on_time, 0.2, 5.0) == GUIDE_SHARE * 0.2 * 600
    assert on_time.late == []
    assert guide_seconds(late, 0.2, 5.0) <= LATE_SHARE * 25
    assert late.late == ["guide"]
    assert guide_seconds(over, 0.2, 5.0) < 0


def test_a_guide_learns_a_chain_and_is_kept(book, tmp_path):
    """A high shelf and a gain, against central differences; then the same from the file."""
    spec = chain("HighShelfFilter", "Gain")
    steps = chain_steps(spec)
    plan = GuidePlan(examples=120, segment=SEGMENT, passes=100.0, width=48, calibration=16)
    with Farm(1) as farm:
        guide = make_guide(farm, spec, book, steps, plan=plan, corrupted=0.0, seed=1)
        effect = FarmEffect(farm, spec, 24000)
        case = Case.draw(effect, book, 8, 2 * SEGMENT, np.random.default_rng(5))
        truth, calls = case.gradient(effect, Differences(), steps)
        assert calls == pytest.approx(8.0, abs=1.0)
        expected = guide.direction(list(case.inputs), case.positions, case.cotangents, list(case.outputs))
        assert list(guide.parts.linear) == [True, True, True, False]
        found, spent = case.gradient(
            effect,
            guide.estimator(spec, 1.5, 2 * SEGMENT),
            guide.probe_steps(spec),
            expected,
            direction=guide.direction,
        )
    assert np.mean(cosines(expected, truth)) > 0.8
    assert np.mean(cosines(found, truth)) > 0.95
    assert guide.parts.measure_calls(2 * SEGMENT) + spent <= 1.5 + 1e-9
    # At a wall the reference is the derivative a step inside.
    np.testing.assert_allclose(found[:, 3], truth[:, 3], rtol=0.05, atol=1e-3)
    guide.save(tmp_path / "guide.safetensors")
    with Farm(1) as farm:
        again = Guide.load(tmp_path / "guide.safetensors", FarmEffect(farm, spec, 24000))
        same = again.direction(list(case.inputs), case.positions, case.cotangents, list(case.outputs))
    np.testing.assert_allclose(same, expected, rtol=1e-5)
    np.testing.assert_array_equal(again.covariance, guide.covariance)
    np.testing.assert_array_equal(again.parts.linear, guide.parts.linear)
    np.testing.assert_array_equal(again.parts.steps, guide.parts.steps)


def test_impulses_alone_tell_the_derivative_of_an_equaliser(book):
    """No proxy has learned anything: what an impulse foretells is taken as it is."""
    spec = chain("PeakFilter", "HighShelfFilter", "Gain")
    steps = chain_steps(spec)
    with Farm(1) as farm:
        effect = FarmEffect(farm, spec, 24000)
        case = Case.draw(effect, book, 4, SEGMENT, np.random.default_rng(6))
        truth, _ = case.gradient(effect, Differences(), steps)
        parts = LinearParts(effect, steps, np.zeros(len(steps), bool))
        guide = TangentGuide(TangentProxy(len(steps), width=8), 24000, parts)
        found = guide(list(case.inputs), case.positions, case.cotangents, list(case.outputs))
    assert np.all(cosines(found, truth) > 0.99)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(truth, axis=1), rtol=0.05)


def test_a_guide_of_an_earlier_version_is_refused(tmp_path):
    save_tensors(tmp_path / "guide.safetensors", {"slope": torch.ones(2)}, {"sample_rate": "24000"})
    with Farm(1) as farm, pytest.raises(ControllerError, match="earlier version; remove it"):
        Guide.load(tmp_path / "guide.safetensors", FarmEffect(farm, chain("Gain"), 24000))
