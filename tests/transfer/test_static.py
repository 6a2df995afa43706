"""Static transfer through pedalboard's own effects: what is written is what the controls say, at any rate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pedalboard
import pytest
import soundfile

from blackbox_afx.audio import peak_dbfs
from blackbox_afx.errors import AudioError, OutputError, PluginError, UsageError
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.transfer.style_controller import StyleController
from tests.transfer.untrained import untrained

STRIP = builtin_profile("ChannelStrip")


def sound(rate: int, seconds: float = 3.0, channels: int = 1, seed: int = 0, peak: float = 0.5) -> np.ndarray:
    """Noise with syllables, [channels, samples] float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    audio = rng.standard_normal((channels, len(time))) * (0.1 + np.square(np.sin(2 * np.pi * 1.7 * time)))
    return (audio / np.abs(audio).max() * peak).astype(np.float32)


def write(path: Path, audio: np.ndarray, rate: int, subtype: str = "FLOAT") -> Path:
    soundfile.write(path, audio.T, rate, subtype=subtype)
    return path


def read(path: Path) -> tuple[np.ndarray, int]:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return audio.T, rate


def by_hand(record: dict) -> pedalboard.Pedalboard:
    """Set up the channel strip from what the JSON says, without this project's code."""
    plain = {control["name"].lower(): control["plain"] for control in record["plugins"][0]["controls"]}

    def shape(kind: type, name: str) -> pedalboard.Plugin:
        return kind(cutoff_frequency_hz=plain[f"{name} frequency"], gain_db=plain[f"{name} gain"], q=plain[f"{name} q"])

    return pedalboard.Pedalboard(
        [
            shape(pedalboard.LowShelfFilter, "low shelf"),
            *(shape(pedalboard.PeakFilter, f"peak {k}") for k in (1, 2, 3, 4)),
            shape(pedalboard.HighShelfFilter, "high shelf"),
            pedalboard.Compressor(
                threshold_db=plain["compressor threshold"],
                ratio=plain["compressor ratio"],
                attack_ms=plain["compressor attack"],
                release_ms=plain["compressor release"],
            ),
            pedalboard.Gain(gain_db=plain["output gain"]),
        ]
    )


@pytest.fixture(scope="module")
def controller(tmp_path_factory) -> StyleController:
    return StyleController.load(untrained(tmp_path_factory.mktemp("c") / "strip.safetensors", [STRIP]))


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("r") / "reference.wav", sound(24000, seed=9), 24000)


@pytest.mark.parametrize(("rate", "channels"), [(22050, 1), (44100, 2), (96000, 2)])
def test_output_nulls_against_the_written_controls(tmp_path, controller, reference, rate, channels):
    source = write(tmp_path / "in.wav", sound(rate, channels=channels), rate)
    out = tmp_path / "out.wav"
    result = controller.transfer(source, reference, out=out)
    record = json.loads((tmp_path / "out.controls.json").read_text())
    audio, made_rate = read(out)
    given, _ = read(source)
    assert made_rate == rate
    assert audio.shape == given.shape
    expected = by_hand(record)(given * np.float32(10 ** (record["trim_db"] / 20)), rate, buffer_size=512)
    assert np.abs(audio - expected).max() < 2e-6 * max(1.0, np.abs(expected).max())
    assert np.abs(audio - given).max() > 0.01
    assert record["output_peak_dbfs"] == pytest.approx(peak_dbfs(expected), abs=0.01)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["in.wav", "out.controls.json", "out.session.json", "out.wav"]
    assert result.presets == ()


def test_settings_do_not_depend_on_the_input_level_and_the_trim_is_told(tmp_path, controller, reference):
    results = []
    for peak in (0.9, 0.9 * 10 ** (-24 / 20)):
        source = write(tmp_path / f"in{peak:.2f}.wav", sound(24000, peak=peak), 24000)
        results.append(controller.transfer(source, reference, out=tmp_path / f"out{peak:.2f}.wav"))
    loud, quiet = results
    assert quiet.trim_db - loud.trim_db == pytest.approx(24, abs=0.01)
    assert "brought down" in loud.trim_text
    assert "brought up by" in quiet.trim_text
    np.testing.assert_allclose(quiet.positions, loud.positions, atol=1e-3)
    assert quiet.output_peak_dbfs == pytest.approx(loud.output_peak_dbfs, abs=0.1)


def test_amount_zero_leaves_the_defaults(tmp_path, controller, reference):
    source = write(tmp_path / "in.wav", sound(44100), 44100)
    result = controller.transfer(source, reference, out=tmp_path / "out.wav", amount=0)
    given, made = read(source)[0], read(tmp_path / "out.wav")[0]
    # The strip's defaults do nothing but for filters of 0 dB.
    np.testing.assert_allclose(made, given * 10 ** (result.trim_db / 20), atol=1e-4)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_bit_depth_is_kept_and_clipping_is_told(tmp_path, reference, subtype):
    space = ChainSpec(profiles=(STRIP,)).space
    loud = space.defaults.copy()
    loud[-1] = 1.0
    controller = StyleController.load(untrained(tmp_path / "c.safetensors", [STRIP], positions=loud))
    source = write(tmp_path / "in.wav", sound(24000), 24000, subtype)
    result = controller.transfer(source, reference, out=tmp_path / "out.wav")
    assert soundfile.info(tmp_path / "out.wav").subtype == subtype
    assert result.clipped > 0
    assert result.output_peak_dbfs == pytest.approx(12.0, abs=0.2)
    told = " ".join(result.warnings)
    assert ("keeps them" if subtype == "FLOAT" else "cut off") in told
    assert json.loads(result.controls_file.read_text())["clipped_samples"] == result.clipped


def test_tail_rings_out_only_when_asked(tmp_path, reference):
    reverb = builtin_profile("Reverb")
    positions = np.array([0.9, 0.1, 0.9, 0.3, 0.9, 0.0])
    controller = StyleController.load(untrained(tmp_path / "c.safetensors", [reverb], positions=positions))
    source = write(tmp_path / "in.wav", sound(24000, channels=2), 24000)
    controller.transfer(source, reference, out=tmp_path / "dry.wav")
    controller.transfer(source, reference, out=tmp_path / "wet.wav", tail=True)
    dry, wet = read(tmp_path / "dry.wav")[0], read(tmp_path / "wet.wav")[0]
    assert dry.shape[1] == 3 * 24000
    assert wet.shape[1] == round((3 + reverb.tail_s) * 24000)
    np.testing.assert_array_equal(wet[:, : dry.shape[1]], dry)
    assert peak_dbfs(wet[:, dry.shape[1] : dry.shape[1] + 2400]) > -60


def test_references_count_as_one_style(tmp_path, controller, reference):
    other = write(tmp_path / "other.wav", sound(48000, seed=5), 48000)
    source = write(tmp_path / "in.wav", sound(24000), 24000)
    heard = controller.hear(source)
    first, second = controller.hear(reference), controller.hear(other)
    one = controller.predict(heard, [first])
    np.testing.assert_allclose(controller.predict(heard, [first, first]), one, atol=1e-6)
    both, alone = controller.predict(heard, [first, second]), controller.predict(heard, [second])
    low, high = np.minimum(one, alone), np.maximum(one, alone)
    assert np.all((both >= low - 1e-6) & (both <= high + 1e-6))
    assert np.abs(one - alone).max() > 1e-3


def test_an_hour_of_near_silence_is_judged_by_its_sound(tmp_path, controller):
    quiet = np.zeros((1, 60 * 24000), np.float32)
    quiet[:, 30 * 24000 : 33 * 24000] = sound(24000, peak=0.25)
    heard = controller.hear(write(tmp_path / "in.wav", quiet, 24000))
    assert heard.peak_dbfs == pytest.approx(-12, abs=1.0)
    assert 1 <= len(heard.stretches) <= 3


def test_opposite_channels_do_not_cancel(tmp_path, controller):
    one = sound(24000)
    heard = controller.hear(write(tmp_path / "in.wav", np.concatenate([one, -one]), 24000))
    assert heard.peak_dbfs == pytest.approx(peak_dbfs(one), abs=0.5)


def test_paper_encoder_transfers_too(tmp_path, reference):
    controller = StyleController.load(untrained(tmp_path / "c.safetensors", [STRIP], encoder="efficientnet_b2"))
    source = write(tmp_path / "in.wav", sound(24000, seconds=1.2), 24000)
    assert controller.transfer(source, reference, out=tmp_path / "out.flac").audio.exists()


def refuse(tmp_path, controller, source, reference, kind, match, *, out="out.wav", **options) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(kind, match=match) as caught:
        controller.transfer(source, reference, out=tmp_path / out, **options)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


BAD_AUDIO = {
    "silent": (np.zeros((1, 48000), np.float32), "silent"),
    "nan": (np.full((1, 48000), np.nan, np.float32), "NaN"),
    "short": (sound(24000, seconds=0.3), "too short"),
    "empty": (np.zeros((1, 0), np.float32), "too short|empty|no samples|silent"),
    "surround": (sound(24000, channels=6), "6 channels"),
}


@pytest.mark.parametrize("what", BAD_AUDIO)
def test_bad_audio_is_refused_and_leaves_nothing(tmp_path, controller, reference, what):
    audio, match = BAD_AUDIO[what]
    source = write(tmp_path / "in.wav", audio, 24000)
    refuse(tmp_path, controller, source, reference, AudioError, match)


def test_bad_files_and_places_are_refused_and_leave_nothing(tmp_path, controller, reference):
    source = write(tmp_path / "in.wav", sound(24000), 24000)
    text = tmp_path / "text.wav"
    text.write_text("not audio")
    cut = tmp_path / "cut.flac"
    soundfile.write(cut, sound(24000).T, 24000)
    cut.write_bytes(cut.read_bytes()[:200])
    for bad in (tmp_path / "nothing.wav", text, cut, tmp_path):
        if bad.is_dir():
            with pytest.raises(AudioError, match="folder"):
                controller.transfer(bad, reference, out=tmp_path / "out.wav")
            continue
        refuse(tmp_path, controller, bad, reference, AudioError, "no such file|not audio|damaged|gives none")
        refuse(tmp_path, controller, source, bad, AudioError, "no such file|not audio|damaged|gives none")
    refuse(tmp_path, controller, source, reference, OutputError, "exists; give --force", out="text.wav")
    refuse(tmp_path, controller, source, reference, OutputError, "one of the inputs", out="in.wav", force=True)
    refuse(tmp_path, controller, source, reference, OutputError, "does not exist", out="no/where.wav")
    refuse(tmp_path, controller, source, reference, OutputError, "out.xyz: can't write audio as '.xyz'", out="out.xyz")
    refuse(tmp_path, controller, source, reference, UsageError, "amount is 2", amount=2.0)
    refuse(tmp_path, controller, source, [], UsageError, "no reference")


def test_a_plugin_that_fails_leaves_nothing(tmp_path, reference):
    class Broken(StyleController):
        def check_installed(self, *, allow_version=False):
            return []

    import msgspec

    missing = msgspec.structs.replace(
        STRIP, identity=msgspec.structs.replace(STRIP.identity, format="vst3", file=str(tmp_path / "none.vst3"))
    )
    controller = Broken.load(untrained(tmp_path / "c.safetensors", [missing]))
    source = write(tmp_path / "in.wav", sound(24000), 24000)
    refuse(tmp_path, controller, source, reference, PluginError, "nothing was written")


def test_force_replaces(tmp_path, controller, reference):
    source = write(tmp_path / "in.wav", sound(24000), 24000)
    (tmp_path / "out.wav").write_text("old")
    controller.transfer(source, reference, out=tmp_path / "out.wav", force=True)
    assert read(tmp_path / "out.wav")[0].shape == (1, 72000)


def test_a_recording_that_was_cut_short_is_used_and_said(tmp_path, controller, reference):
    whole = write(tmp_path / "whole.wav", sound(24000, seconds=4.0), 24000)
    source = tmp_path / "in.wav"
    source.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    result = controller.transfer(source, reference, out=tmp_path / "out.wav")
    (told,) = [text for text in result.warnings if "cut short" in text]
    assert told.startswith(f"{source}: its header promises 4.00 s, 2.00 s are there")
    assert told in json.loads((tmp_path / "out.controls.json").read_text())["warnings"]
    assert read(tmp_path / "out.wav")[0].shape[1] == soundfile.info(source).frames
    again = controller.transfer(whole, source, out=tmp_path / "other.wav")
    assert any(text.startswith(f"{source}: its header") for text in again.warnings)
    assert not any(
        "cut short" in text for text in controller.transfer(whole, reference, out=tmp_path / "3.wav").warnings
    )


def test_more_than_two_channels_are_refused_in_input_and_reference(tmp_path, controller, reference):
    many = write(tmp_path / "six.wav", sound(24000, channels=6), 24000)
    mono = write(tmp_path / "mono.wav", sound(24000), 24000)
    for source, other in ((many, reference), (mono, many)):
        with pytest.raises(AudioError, match=r"six.wav: 6 channels; expected mono or stereo; mix it down first"):
            controller.transfer(source, other, out=tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists()
