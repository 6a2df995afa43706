"""Smoothing, hysteresis and sections: properties that hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import signal

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.control import Control, ControlSpace
from blackbox_afx.transfer.sections import find_sections
from blackbox_afx.transfer.trajectories import Smoothing, hold_choice, settle, smooth
from blackbox_afx.transfer.windows import BANDS, SHAPES, find_active, measure, reshape

# How long an example takes says nothing but how busy the machine is.
unhurried = settings(deadline=None)

UNIT = st.floats(0, 1, allow_nan=False)
COLUMNS = hnp.arrays(np.float64, st.tuples(st.integers(1, 60), st.integers(1, 4)), elements=st.floats(-9, 9))


@unhurried
@given(COLUMNS, st.floats(0, 20))
def test_smoothing_stays_in_range_and_keeps_constants(values, seconds):
    calm = smooth(values, 0.5, seconds)
    assert calm.shape == values.shape
    assert np.all(calm >= values.min(axis=0))
    assert np.all(calm <= values.max(axis=0))
    still = np.repeat(values[:1], len(values), axis=0)
    np.testing.assert_array_equal(smooth(still, 0.5, seconds), still)


@unhurried
@given(COLUMNS, st.floats(0.1, 5))
def test_smoothing_is_the_same_backwards_but_for_the_ends(values, seconds):
    padded = np.pad(values, ((200, 200), (0, 0)), mode="edge")
    forwards, backwards = smooth(padded, 0.5, seconds), smooth(padded[::-1], 0.5, seconds)[::-1]
    np.testing.assert_allclose(forwards[150:-150], backwards[150:-150], atol=1e-6)


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_the_time_constant_is_what_it_says(seconds):
    hop = 0.01
    step = np.repeat([[0.0], [1.0]], 2000, axis=0)
    calm = smooth(step, hop, seconds)[:, 0]
    assert calm[2000] == pytest.approx(0.5, abs=0.01)
    assert calm[2000 - round(seconds / hop)] == pytest.approx(np.exp(-1) / 2, abs=0.01)
    assert calm[2000 + round(seconds / hop)] == pytest.approx(1 - np.exp(-1) / 2, abs=0.01)


def test_one_wrong_window_does_not_move_anything():
    values = np.zeros((21, 1))
    values[10] = 5.0
    np.testing.assert_array_equal(smooth(values, 0.5, 1.0), 0.0)


@unhurried
@given(st.lists(UNIT, min_size=1, max_size=80), st.integers(2, 6), st.floats(0, 0.49))
def test_choices_switch_only_past_the_middle(answers, choices, hysteresis):
    answers = np.array(answers)
    held = hold_choice(answers, choices, hysteresis) * (choices - 1)
    np.testing.assert_allclose(held, held.round(), atol=1e-9)
    assert np.all(np.abs(held - answers * (choices - 1)) <= 0.5 + hysteresis + 1e-9)
    switched = np.flatnonzero(np.diff(held) != 0)
    before = np.abs(held[switched] - answers[switched + 1] * (choices - 1))
    assert np.all(before > 0.5 + hysteresis - 1e-9)


def test_a_toggle_does_not_flutter_about_the_middle():
    rng = np.random.default_rng(0)
    wobble = 0.5 + 0.15 * rng.uniform(-1, 1, 500)
    assert len(np.unique(hold_choice(wobble, 2, 0.2))) == 1
    assert np.count_nonzero(np.diff(hold_choice(wobble, 2, 0.0))) > 50
    there_and_back = np.concatenate([wobble - 0.5, wobble + 0.5, wobble - 0.5])
    assert np.count_nonzero(np.diff(hold_choice(there_and_back, 2, 0.2))) == 2


def control(name: str, **changes) -> Control:
    given = {"index": 0, "minimum": 0.0, "maximum": 1.0, "default": 0.5, "plugin_minimum": 0.0, "plugin_maximum": 1.0}
    return Control(name=name, **{**given, **changes})


def test_only_what_moves_moves():
    space = ControlSpace(
        [control("moves"), control("hardly"), control("static", automatable=False), control("switch", steps=1)]
    )
    ramp = np.linspace(0, 1, 50)
    answers = np.stack([ramp, 0.5 + 0.004 * ramp, ramp, 0.4 + 0.2 * ramp], axis=1)
    static = np.array([0.2, 0.51, 0.3, 0.0])
    settled = settle(space, answers, static, Smoothing())
    np.testing.assert_array_equal(settled[:, 0], ramp)
    for k in (1, 2, 3):
        np.testing.assert_array_equal(settled[:, k], static[k])
    moved = settle(space, np.stack([ramp] * 4, axis=1), static, Smoothing())[:, 3]
    assert set(moved) == {0.0, 1.0}
    assert np.count_nonzero(np.diff(moved)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("seconds", -1.0), ("seconds", np.nan), ("hysteresis", 0.5), ("moves", 2.0), ("penalty", np.inf)],
)
def test_bad_numbers_are_refused(name, value):
    with pytest.raises(UsageError, match=f"{value:g}"):
        Smoothing(**{name: value})


@unhurried
@given(st.integers(0, 2**32 - 1), st.integers(1, 120))
def test_sections_cover_everything(seed, count):
    blocks = np.random.default_rng(seed).normal(0, 3, (count, 3))
    edges = find_sections(blocks)
    assert edges[0] == 0
    assert edges[-1] == count
    assert np.all(np.diff(edges) >= min(4, count))


@pytest.mark.parametrize("seed", range(5))
def test_a_step_is_found_where_it_is_and_jitter_is_not(seed):
    rng = np.random.default_rng(seed)
    jitter = rng.normal(0, 2, (60, SHAPES))
    assert find_sections(jitter, penalty=2.0).tolist() == [0, 60]
    jitter[25:, 0] -= 15
    edges = find_sections(jitter, penalty=2.0)
    assert len(edges) == 3
    assert abs(edges[1] - 25) <= 1


def test_pauses_do_not_count():
    blocks = np.random.default_rng(1).normal(0, 2, (60, 2))
    heard = np.ones(60)
    blocks[20:30] -= 60
    heard[20:30] = 0
    assert find_sections(blocks, heard, penalty=2.0).tolist() == [0, 60]
    assert find_sections(blocks, penalty=2.0).tolist() == [0, 20, 30, 60]


def noise(seconds: float = 1.0) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(round(24000 * seconds))).astype(np.float32)


@unhurried
@given(st.floats(-30, 30))
def test_a_gain_moves_the_level_alone(gain_db):
    audio = noise()
    change = measure(audio * np.float32(10 ** (gain_db / 20)), 24000) - measure(audio, 24000)
    np.testing.assert_allclose(change, [gain_db, *[0.0] * (SHAPES - 1)], atol=1e-3)


@pytest.mark.parametrize("rate", [24000, 44100])
@pytest.mark.parametrize("shape", range(SHAPES))
def test_reshaping_does_what_measuring_says(rate, shape):
    change = np.zeros(SHAPES)
    change[shape] = 5.0
    audio = noise(2.0)
    made = reshape(audio, change, rate)
    assert made.shape == audio.shape
    assert made.dtype == np.float32
    np.testing.assert_allclose(measure(made, rate) - measure(audio, rate), change, atol=0.5)


def test_a_shelf_is_heard_as_a_shelf():
    """scipy's filter and our measure agree on the level that a first-order low-pass takes away."""
    audio = noise(3.0)
    b, a = signal.butter(1, 2000, fs=24000)
    change = measure(signal.lfilter(b, a, audio).astype(np.float32), 24000) - measure(audio, 24000)
    assert change[0] < -2
    assert np.argmax(np.abs(change[1:])) == 0
    assert np.linalg.norm(change) < 20 * np.sqrt(BANDS)


def test_quiet_passages_are_active_and_pauses_are_not():
    powers = 10 ** (np.array([-20, -21, -40, -70, -100, -20]) / 10)
    assert find_active(powers).tolist() == [True, True, True, False, False, True]
    assert find_active(np.zeros(3)).sum() == 1
