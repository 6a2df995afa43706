"""Automated transfer: lanes where level or tone change, none elsewhere; the render is what the session says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.plugins.trajectory import Trajectory
from blackbox_afx.session import Session, read_session
from blackbox_afx.transfer.automate import automate
from blackbox_afx.transfer.style_controller import StyleController
from blackbox_afx.transfer.trajectories import Smoothing
from blackbox_afx.transfer.windows import follow, follow_blocks, measure
from tests.transfer.test_static import read, sound, write
from tests.transfer.test_vst3 import profile_of
from tests.transfer.untrained import untrained

STRIP = builtin_profile("ChannelStrip")
CHAIN = [STRIP, builtin_profile("Compressor")]
LANES = Smoothing(pays=None)
"""An untrained controller's answers seldom pay."""


def two_levels(rate: int, seconds: float = 10.0, channels: int = 1, step_db: float = -20.0) -> np.ndarray:
    """A recording whose second half is quieter."""
    audio = sound(rate, seconds, channels)
    audio[:, audio.shape[1] // 2 :] *= np.float32(10 ** (step_db / 20))
    return audio


def lively(path: Path, profiles: list[Profile], factor: float = 30.0) -> StyleController:
    """A controller that answers to what it hears more than untrained ones do."""
    controller = StyleController.load(untrained(path, profiles))
    controller.network.controller.last.weight.data *= factor
    return controller


@pytest.fixture(scope="module")
def controller(tmp_path_factory) -> StyleController:
    return lively(tmp_path_factory.mktemp("c") / "chain.safetensors", CHAIN)


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("r") / "reference.wav", sound(24000, seed=9), 24000)


def by_session(session: Session, spec: ChainSpec) -> Trajectory:
    """Put a chain's trajectory together from the points that a session carries, without the code that made them."""
    track = session.live[0]
    lanes = {(p, lane.control): lane for p, plugin in enumerate(track.plugins) for lane in plugin.lanes}
    times = np.array(sorted({time for lane in lanes.values() for time in lane.times} | {0.0}))
    columns, hold = [], []
    for p, (profile, plugin) in enumerate(zip(spec.profiles, track.plugins, strict=True)):
        for control in profile.active:
            lane = lanes.get((p, control.index))
            hold.append(lane is not None and lane.hold)
            if lane is None:
                columns.append(np.full(len(times), plugin.value(control.index).raw))
            elif lane.hold:
                columns.append(np.array(lane.raw)[np.searchsorted(lane.times, times, side="right") - 1])
            else:
                columns.append(np.interp(times, lane.times, lane.raw))
    return Trajectory(times=times, raw=np.stack(columns, axis=1), hold=np.array(hold))


def check_against_session(folder: Path, spec: ChainSpec) -> Session:
    """Render the session's lanes through the session's clip, and compare with the session's render."""
    session = read_session(folder / "out.session.json")
    live, ours = session.tracks
    clip = live.clips[0]
    given, rate = read(session.resolve(clip))
    made, _ = read(session.resolve(ours.clips[0]))
    assert (rate, len(given)) == (session.sample_rate, clip.channels)
    with spec.open() as chain:
        fed = given * np.float32(10 ** (clip.gain_db / 20))
        expected = chain.render_raw(fed, by_session(session, spec), rate)
    assert np.abs(made - expected).max() <= 1e-5 * max(1.0, float(np.abs(expected).max()))
    return session


@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (44100, 2)])
def test_the_render_is_what_the_session_says(tmp_path, controller, reference, rate, channels):
    source = write(tmp_path / "in.wav", two_levels(rate, channels=channels), rate)
    result = controller.transfer(source, reference, out=tmp_path / "out.wav", automation=LANES)
    session = check_against_session(tmp_path, controller.spec)
    record = json.loads(result.controls_file.read_text())
    made = record["automation"]
    assert made["moved"] > 3
    assert len(made["sections"]) == 2
    assert abs(made["sections"][0][1] - 5.0) < 1.0
    lanes = [lane for plugin in session.live[0].plugins for lane in plugin.lanes]
    assert sum(len(lane.times) for lane in lanes) == made["points"] == session.thinning.points_after
    automated = [control["automated"] for plugin in record["plugins"] for control in plugin["controls"]]
    assert [count for count in automated if count] == [len(lane.times) for lane in lanes]
    for lane in lanes:
        assert lane.times[0] == 0
        assert lane.times[-1] == pytest.approx(10.0)
    assert session.thinning.error_db < -25
    assert "controls move over 2 sections, smoothed by 0.7 s" in result.automation_text
    # What the JSON tells for setting it by hand is where the lanes start.
    for plugin, told in zip(session.live[0].plugins, record["plugins"], strict=True):
        for control in told["controls"]:
            assert plugin.value(control["index"]).raw == pytest.approx(control["normalised"], abs=1e-6)


def test_steady_material_gets_the_static_setting_and_no_lane(tmp_path, controller, reference):
    source = write(tmp_path / "in.wav", sound(24000, 12.0), 24000)
    controller.transfer(source, reference, out=tmp_path / "static.wav")
    moving = controller.transfer(source, reference, out=tmp_path / "out.wav", automation=LANES)
    assert moving.automation.moved == ()
    assert moving.automation_text == "level and tone stay alike from beginning to end: nothing moves"
    np.testing.assert_array_equal(read(tmp_path / "out.wav")[0], read(tmp_path / "static.wav")[0])
    assert (tmp_path / "static.session.json").read_text().replace("static.wav", "out.wav").split('"thinning"')[0] == (
        tmp_path / "out.session.json"
    ).read_text().split('"thinning"')[0]


def test_static_transfer_writes_a_session_too(tmp_path, controller, reference):
    source = write(tmp_path / "in.wav", sound(44100, channels=2), 44100)
    result = controller.transfer(source, reference, out=tmp_path / "out.wav")
    session = check_against_session(tmp_path, controller.spec)
    assert session.thinning is None
    assert not any(plugin.lanes for plugin in session.live[0].plugins)
    assert session.tracks[1].muted
    assert session.live[0].clips[0].gain_db == result.trim_db
    assert json.loads(result.controls_file.read_text())["automation"] is None


def test_amount_scales_the_movement(tmp_path, controller, reference):
    source = write(tmp_path / "in.wav", two_levels(24000), 24000)
    heard, style = controller.hear(source), [controller.hear(reference)]
    ranges = []
    for amount in (0.0, 0.5, 1.0):
        static = controller.predict(heard, style, amount)
        made = automate(controller, heard, style, static, amount=amount, smoothing=Smoothing(moves=0.0))
        ranges.append(np.ptp(controller.spec.space.from_raw(made.trajectory.raw), axis=0))
    assert ranges[0].max() == 0
    np.testing.assert_allclose(ranges[1], ranges[2] / 2, atol=1e-6)
    assert ranges[2].max() > 0.02


def switched(profile: Profile) -> Profile:
    """Make the first control a toggle, which the effect still takes as its two ends."""
    first: Control = msgspec.structs.replace(profile.controls[0], steps=1, scale="linear", raw_scale="linear")
    return msgspec.structs.replace(profile, controls=(first, *profile.controls[1:]))


def test_toggles_hold(tmp_path, reference):
    gain = switched(builtin_profile("Gain"))
    controller = lively(tmp_path / "c.safetensors", [gain], 60.0)
    source = write(tmp_path / "in.wav", two_levels(24000), 24000)
    heard, style = controller.hear(source), [controller.hear(reference)]
    made = automate(controller, heard, style, controller.predict(heard, style))
    assert set(np.unique(made.trajectory.raw)) <= {0.0, 1.0}
    assert made.trajectory.hold.tolist() == [True]
    assert np.count_nonzero(np.diff(made.trajectory.raw[:, 0])) <= 1


def test_a_long_file_is_followed_in_bounded_memory(tmp_path, controller, monkeypatch):
    """Blocks of a stream are those of the whole in memory, and no block is ever longer than it has to be."""
    audio = two_levels(24000, 20.0)
    source = write(tmp_path / "in.wav", audio, 24000)
    sizes = []
    import blackbox_afx.transfer.windows as module

    def spy(piece: np.ndarray, rate: int) -> np.ndarray:
        sizes.append(len(piece))
        return original(piece, rate)

    original = module.analyse
    monkeypatch.setattr(module, "analyse", spy)
    course = follow(source, 24000, 16384, None, 0.0)
    assert max(sizes) == 16384
    whole = follow_blocks((audio[0, at : at + 16384] for at in range(0, audio.shape[1], 16384)), 24000, 16384)
    np.testing.assert_allclose(course.shapes, whole.shapes, atol=1e-4)
    # A steady sound's blocks are what they are alone, but for the last before the step: its neighbours are heard too.
    alone = [measure(audio[0, at : at + 16384], 24000) for at in range(0, 8 * 16384, 16384)]
    np.testing.assert_allclose(course.shapes[:8], alone, atol=1.0)
    assert len(course.shapes) == math.floor(20 * 24000 / 16384 + 0.5)


@pytest.mark.zam
def test_real_plugins_render_what_the_session_says(tmp_path, reference):
    """Mono plugins on a stereo file, presets that hold the lanes' start, and another host that reads them."""
    import dawdreamer

    from blackbox_afx.plugins.floats import standard_floats
    from blackbox_afx.plugins.locate import locate

    profiles = [profile_of("ZamEQ2"), profile_of("ZamComp")]
    controller = lively(tmp_path / "c.safetensors", profiles)
    source = write(tmp_path / "in.wav", two_levels(44100, channels=2), 44100)
    result = controller.transfer(source, reference, out=tmp_path / "out.wav", automation=LANES)
    session = check_against_session(tmp_path, controller.spec)
    assert result.automation.moved
    for preset, plugin in zip(result.presets, session.live[0].plugins, strict=True):
        assert plugin.state == preset.read_bytes()
        with standard_floats():
            engine = dawdreamer.RenderEngine(44100, 512)
            loaded = engine.make_plugin_processor("fx", str(locate(plugin.file, "vst3")))
            assert loaded.load_vst3_preset(str(preset))
            for value in plugin.values:
                assert loaded.get_parameter(value.index) == pytest.approx(value.raw, abs=1e-5)
