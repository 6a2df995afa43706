"""Step sizes: the three demands, and what can't be differentiated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.errors import UsageError
from blackbox_afx.grads import step_sizes


def test_steps_follow_the_largest_demand():
    resolutions = np.array([0.0, 1e-3, 0.05, 1e-5])
    np.testing.assert_allclose(step_sizes(resolutions), [5e-4, 1e-3, 0.05, 5e-4])
    np.testing.assert_allclose(step_sizes(resolutions, repeatability=2e-3), [0.02, 0.02, 0.05, 0.02])


def test_toggles_and_choices_are_not_differentiated():
    steps = step_sizes(np.array([np.nan, np.inf, 1.0, 0.5]))
    np.testing.assert_array_equal(np.isnan(steps), [True, True, True, False])


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=8), st.floats(0.0, 0.05), st.floats(1e-5, 0.5))
def test_steps_are_never_below_a_demand_nor_beyond_the_box(resolutions, repeatability, base_step):
    steps = step_sizes(np.array(resolutions), repeatability, base_step)
    assert np.all(steps >= np.array(resolutions))
    assert np.all(steps >= repeatability)
    assert np.all((steps >= base_step) & (steps <= 0.5))


@given(st.integers(2, 2000), st.floats(0.0, 1.0))
def test_a_pair_always_moves_a_control_with_a_grid(intervals, position):
    """Rounded to the plugin's grid, the two points never fall on one value."""
    step = step_sizes(np.array([1.0 / intervals]))[0]
    centre = np.clip(position, step, 1.0 - step)
    assert np.round((centre + step) * intervals) > np.round((centre - step) * intervals)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"repeatability": 0.2}, "differ by 0.2"),
        ({"repeatability": -1.0}, "repeatability is -1"),
        ({"base_step": 0.0}, "base_step is 0"),
        ({"resolutions": np.array([-0.1])}, "a resolution is -0.1"),
    ],
)
def test_values_outside_their_domain_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        step_sizes(**{"resolutions": np.zeros(1), **arguments})
