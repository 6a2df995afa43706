"""How far each control moves the sound, on sounds whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.plugins.control import Control, ControlSpace
from blackbox_afx.plugins.movement import movement, random_setting
from blackbox_afx.plugins.probe_signal import probe_signal
from blackbox_afx.plugins.select import SILENT_DB

SOUND = probe_signal(24000, 0.2)


def control(name: str, index: int, steps: int = 0) -> Control:
    return Control(
        name=name,
        index=index,
        steps=steps,
        minimum=0,
        maximum=1,
        plugin_minimum=0,
        plugin_maximum=1,
        default=0,
    )


def test_a_polarity_switch_moves_the_sound_by_6_db_and_a_dead_control_not_at_all():
    effect, tried = movement(
        lambda values: SOUND * np.float32(1 - 2 * values[0]),
        [control("Polarity", 0, steps=1), control("Dead", 1)],
        np.random.default_rng(0),
    )
    assert effect[0] == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert effect[1] == SILENT_DB
    assert tried.tolist() == [20, 20]


def test_a_control_behind_a_switch_is_found_whichever_way_the_switch_must_stand():
    controls = [control("A", 0, steps=1), control("B", 1, steps=1), control("Behind", 2)]

    def play(values):
        alone = values[0] == 1 and values[1] == 0
        return SOUND * np.float32(1 - 0.5 * values[2] * alone)

    for seed in range(5):
        effect, _ = movement(play, controls, np.random.default_rng(seed))
        assert effect[2] > -40


def test_what_does_not_repeat_is_not_taken_for_movement():
    noise = np.random.default_rng(1)

    def play(values):
        return SOUND * np.float32(1 + 1e-3 * noise.standard_normal())

    effect, _ = movement(play, [control("Dead", 0)], np.random.default_rng(0), repeatability=1e-2)
    assert effect[0] == SILENT_DB


def test_a_plugin_that_breaks_far_from_its_defaults_is_moved_near_them():
    def play(values):
        return SOUND * np.float32(1 + values[0]) if values.max() < 0.3 else None

    effect, tried = movement(play, [control(f"K{k}", k) for k in range(3)], np.random.default_rng(0), bases=40)
    assert tried[0] > 0
    assert effect[0] > -40


def test_failing_renders_are_left_out():
    effect, tried = movement(
        lambda values: None if values[0] > 0.5 else SOUND * np.float32(values[0]),
        [control("Gain", 0)],
        np.random.default_rng(0),
        bases=40,
    )
    assert 0 < tried[0] < 40
    assert effect[0] > -20


@given(seed=st.integers(0, 1000), turn=st.integers(0, 30), toggles=st.integers(0, 6))
def test_random_settings_lie_in_the_box_and_on_the_grid(seed, turn, toggles):
    controls = [control(f"T{k}", k, steps=1) for k in range(toggles)]
    controls += [control("Choice", toggles, steps=3), control("Knob", toggles + 1)]
    space = ControlSpace(controls)
    drawn = random_setting(space, np.random.default_rng(seed), turn, 20)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert np.allclose(space.snap(drawn), drawn)
    if turn < 2:
        assert (drawn[:toggles] == turn).all()


def test_the_probe_signal_is_the_same_each_time_and_has_two_levels():
    sound = probe_signal(24000, 1.0, 2)
    assert sound.shape == (2, 24000)
    assert sound.dtype == np.float32
    assert np.array_equal(sound, probe_signal(24000, 1.0, 2))
    assert not np.array_equal(sound[0], sound[1])
    loud, quiet = sound[:, :12000], sound[:, 12000:]
    assert np.abs(loud).max() == pytest.approx(0.7, abs=1e-6)
    assert 20 * np.log10(np.abs(quiet).max() / np.abs(loud).max()) == pytest.approx(-26, abs=0.01)
    power = np.abs(np.fft.rfft(loud[0])) ** 2
    bands = [power[low : 2 * low].sum() for low in (40, 160, 640, 2560)]
    assert min(bands) > 1e-4 * max(bands)
