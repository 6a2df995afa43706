"""Chains against the plugins run by hand, and against DawDreamer's automation."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pedalboard
import pytest

from blackbox_afx.errors import AudioError, UsageError
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.trajectory import Trajectory
from tests.plugins.zam_profiles import zam

RATE = 24000


def replace(record, **changes):
    return msgspec.structs.replace(record, **changes)


def noise(channels=1, samples=20_000, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


PEAK, COMPRESSOR, GAIN = (builtin_profile(name) for name in ("PeakFilter", "Compressor", "Gain"))
SPEC = ChainSpec(profiles=(PEAK, COMPRESSOR, GAIN))


def test_names_are_unique_with_the_same_plugin_twice():
    spec = ChainSpec(profiles=(GAIN, PEAK, GAIN))
    assert spec.labels == ("Gain", "PeakFilter", "Gain 2")
    assert spec.names == ("Gain: Gain", "PeakFilter: Gain", "PeakFilter: Frequency", "PeakFilter: Q", "Gain 2: Gain")
    assert spec.space.index("Gain 2: Gain") == 4
    assert spec.slices == (slice(0, 1), slice(1, 4), slice(4, 5))
    assert spec.label == "Gain > PeakFilter > Gain 2"


def test_specs_are_records():
    again = pickle.loads(pickle.dumps(SPEC))
    assert again == SPEC
    assert again.fingerprint() == SPEC.fingerprint()
    assert ChainSpec(profiles=(GAIN, PEAK)).fingerprint() != ChainSpec(profiles=(PEAK, GAIN)).fingerprint()
    assert SPEC.trusted
    assert SPEC.cost_s(2.0) == pytest.approx(2 * sum(p.cost_ms for p in SPEC.profiles) / 1e3)
    assert SPEC.cost_s(2.0, 48000) == pytest.approx(2 * SPEC.cost_s(2.0))
    with pytest.raises(UsageError, match="at least one plugin"):
        ChainSpec(profiles=())


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16000, 24000, 44100, 96000])
def test_equal_to_pedalboard(channels, rate):
    plain = [6.0, 1000.0, 0.7, -30.0, 4.0, 10.0, 100.0, -3.0]
    positions = SPEC.space.from_plain(plain)
    audio = noise(channels)
    board = pedalboard.Pedalboard(
        [
            pedalboard.PeakFilter(gain_db=6.0, cutoff_frequency_hz=1000.0, q=0.7),
            pedalboard.Compressor(threshold_db=-30.0, ratio=4.0, attack_ms=10.0, release_ms=100.0),
            pedalboard.Gain(gain_db=-3.0),
        ]
    )
    with SPEC.open() as chain:
        out = chain.render(audio, positions, rate)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, board(audio, rate, buffer_size=512), atol=1e-6)


def test_render_many_equals_rendering_each():
    rng = np.random.default_rng(3)
    base = rng.random(8)
    points = np.repeat(base[None], 8, axis=0)
    points[np.arange(8), np.arange(8)] += 0.1
    points = np.clip(points, 0, 1)
    audio = noise()
    with SPEC.open() as chain:
        alone = [chain.render(audio, point, RATE) for point in points]
        before = chain.calls
        together = list(chain.render_many(audio, points, RATE, base=base))
        spent = chain.calls - before
    assert before == pytest.approx(8)
    assert spent == pytest.approx(SPEC.calls(points, base))
    assert spent < 7
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_dual_mono_equals_each_channel_alone():
    spec = ChainSpec(profiles=(replace(COMPRESSOR, channels=1), GAIN))
    audio, positions = noise(2), np.full(5, 0.4)
    with spec.open() as chain:
        both = chain.render(audio, positions, RATE)
        for channel in range(2):
            np.testing.assert_array_equal(both[channel], chain.render(audio[channel : channel + 1], positions, RATE)[0])
    (line,) = spec.channels_note(2)
    assert "stereo image moves" in line


def test_stereo_plugin_on_mono_gives_the_left():
    stereo = ChainSpec(profiles=(replace(COMPRESSOR, channels=2),))
    audio, positions = noise(1), np.full(4, 0.4)
    with stereo.open() as chain:
        mono = chain.render(audio, positions, RATE)
        twice = chain.render(np.repeat(audio, 2, axis=0), positions, RATE)
    assert mono.shape == audio.shape
    np.testing.assert_array_equal(mono[0], twice[0])


def moving(controls, seconds, seed=1):
    rng = np.random.default_rng(seed)
    times = np.linspace(0, seconds, 7)
    return Trajectory(times=times, raw=0.3 + 0.4 * rng.random((7, controls)), hold=rng.random(controls) < 0.3)


def test_trajectory_equals_its_lanes_and_a_constant_equals_static():
    audio, path = noise(), moving(8, 0.6)
    with SPEC.open() as chain:
        blocks = -(-audio.shape[1] // 512)
        lanes = path.lanes(blocks, 512, RATE)
        np.testing.assert_array_equal(
            chain.render_raw(audio, path, RATE), chain.render_raw(audio, lanes, RATE, block_size=512)
        )
        raw = path.raw[0]
        still = chain.render_raw(audio, Trajectory.constant(raw), RATE)
        np.testing.assert_array_equal(still, chain.render_raw(audio, raw, RATE))


def test_plugins_of_different_block_sizes_follow_a_trajectory_each_on_its_grid():
    spec = ChainSpec(profiles=(replace(PEAK, block_size=256), GAIN))
    assert spec.block_size is None
    audio, path = noise(), moving(4, 0.6)
    with spec.open() as chain:
        out = chain.render_raw(audio, path, RATE)
        with pytest.raises(UsageError, match="block sizes differ"):
            chain.render_raw(audio, path.lanes(40, 512, RATE), RATE)
    with ChainSpec(profiles=(spec.profiles[0],)).open() as first, ChainSpec(profiles=(GAIN,)).open() as second:
        step = first.render_raw(audio, path.part(slice(0, 3)), RATE)
        np.testing.assert_array_equal(out, second.render_raw(step, path.part(slice(3, 4)), RATE))


@pytest.mark.parametrize("channels", [1, 2])
def test_stream_equals_render(channels):
    spec = ChainSpec(profiles=(replace(PEAK, channels=1), replace(COMPRESSOR, channels=2), GAIN))
    audio, path = noise(channels), moving(8, 0.6)
    pieces = np.split(audio, [1000, 1300, 9000], axis=1)
    with spec.open() as chain:
        whole = chain.render_raw(audio, path, RATE)
        streamed = np.concatenate(list(chain.stream(pieces, path, RATE)), axis=1)
        np.testing.assert_array_equal(whole, streamed)
        assert list(chain.stream([], path, RATE)) == []


def test_wrong_input_is_named():
    with SPEC.open() as chain:
        with pytest.raises(AudioError, match=r"shape \(5,\)"):
            chain.render(np.zeros(5, np.float32), np.zeros(8), RATE)
        with pytest.raises(UsageError, match=r"shape \(3,\), expected \[8\]"):
            chain.render_raw(noise(), np.zeros(3), RATE)
        with pytest.raises(UsageError, match="moves 2 controls"):
            chain.render_raw(noise(), Trajectory.constant([0, 0]), RATE)


@pytest.mark.zam
@pytest.mark.parametrize(
    ("names", "block_size"),
    [(("ZamEQ2", "ZamComp"), 512), (("ZamEQ2", "ZamComp"), 128), (("ZamCompX2",), 512), (("ZaMaximX2",), 512)],
)
def test_automation_is_bit_identical_to_dawdreamer(names, block_size, tmp_path):
    channels = 2 if names[-1].endswith("X2") else 1
    spec = ChainSpec(profiles=tuple(zam(name, channels, block_size=block_size) for name in names))
    audio, path = noise(channels, 24_000, seed=5), moving(len(spec.space), 1.0)
    with spec.open() as chain:
        out = chain.render_raw(audio, path, RATE)
        latency = chain.latency(RATE)
    assert (latency > 0) == (names == ("ZaMaximX2",))
    padded = np.pad(audio, ((0, 0), (0, latency + block_size)))
    np.savez(
        tmp_path / "case.npz",
        names=names,
        counts=[len(profile.active) for profile in spec.profiles],
        indices=[control.index for control in spec.space.controls],
        audio=padded,
        curves=path.lanes(padded.shape[1], 1, RATE),
        rate=RATE,
        block_size=block_size,
    )
    oracle = Path(__file__).with_name("dawdreamer_oracle.py")
    command = [sys.executable, str(oracle), str(tmp_path / "case.npz"), str(tmp_path / "out.npy")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    expected = np.load(tmp_path / "out.npy")[:channels, latency : latency + audio.shape[1]]
    np.testing.assert_array_equal(out, expected)
    assert np.abs(out - audio).max() > 1e-3


@pytest.mark.zam
def test_dual_mono_and_streams_with_real_plugins():
    spec = ChainSpec(profiles=(zam("ZamEQ2", 1), zam("ZaMaximX2", 2)))
    raw = 0.3 + 0.3 * np.random.default_rng(0).random(len(spec.space))
    audio = noise(2, 24_000)
    with spec.open() as chain:
        whole = chain.render_raw(audio, raw, RATE)
        pieces = np.split(audio, [5000, 5100], axis=1)
        np.testing.assert_array_equal(whole, np.concatenate(list(chain.stream(pieces, raw, RATE)), axis=1))
        assert [state is not None for state in chain.states()] == [True, True]
