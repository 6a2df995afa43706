"""Matching and refining through pedalboard's own effects: nearer to a style made by a known setting, never farther."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pedalboard
import pytest
import soundfile

import blackbox_afx
from blackbox_afx.errors import AudioError, OutputError, UsageError
from blackbox_afx.features.statistics import statistics
from blackbox_afx.features.style import style_distance, style_of, style_parts
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.transfer.match import PEAK_DBFS, match
from blackbox_afx.transfer.refine import Refinement, blend, excerpt
from blackbox_afx.transfer.style_controller import StyleController
from blackbox_afx.transfer.trajectories import Smoothing
from tests.transfer.test_static import sound, write
from tests.transfer.untrained import untrained

RATE = 24000
PLUGINS = (builtin_profile("HighShelfFilter"), builtin_profile("Gain"))
SPEC = ChainSpec(profiles=PLUGINS)
QUICK = Refinement(renders=29, seconds=3.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path, np.ndarray]:
    """A take, and the same take, brought to the level of matching, through a known setting."""
    folder = tmp_path_factory.mktemp("match")
    take = sound(RATE, seconds=3.0)
    truth = SPEC.space.snap(np.linspace(0.25, 0.7, len(SPEC.space)))
    level = np.float32(10 ** (PEAK_DBFS / 20) / np.abs(take).max())
    made = SPEC.open().render(take * level, truth, RATE)
    return write(folder / "take.wav", take, RATE), write(folder / "reference.wav", made, RATE), truth


def style(path: Path) -> np.ndarray:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return style_of(statistics(audio.mean(1), rate))


def test_a_match_comes_near_and_says_how_near(tmp_path, files):
    take, reference, _ = files
    seen = []
    made = match(
        take, reference, PLUGINS, out=tmp_path / "out.wav", refinement=QUICK, refining=lambda *row: seen.append(row)
    )
    assert made.refined is not None
    assert made.refined.after < 0.02 < 0.3 < made.refined.before
    # What was heard of an excerpt holds for the file that was written; measured from the file alone.
    distance = float(style_distance(style(tmp_path / "out.wav"), style(reference)))
    assert distance == pytest.approx(made.refined.after, abs=0.01)
    record = json.loads((tmp_path / "out.controls.json").read_text())
    told = record["refinement"]
    assert told["distance"] == made.refined.after
    assert told["renders"] == made.refined.renders == seen[-1][0] <= 29
    assert seen[-1][1:] == (made.refined.before, made.refined.after)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.controls.json", "out.session.json", "out.wav"]
    assert "to a peak of -12 dBFS" in made.trim_text
    assert f"-> {made.refined.after:.3f} after" in made.refined.text


def test_a_heavier_spectrum_is_matched_more_nearly(tmp_path, files):
    """A gain can't do what a shelf did: the more the mean spectrum counts beside loudness, the nearer that comes."""
    take, _, _ = files
    audio, rate = soundfile.read(take, dtype="float32")
    dulled = pedalboard.Pedalboard([pedalboard.HighShelfFilter(800, -30, 0.7)])(audio[None], rate)
    reference, gaps = write(tmp_path / "dulled.wav", dulled, rate), []
    for spectrum in (0.1, 1.0, 10.0):
        options = Refinement(renders=40, seconds=3.0, pull=0.0, spectrum=spectrum)
        match(take, reference, PLUGINS[1:], out=tmp_path / f"{spectrum}.wav", refinement=options)
        gap = (style(tmp_path / f"{spectrum}.wav") - style(reference))[style_parts()["spectrum"]]
        gaps.append(np.mean(np.sqrt(1 + gap**2) - 1))
        told = json.loads((tmp_path / f"{spectrum}.controls.json").read_text())["refinement"]
        assert told["spectrum"] == spectrum
    assert gaps[2] < gaps[1] < gaps[0]
    assert gaps[2] < 0.98 * gaps[0], gaps


def test_amount_blends_towards_the_defaults(tmp_path, files):
    take, reference, _ = files
    space = SPEC.space
    np.testing.assert_array_equal(blend(space, np.ones(len(space)), 0.0), space.snap(space.defaults))
    whole = match(take, reference, PLUGINS, out=tmp_path / "a.wav", refinement=QUICK)
    half = match(take, reference, PLUGINS, out=tmp_path / "b.wav", refinement=QUICK, amount=0.5)
    np.testing.assert_allclose(half.positions, blend(space, whole.positions, 0.5), atol=1e-9)


@pytest.mark.parametrize("amount", [0.0, 0.5])
def test_the_distance_told_is_that_of_what_was_written(tmp_path, files, amount):
    take, reference, _ = files
    made = match(take, reference, PLUGINS, out=tmp_path / "out.wav", refinement=QUICK, amount=amount)
    distance = float(style_distance(style(tmp_path / "out.wav"), style(reference)))
    assert distance > 0.05
    assert made.refined.after == pytest.approx(distance, abs=0.01)
    assert f"-> {made.refined.after:.3f} after" in made.refined.text
    if not amount:
        assert made.refined.after == made.refined.before


def test_refining_a_controller_is_never_farther_from_the_style(tmp_path, files):
    take, reference, _ = files
    controller = StyleController.load(untrained(tmp_path / "c.safetensors", list(PLUGINS)))
    for name, pull in (("a.wav", 0.1), ("b.wav", 1e6)):
        search = Refinement(renders=17, seconds=3.0, pull=pull, reach=0.2)
        made = controller.transfer(take, reference, out=tmp_path / name, refinement=search)
        assert made.refined.after <= made.refined.before
    heard = controller.hear(take)
    said = controller.predict(heard, [controller.hear(reference)])
    # A pull that strong leaves the controller's word as it was.
    np.testing.assert_allclose(made.positions, said, atol=0.01)
    assert "to the level the controller was learned at" in made.trim_text


def test_refined_settings_can_be_automated(tmp_path, files):
    take, reference, _ = files
    controller = StyleController.load(untrained(tmp_path / "c.safetensors", list(PLUGINS)))
    made = controller.transfer(take, reference, out=tmp_path / "o.wav", refinement=QUICK, automation=Smoothing())
    assert made.refined is not None
    assert made.automation is not None
    with pytest.raises(UsageError, match="needs a controller"):
        match(take, reference, PLUGINS, out=tmp_path / "m.wav", refinement=QUICK, automation=Smoothing())


def test_an_interrupt_keeps_the_best_so_far(tmp_path, files):
    take, reference, _ = files

    told = []

    def interrupt(renders: int, before: float, best: float) -> None:
        told.append(renders)
        if renders >= 17:
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(5)

    search = Refinement(renders=400, seconds=3.0)
    made = match(take, reference, PLUGINS, out=tmp_path / "out.wav", refinement=search, refining=interrupt)
    assert made.refined.interrupted
    assert 17 <= made.refined.renders == told[-1] < 400
    assert made.refined.after < made.refined.before
    assert made.audio.exists()
    assert "interrupted, the best so far was kept" in made.refined.text


def test_the_excerpt_is_a_loud_part_at_the_files_own_rate(tmp_path):
    take = sound(44100, seconds=12.0, channels=2)
    take[:, : 6 * 44100] *= 0.003
    chosen, _ = excerpt(write(tmp_path / "in.wav", take, 44100), 3.0, -6.0)
    assert chosen.shape == (2, 3 * 44100)
    at = [np.abs(chosen / 10 ** (-6 / 20) - take[:, s * 44100 : (s + 3) * 44100]).max() < 1e-4 for s in (6, 9)]
    assert any(at)


def test_wrong_requests_are_one_line_and_leave_nothing(tmp_path, files):
    take, reference, _ = files
    for options, told in (
        ({"renders": 1}, "1 renders"),
        ({"seconds": 0.2}, "0.2 s"),
        ({"seed": -1}, "seed -1"),
        ({"method": "magic"}, "guided"),
        ({"pull": -1.0}, "pull -1"),
        ({"spectrum": 0.0}, "spectrum 0"),
        ({"reach": 0.0}, "reach 0"),
    ):
        with pytest.raises(UsageError, match=told):
            Refinement(**options)
    with pytest.raises(UsageError, match="no PLUGIN"):
        match(take, reference, [], out=tmp_path / "o.wav")
    with pytest.raises(UsageError, match="no reference"):
        match(take, [], PLUGINS, out=tmp_path / "o.wav")
    with pytest.raises(AudioError, match="no such file"):
        match(take, tmp_path / "none.wav", "/nowhere/none.vst3", out=tmp_path / "o.wav")
    # What takes no plugin to know is said before one is looked for, and perhaps probed.
    for out, told in (
        (take, "one of the inputs"),
        (tmp_path / "no" / "where.wav", "does not exist"),
        (tmp_path / "o.xyz", "can't write audio as '.xyz'"),
    ):
        with pytest.raises(OutputError, match=told):
            match(take, reference, "/nowhere/none.vst3", out=out, force=True)
    assert list(tmp_path.iterdir()) == []
    assert blackbox_afx.match is match
