"""Static transfer through installed VST3s: the audio nulls against pedalboard, the presets against the other host."""

from __future__ import annotations

import json
from pathlib import Path

import dawdreamer
import msgspec
import numpy as np
import pedalboard
import pytest

from blackbox_afx.errors import ControllerError
from blackbox_afx.plugins.locate import locate
from blackbox_afx.plugins.probe import probe
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.transfer.style_controller import StyleController
from tests.transfer.test_static import read, sound, write
from tests.transfer.untrained import untrained

pytestmark = pytest.mark.zam

NAMES = ("ZamEQ2", "ZamComp")
HELD = {"Peaks ON": 0.0, "Slew": 1.0, "Sidechain": 0.0}


def profile_of(name: str) -> Profile:
    """Examine a plugin; controls that would switch things on are held."""
    profile = probe(locate(f"{name}.vst3", "vst3"), bases=1).profile
    controls = tuple(
        msgspec.structs.replace(control, use=False, value=HELD[control.name]) if control.name in HELD else control
        for control in profile.controls
    )
    return msgspec.structs.replace(profile, controls=controls)


@pytest.fixture(scope="module")
def profiles() -> list[Profile]:
    return [profile_of(name) for name in NAMES]


@pytest.fixture(scope="module")
def done(tmp_path_factory, profiles):
    """One stereo transfer at 44.1 kHz: its folder, its input and what the JSON says."""
    folder = tmp_path_factory.mktemp("zam")
    controller = StyleController.load(untrained(folder / "zam.safetensors", profiles, seed=3))
    source = write(folder / "in.wav", sound(44100, channels=2), 44100)
    reference = write(folder / "reference.wav", sound(24000, seed=9), 24000)
    result = controller.transfer(source, reference, out=folder / "out.wav")
    assert [path.name for path in result.presets] == ["out.ZamEQ2.vstpreset", "out.ZamComp.vstpreset"]
    return folder, read(source)[0], json.loads((folder / "out.controls.json").read_text())


def values(plugin: dict) -> dict[int, float]:
    return {control["index"]: control["normalised"] for control in (*plugin["controls"], *plugin["held"])}


def each_channel(render, audio: np.ndarray) -> np.ndarray:
    """Both Zam plugins are mono, so that a stereo file goes through them one channel at a time."""
    return np.concatenate([render(audio[k : k + 1]) for k in range(len(audio))])


def through_pedalboard(plugin: dict, audio: np.ndarray) -> np.ndarray:
    loaded = pedalboard.load_plugin(str(locate(f"{plugin['name']}.vst3", "vst3")))
    parameters = loaded._parameters if hasattr(loaded, "_parameters") else list(loaded.parameters.values())
    by_name = {parameter.name: parameter for parameter in parameters}
    for control in (*plugin["controls"], *plugin["held"]):
        by_name[control["name"]].raw_value = control["normalised"]
    return each_channel(lambda one: loaded.process(one, 44100, buffer_size=512, reset=True), audio)


def through_dawdreamer(plugin: dict, audio: np.ndarray, preset: Path | None) -> np.ndarray:
    def render(one: np.ndarray) -> np.ndarray:
        engine = dawdreamer.RenderEngine(44100, 512)
        playback = engine.make_playback_processor("in", one)
        loaded = engine.make_plugin_processor("fx", str(locate(f"{plugin['name']}.vst3", "vst3")))
        if preset is not None:
            assert loaded.load_vst3_preset(str(preset))
        else:
            for index, raw in values(plugin).items():
                loaded.set_parameter(index, raw)
        engine.load_graph([(playback, []), (loaded, ["in"])])
        engine.render(one.shape[1] / 44100)
        return engine.get_audio()[:1, : one.shape[1]].astype(np.float32)

    return each_channel(render, audio)


def test_output_nulls_against_pedalboard(done):
    folder, given, record = done
    expected = given * np.float32(10 ** (record["trim_db"] / 20))
    for plugin in record["plugins"]:
        expected = through_pedalboard(plugin, expected)
    made, _ = read(folder / "out.wav")
    assert np.abs(made - given).max() > 0.01
    assert np.abs(made - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("k", [0, 1], ids=NAMES)
def test_preset_restores_in_the_other_host(done, k):
    folder, given, record = done
    plugin = record["plugins"][k]
    preset = folder / plugin["preset"]
    assert preset.read_bytes()[:4] == b"VST3"
    restored = through_dawdreamer(plugin, given, preset)
    by_values = through_dawdreamer(plugin, given, None)
    assert np.abs(restored - by_values).max() == 0
    assert np.abs(restored - given).max() > 0.01


def test_another_plugin_or_version_is_refused(tmp_path, profiles):
    def transfer_with(**identity):
        # As if learned on another machine: the binary's own hash, being the same, would end all questions.
        made_on = msgspec.structs.replace(profiles[1].identity, sha256="0" * 64, **identity)
        changed = msgspec.structs.replace(profiles[1], identity=made_on)
        controller = StyleController.load(untrained(tmp_path / "c.safetensors", [changed]))
        return lambda **options: controller.transfer(source, source, out=tmp_path / "out.wav", force=True, **options)

    source = write(tmp_path / "in.wav", sound(24000), 24000)
    with pytest.raises(ControllerError, match="ZamComp"):
        transfer_with(file="NoSuchPlugin.vst3")()
    with pytest.raises(ControllerError, match="ZamComp"):
        transfer_with(class_id="0" * 32)()
    other_version = transfer_with(version="0.0.1")
    with pytest.raises(ControllerError, match=r"0\.0\.1"):
        other_version()
    assert not (tmp_path / "out.wav").exists()
    assert any("0.0.1" in text for text in other_version(allow_version=True).warnings)
