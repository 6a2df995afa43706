"""Whether a section's own setting pays, where the answer is known: gains towards the reference's level or away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blackbox_afx.audio import write_audio
from blackbox_afx.features.statistics import statistics
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.transfer.judging import distance, judge
from blackbox_afx.transfer.style_controller import StyleController
from blackbox_afx.transfer.trajectories import Smoothing
from tests.transfer.test_automate import CHAIN, lively, two_levels
from tests.transfer.test_static import read, sound, write
from tests.transfer.untrained import untrained

RATE = 24000


@pytest.mark.parametrize("gain_db", [-12.0, 6.0])
def test_a_gain_is_that_far(gain_db):
    audio = sound(RATE, 4.0)[0]
    one, other = (statistics(each, RATE) for each in (audio, audio * np.float32(10 ** (gain_db / 20))))
    assert distance(one, other) == pytest.approx(abs(gain_db), abs=0.1)
    assert distance(one, one) == 0


def test_what_comes_nearer_pays_and_what_goes_away_does_not(tmp_path: Path):
    controller = StyleController.load(untrained(tmp_path / "c.safetensors", [builtin_profile("Gain")]))
    audio = two_levels(RATE, 8.0, step_db=-12.0)
    source = controller.hear(write(tmp_path / "in.wav", audio, RATE))
    steady = sound(RATE, 8.0) * np.float32(10 ** (controller.trim_db(source) / 20))
    write_audio(tmp_path / "reference.wav", steady, RATE, subtype="FLOAT")
    space = controller.spec.space

    def position(gain_db: float) -> np.ndarray:
        control = space.controls[0]
        return np.array([(gain_db - control.minimum) / (control.maximum - control.minimum)])

    half_way = position(6.0)
    with Farm(1) as farm:

        def ask(first_db: float, second_db: float, pays: float = 0.95) -> list[bool]:
            settings = np.stack([position(first_db), position(second_db)])
            references = [controller.hear(tmp_path / "reference.wav")]
            found = judge(farm, controller, source, references, half_way, settings, [0.0, 4.0, 8.0], pays)
            return found.tolist()

        assert ask(0.0, 12.0) == [True, True]
        assert ask(12.0, 0.0) == [False, False]
        # A section that stays, and one that comes nearer by less than is asked for.
        assert ask(6.0, 7.0, pays=0.5) == [False, False]
        assert ask(6.0, 7.0) == [False, True]


def test_lanes_that_do_not_pay_are_left_out_of_a_transfer(tmp_path):
    """An untrained controller's answers have nothing to do with the reference."""
    controller = lively(tmp_path / "c.safetensors", CHAIN)
    source = write(tmp_path / "in.wav", two_levels(RATE), RATE)
    reference = write(tmp_path / "reference.wav", sound(RATE, seed=9), RATE)
    controller.transfer(source, reference, out=tmp_path / "static.wav")
    made = controller.transfer(source, reference, out=tmp_path / "out.wav", automation=Smoothing(pays=0.01))
    assert made.automation_text.startswith("none of 2 sections comes clearly nearer")
    np.testing.assert_array_equal(read(tmp_path / "out.wav")[0], read(tmp_path / "static.wav")[0])
