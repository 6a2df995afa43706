"""Trajectories: what lanes they make, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.trajectory import Trajectory


def test_lanes_are_the_values_at_each_block_start():
    ramp = Trajectory(times=[0.0, 1.0], raw=[[0.0], [1.0]])
    lanes = ramp.lanes(blocks=12, block_size=100, sample_rate=1000)
    np.testing.assert_allclose(lanes[:, 0], np.minimum(np.arange(12) / 10, 1.0))


def test_steps_hold_until_the_block_that_starts_at_their_time():
    step = Trajectory(times=[0.0, 512 * 3 / 24000], raw=[[0.0, 0.2], [1.0, 0.4]], hold=[True, False])
    lanes = step.lanes(6, 512, 24000)
    assert lanes[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(lanes[:4, 1], np.interp(np.arange(4), [0, 3], [0.2, 0.4]))


def test_values_hold_before_the_first_point_and_after_the_last():
    late = Trajectory(times=[1.0, 2.0], raw=[[0.25], [0.75]], hold=[True])
    assert late.at([0.0, 1.0, 1.9, 9.0])[:, 0].tolist() == [0.25, 0.25, 0.25, 0.75]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.integers(0, 50), st.integers(1, 8192))
def test_a_constant_is_constant(raw, blocks, block_size):
    lanes = Trajectory.constant(raw).lanes(blocks, block_size, 44100)
    assert lanes.shape == (blocks, len(raw))
    assert (lanes == np.array(raw)).all()


@given(st.data())
def test_linear_parts_agree_with_numpy(data):
    times = np.sort(data.draw(st.lists(st.integers(0, 10_000), min_size=2, max_size=8, unique=True))) / 1000
    raw = np.array([data.draw(st.floats(0, 1)) for _ in times])
    when = np.array(data.draw(st.lists(st.floats(0, 12), min_size=1)))
    found = Trajectory(times=times, raw=raw[:, None]).at(when)[:, 0]
    np.testing.assert_array_equal(found, np.interp(when, times, raw))
    assert found.min() >= 0
    assert found.max() <= 1


def test_it_is_frozen_and_its_own():
    raw = np.array([[0.5]])
    kept = Trajectory(times=[0.0], raw=raw)
    raw[0, 0] = 0.9
    assert kept.raw[0, 0] == 0.5
    with pytest.raises(ValueError, match="read-only"):
        kept.raw[0, 0] = 0.1
    with pytest.raises(AttributeError):
        kept.raw = raw


def test_part_keeps_columns():
    both = Trajectory(times=[0.0, 1.0], raw=[[0.0, 0.5], [1.0, 0.5]], hold=[True, False])
    assert both.moving.tolist() == [True, False]
    assert both.part(slice(1, 2)).raw.tolist() == [[0.5], [0.5]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": [], "raw": np.zeros((0, 1))}, "at least one point"),
        ({"times": [0.0]}, "1 times for 2 rows"),
        ({"times": [0.0, np.nan]}, "finite seconds"),
        ({"times": [-1.0, 0.0]}, "from 0 on"),
        ({"times": [1.0, 0.5]}, "0.5 s follows 1 s"),
        ({"times": [1.0, 1.0]}, "keep one a time"),
        ({"raw": [[0.0], [1.5]]}, "control 0 is 1.5 at 1 s"),
        ({"raw": [[np.nan], [0.5]]}, "control 0 is nan at 0 s"),
        ({"raw": [0.0, 1.0]}, r"\[points, controls\]"),
        ({"hold": [True, True]}, "one flag"),
    ],
)
def test_errors_are_one_line_that_says_what_is_wrong(change, message):
    with pytest.raises(UsageError, match=message) as caught:
        Trajectory(**{"times": [0.0, 1.0], "raw": [[0.0], [1.0]], **change})
    assert "\n" not in str(caught.value)
