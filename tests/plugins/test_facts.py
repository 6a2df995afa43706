"""Single facts about a plugin, on systems whose answer is known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.facts import block_sensitivity, depends_on_level, exact_gains, tail_seconds
from blackbox_afx.plugins.probe_signal import probe_signal

RATE = 24000
SOUND = probe_signal(RATE, 0.5)
NONE = np.zeros(0)


@pytest.mark.parametrize("t60", [0.05, 0.3, 1.0])
def test_the_tail_of_a_decay_is_its_reverberation_time(t60):
    pole = 10 ** (-3 / (t60 * RATE))
    burst = np.ones((1, RATE // 4), np.float32)

    def play(audio, values, block_size=None):
        return lfilter([1 - pole], [1, -pole], audio).astype(np.float32)

    # The decay starts at the peak where the burst is long against it.
    start = 1 - pole ** (RATE // 4)
    expected = t60
    assert tail_seconds(play, burst, [NONE], RATE) == pytest.approx(expected, abs=0.02 + t60 * (1 - start))


def test_no_tail_without_memory():
    assert tail_seconds(lambda audio, values: audio, SOUND, [NONE], RATE) == 0.0


def test_gain_that_depends_on_level():
    assert not depends_on_level(lambda audio, values: 3 * audio, SOUND, [NONE], 0.0)
    assert depends_on_level(lambda audio, values: np.tanh(3 * audio), SOUND, [NONE], 0.0)


def test_block_size_that_is_part_of_the_sound():
    def steps(audio, values, block_size=512):
        held = np.arange(audio.shape[1]) // (block_size or 512) * (block_size or 512)
        return audio * (1 + held / audio.shape[1]).astype(np.float32)

    found = block_sensitivity(steps, SOUND, [NONE], 512)
    assert set(found) == {"64", "256", "1024"}
    assert min(found.values()) > 1e-3
    same = block_sensitivity(lambda audio, values, block_size=None: audio, SOUND, [NONE], 512)
    assert set(same.values()) == {0.0}


def test_an_output_gain_is_told_from_other_controls_in_db():
    def control(name, index):
        return Control(
            name=name,
            index=index,
            unit="dB",
            minimum=-24,
            maximum=24,
            plugin_minimum=-24,
            plugin_maximum=24,
            default=0,
        )

    controls = [control("Drive", 0), control("Output", 1)]

    def play(audio, values, block_size=None):
        drive, out = 10 ** ((48 * values - 24) / 20)
        return (np.tanh(drive * audio) * out).astype(np.float32)

    settings = [np.array([0.2, 0.7]), np.array([0.9, 0.4])]
    assert exact_gains(play, SOUND, controls, settings) == ["Output"]
