"""Pairs of points: inside the box, at their full distance, and read off without the failed ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.errors import UsageError
from blackbox_afx.grads.pairs import (
    active_controls,
    mean_of_quotients,
    pair_differences,
    place_pairs,
    valid_rows,
)


@given(st.floats(0.0, 1.0), st.floats(-0.5, 0.5))
def test_pairs_keep_their_distance_everywhere(position, offset):
    points = place_pairs(np.array([[position]]), np.array([[[offset]]]))[0, :, 0]
    assert np.all((points >= 0.0) & (points <= 1.0))
    assert points[0] - points[1] == pytest.approx(2.0 * offset, abs=1e-15)
    if abs(offset) <= min(position, 1.0 - position):
        assert points.mean() == pytest.approx(position, abs=1e-15)


def test_an_offset_wider_than_the_box_is_cut_to_it():
    points = place_pairs(np.array([[0.2]]), np.array([[[3.0]]]))
    np.testing.assert_array_equal(points[0, :, 0], [1.0, 0.0])


def test_a_pair_that_lost_a_render_plays_no_part():
    points = place_pairs(np.full((1, 2), 0.5), np.array([[[0.1, 0.1], [0.1, -0.1]]]))
    responses = np.array([[np.nan, 1e9, 3.0, 1.0]])
    applied, change, kept = pair_differences(points, responses)
    np.testing.assert_array_equal(kept, [[False, True]])
    np.testing.assert_allclose(mean_of_quotients(applied, change), [[10.0, -10.0]])
    np.testing.assert_array_equal(valid_rows(kept), [True])


def test_no_applied_difference_no_gradient():
    points = np.array([[[0.5, 0.25], [0.5, 0.2]]])
    applied, change, _ = pair_differences(points, np.array([[2.0, 1.0]]))
    np.testing.assert_allclose(mean_of_quotients(applied, change), [[0.0, 20.0]])


def test_two_infinite_responses_are_a_failure():
    applied, change, kept = pair_differences(np.array([[[0.6], [0.4]]]), np.array([[np.inf, np.inf]]))
    assert not kept.any()
    assert not applied.any()
    assert not change.any()


def test_steps_are_checked():
    np.testing.assert_array_equal(active_controls(np.array([0.1, np.nan, np.inf]), 3), [True, False, False])
    with pytest.raises(UsageError, match="one step a control"):
        active_controls(np.array([0.1]), 3)
    with pytest.raises(UsageError, match="smallest step is 0"):
        active_controls(np.array([0.0, 0.1]), 2)
