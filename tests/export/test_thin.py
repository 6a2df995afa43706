"""Thinned lanes stay within their bound, keep their ends, and sound like what they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blackbox_afx.errors import UsageError
from blackbox_afx.export.thin import (
    EPS,
    ThinLanes,
    difference_db,
    held_points,
    line_points,
    thin_trajectory,
    thinning_error_db,
)
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.control import Control, ControlSpace
from blackbox_afx.plugins.trajectory import Trajectory


@st.composite
def trajectories(draw: st.DrawFn) -> Trajectory:
    points = draw(st.integers(1, 40))
    controls = draw(st.integers(1, 4))
    gaps = draw(hnp.arrays(np.float64, points, elements=st.floats(0.001, 2.0, allow_subnormal=False)))
    start = draw(st.sampled_from([0.0, 0.3]))
    raw = draw(hnp.arrays(np.float64, (points, controls), elements=st.floats(0, 1, allow_subnormal=False)))
    hold = draw(hnp.arrays(bool, controls))
    return Trajectory(times=start + np.cumsum(gaps) - gaps[0], raw=raw, hold=hold)


@given(trajectories(), st.floats(0.05, 60.0, allow_subnormal=False), st.sampled_from([0.0, EPS, 0.05]))
def test_every_lane_stays_within_its_bound(trajectory: Trajectory, end_s: float, eps: float) -> None:
    """At every moment from 0 to the end, each control is within eps of what it was; switches exactly."""
    thin = thin_trajectory(trajectory, end_s, eps=eps)
    inside = trajectory.times[trajectory.times < end_s]
    moments = np.unique(np.concatenate([inside, np.linspace(0, end_s, 97)[:-1]]))
    error = np.abs(thin.trajectory.at(moments) - trajectory.at(moments))
    hold = np.asarray(trajectory.hold)
    assert np.max(error[:, ~hold], initial=0) <= eps * 1.001 + 1e-9
    assert np.max(error[:, hold], initial=0) == 0


@given(trajectories(), st.floats(0.05, 60.0, allow_subnormal=False))
def test_lanes_begin_at_zero_and_end_at_the_end(trajectory: Trajectory, end_s: float) -> None:
    """A point at 0, one at the end, times in order, no more points than before, none for what stands still."""
    thin = thin_trajectory(trajectory, end_s)
    assert thin.points_after <= max(thin.points_before, 0)
    for k, lane in enumerate(thin.lanes):
        if lane is None:
            moments = np.linspace(0, end_s, 50)
            limit = 0.0 if trajectory.hold[k] else EPS
            assert np.max(np.abs(trajectory.at(moments)[:, k] - thin.start[k])) <= limit + 1e-12
            continue
        times, raw = lane
        assert times[0] == 0
        assert times[-1] == end_s
        assert raw[0] == thin.start[k]
        assert np.all(np.diff(times) > 0)


@given(trajectories(), st.floats(0.5, 60.0, allow_subnormal=False))
def test_lanes_and_the_trajectory_that_is_rendered_are_one(trajectory: Trajectory, end_s: float) -> None:
    """Drawn as lanes or rendered as a trajectory, the values are the same."""
    thin = thin_trajectory(trajectory, end_s)
    moments = np.linspace(0, end_s, 101)[:-1]
    rendered = thin.trajectory.at(moments)
    for k, lane in enumerate(thin.lanes):
        if lane is not None and not thin.hold[k]:
            np.testing.assert_allclose(rendered[:, k], np.interp(moments, *lane), atol=1e-12)


def test_a_straight_line_keeps_two_points() -> None:
    """What a ramp says needs no points between, whatever rounding does."""
    times = np.arange(1000) * 0.05
    assert line_points(times, 0.1 + 0.7 * times / times[-1], 0.0).sum() == 2
    assert held_points(np.repeat([0.0, 1.0, 0.0], 5)).sum() == 4  # two changes and both ends


def test_a_smooth_curve_keeps_few_points() -> None:
    """A slow sine at 20 values a second: less than a fifth stays, and the bound holds."""
    times = np.arange(0, 60, 0.05)
    values = 0.5 + 0.2 * np.sin(2 * np.pi * times / 10)
    keep = line_points(times, values, EPS)
    assert keep.sum() < 0.2 * len(times)
    assert np.max(np.abs(np.interp(times, times[keep], values[keep]) - values)) <= EPS * 1.001


def test_the_bound_holds_in_positions_too() -> None:
    """A plugin's linear 20 to 14000 Hz under a profile's log scale: low frequencies keep the points they need."""
    frequency = Control(
        name="Frequency",
        index=0,
        minimum=100,
        maximum=4000,
        scale="log",
        default=500,
        plugin_minimum=20,
        plugin_maximum=14000,
    )
    space = ControlSpace([frequency])
    times = np.arange(0, 20, 0.05)
    position = 0.2 + 0.2 * np.sin(times)
    trajectory = Trajectory(times=times, raw=space.to_raw(position[:, None]))

    def worst(thin: ThinLanes) -> float:
        return float(np.max(np.abs(space.from_raw(thin.trajectory.at(times))[:, 0] - position)))

    coarse, fine = thin_trajectory(trajectory, 20.0), thin_trajectory(trajectory, 20.0, space=space)
    assert worst(coarse) > 5 * EPS
    assert worst(fine) <= EPS * 1.002
    assert fine.points_after < fine.points_before / 3


def test_switches_are_held_whatever_the_trajectory_says() -> None:
    """No lane slides from off to on."""
    switch = Control(name="On", index=0, minimum=0, maximum=1, default=0, plugin_minimum=0, plugin_maximum=1, steps=1)
    trajectory = Trajectory(times=np.array([0.0, 1.0, 2.0]), raw=np.array([[0.0], [1.0], [1.0]]))
    thin = thin_trajectory(trajectory, 3.0, space=ControlSpace([switch]))
    assert thin.hold[0]
    np.testing.assert_array_equal(thin.trajectory.at([0.5, 0.99, 1.0, 2.5])[:, 0], [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("times", "values", "says"),
    [
        ([], [], "at least one"),
        ([0.0, 1.0], [0.5], "as many"),
        ([1.0, 0.0], [0.5, 0.5], "sort"),
        ([0.0, 0.0], [0.5, 0.5], "sort"),
        ([0.0, np.nan], [0.5, 0.5], "NaN"),
        ([0.0, 1.0], [0.5, np.inf], "infinity"),
    ],
)
def test_points_that_make_no_sense_are_refused(times: list, values: list, says: str) -> None:
    """Empty, unsorted, doubled or not a number: an error that says which."""
    with pytest.raises(UsageError, match=says):
        line_points(np.array(times), np.array(values), EPS)


@pytest.mark.parametrize(
    ("times", "raw"),
    [([], np.zeros((0, 1))), ([1.0, 0.5], [[0.5], [0.5]]), ([0.0], [[np.nan]]), ([np.nan], [[0.5]])],
)
def test_trajectories_that_make_no_sense_never_get_here(times: list, raw: np.ndarray) -> None:
    """The trajectory itself refuses them."""
    with pytest.raises(UsageError):
        Trajectory(times=np.array(times), raw=np.asarray(raw))


def test_one_point_gives_no_lane() -> None:
    """One value for ever is a setting, not a movement."""
    thin = thin_trajectory(Trajectory(times=np.array([5.0]), raw=np.array([[0.3, 0.6]])), 10.0)
    assert thin.lanes == (None, None)
    np.testing.assert_array_equal(thin.start, [0.3, 0.6])
    np.testing.assert_array_equal(thin.trajectory.at([0.0, 9.0]), [[0.3, 0.6]] * 2)


@pytest.mark.parametrize("end_s", [0.0, -1.0, np.nan, np.inf])
def test_an_end_that_is_none_is_refused(end_s: float) -> None:
    """No lanes without a length."""
    with pytest.raises(UsageError, match="length"):
        thin_trajectory(Trajectory.constant(np.array([0.5])), end_s)


def test_an_hour_and_two_hundred_lanes() -> None:
    """An hour of smooth values for 200 controls thins to a handful of points each."""
    times = np.arange(0, 3600, 1.0)
    phase = np.arange(200) / 7
    raw = 0.5 + 0.4 * np.sin(times[:, None] / 90 + phase)
    thin = thin_trajectory(Trajectory(times=times, raw=raw), 3600.0)
    assert all(lane is not None for lane in thin.lanes)
    assert thin.points_before == 200 * len(times) + 200
    assert thin.points_after < 0.15 * thin.points_before
    lane = thin.lanes[7]
    assert lane is not None
    assert np.max(np.abs(np.interp(times, *lane) - raw[:, 7])) <= EPS * 1.001


def test_the_audio_error_of_thinning_is_measured() -> None:
    """Through a real filter: exact where nothing is thinned, small at the default, larger at a coarse one."""
    spec = ChainSpec(profiles=(builtin_profile("LowpassFilter"),))
    rng = np.random.default_rng(0)
    audio = (0.2 * rng.standard_normal((1, 96000))).astype(np.float32)
    times = np.arange(0, 4.0, 0.05)
    raw = np.clip(0.5 + 0.2 * np.sin(3 * times) + 0.001 * rng.standard_normal(len(times)), 0, 1)[:, None]
    dense = Trajectory(times=times, raw=raw)
    with spec.open() as chain:
        errors = [
            thinning_error_db(chain, audio, dense, thin_trajectory(dense, 4.0, eps=eps).trajectory, 24000)
            for eps in (0.0, EPS, 0.05)
        ]
    assert errors[0] < -120
    assert -90 < errors[1] < -30
    assert errors[1] < errors[2] - 6


@settings(max_examples=30)
@given(
    hnp.arrays(np.float32, (1, 64), elements=st.floats(-1, 1, width=32, allow_subnormal=False)),
    st.floats(0.001, 0.5, allow_subnormal=False),
)
def test_difference_in_decibels(audio: np.ndarray, gain: float) -> None:
    """A signal that is (1 + g) times another differs from it by g, in dB."""
    if np.mean(audio.astype(np.float64) ** 2) < 1e-6:
        return
    assert difference_db(audio, audio) == -np.inf
    louder = audio.astype(np.float64) * (1 + gain)
    assert difference_db(louder, audio) == pytest.approx(20 * np.log10(gain), abs=1e-6)
