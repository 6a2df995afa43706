"""The automation benchmark: fair items, short-window errors that mean decibels, a report that can be made again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blackbox_afx.benchmark.short import PAUSE_DB, over_time, short_errors
from blackbox_afx.benchmark.takes import KINDS, QUIET_DB, make_items
from blackbox_afx.cli import main as cli
from blackbox_afx.data import ClipSet, find_audio, load_clips
from blackbox_afx.errors import AudioError
from blackbox_afx.metrics.loudness import integrated_loudness
from blackbox_afx.plugins.builtins import builtin_profile
from tests.transfer.untrained import untrained

RATE = 24000


@pytest.fixture(scope="module")
def clips(demo_audio) -> ClipSet:
    return load_clips(find_audio(demo_audio, where="type=speech", purpose="benchmark"), "test")


def noise(seconds: float = 4.0) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(round(RATE * seconds))).astype(np.float32)


@pytest.mark.parametrize("gain_db", [-15.0, -1.0, 6.0])
def test_a_gain_is_that_many_decibels_in_each_metric(gain_db):
    audio = noise()
    errors = short_errors(audio, audio * np.float32(10 ** (gain_db / 20)), RATE)
    np.testing.assert_allclose(errors, abs(gain_db), atol=1e-3)
    assert short_errors(audio, audio, RATE) == [0.0, 0.0, 0.0]


def test_half_a_recording_that_is_wrong_counts_half():
    audio = noise(10.0)
    quiet = audio.copy()
    quiet[: len(audio) // 2] *= np.float32(10 ** (-12 / 20))
    # What the long-term loudness of the whole does not show, windows do.
    assert short_errors(audio, quiet, RATE)[0] == pytest.approx(6.0, abs=0.3)


def test_loudness_is_bs1770s():
    """For a steady sound, momentary loudness is what pyloudnorm says of the whole."""
    audio = noise()
    assert np.mean(over_time(audio, RATE)[2]) == pytest.approx(integrated_loudness(audio, RATE), abs=0.3)


def test_pauses_do_not_count():
    audio = noise(8.0)
    audio[4 * RATE :] *= np.float32(10 ** (-(PAUSE_DB + 10) / 20))
    other = audio.copy()
    other[round(4.6 * RATE) :] = 0
    assert max(short_errors(audio, other, RATE)) < 0.1


def test_items_are_real_takes_altered_as_told(clips):
    items = make_items(clips, 3, 8, 7)
    speakers = {clip.speaker for clip in clips.clips}
    assert {item.speaker for item in items} == speakers
    again = make_items(clips, 3, 2, 7)
    for first, second in zip(items, again, strict=False):
        np.testing.assert_array_equal(first.inputs["tone"], second.inputs["tone"])
        np.testing.assert_array_equal(first.draw, second.draw)
    for item in items:
        for kind in ("steady", "steady_once", "voices"):
            np.testing.assert_array_equal(item.inputs[kind], item.clean[kind])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 20 * np.log10(np.abs(item.inputs["level"] / item.clean["level"]))
        ratio = ratio[np.isfinite(ratio)]
        assert set(np.unique(np.round(ratio, 3))) == {0.0, QUIET_DB}
        for kind in ("tone", "tone_once"):
            half = -(-len(item.inputs[kind]) // 2)
            np.testing.assert_array_equal(item.inputs[kind][:half], item.clean[kind][:half])
            assert short_errors(item.clean[kind][half:], item.inputs[kind][half:], RATE)[1] > 3
        assert len(item.clean["tone_once"]) < len(item.clean["tone"])


def test_one_speaker_is_not_enough(clips):
    alone = ClipSet(clips=clips.clips[:1], sample_rate=RATE)
    with pytest.raises(AudioError, match="at least two"):
        make_items(alone, 3, 2, 0)


def afx(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["benchmark", "automation", *arguments])
    out, err = capsys.readouterr()
    return int(leaving.value.code or 0), out, err


def test_command_writes_json_and_table_and_can_be_repeated(tmp_path, capsys, demo_audio):
    path = untrained(tmp_path / "c.safetensors", [builtin_profile("ChannelStrip")])
    reports = []
    for name in ("a", "b"):
        place = tmp_path / f"{name}.json"
        arguments = ["--audio", str(demo_audio), "--where", "type=speech", "--controller", str(path)]
        status, out, err = afx(capsys, *arguments, "--items", "2", "--out", str(place), "--markdown", f"{place}.md")
        assert status == 0, err
        reports.append(json.loads(place.read_text()))
        assert out == (tmp_path / f"{name}.json.md").read_text()
    first, second = reports
    assert first["kinds"] == second["kinds"]
    assert list(first["kinds"]) == list(KINDS)
    for found in first["kinds"].values():
        assert found["recordings"] == 2
        for row in ("input", "static", "automated", "ratio"):
            assert set(found[row]) == {"level_db", "spectrum_db", "lufs_db", "interval"}
    assert "smoothing" in first
    assert first["smoothing"]["seconds"] == 0.7


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        (["--items", "0"], 2, "--items 0"),
        (["--smooth", "-1"], 2, "--smooth -1; expected"),
        (["--controller", "nothing.safetensors"], 2, "no such file"),
        (["--audio", "nowhere"], 1, "no such folder"),
    ],
)
def test_wrong_requests_are_one_line(tmp_path, capsys, demo_audio, changed, status, told):
    path = untrained(tmp_path / "c.safetensors", [builtin_profile("Gain")])
    options = {"--audio": str(demo_audio), "--controller": str(path), "--out": str(tmp_path / "o.json")}
    options[changed[0]] = changed[1]
    left, _, err = afx(capsys, *(word for pair in options.items() for word in pair))
    assert left == status, err
    assert told in err
    assert not (tmp_path / "o.json").exists()
