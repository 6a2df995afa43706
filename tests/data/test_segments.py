"""Loading a working set and drawing halves from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from blackbox_afx.audio import peak_dbfs, read_audio, write_audio
from blackbox_afx.data import Clip, ClipSampler, find_audio, load_clips
from blackbox_afx.errors import AudioError

RATE = 24000


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def clip(audio: np.ndarray, speaker: str = "ann") -> Clip:
    return Clip(audio=audio, speaker=speaker, path=Path(f"{speaker}.wav"), start=0.0)


def sampler(*clips: Clip, **options) -> ClipSampler:
    return ClipSampler(np.random.default_rng(0), clips, **options)


def test_clips_are_mono_and_resampled(tmp_path):
    write_audio(tmp_path / "a.wav", np.stack([noise(88200), noise(88200, 1)]), 44100)
    loaded = load_clips(find_audio(tmp_path, purpose="benchmark"), "test")
    (only,) = loaded.clips
    assert only.audio.dtype == np.float32
    assert abs(len(only.audio) - 48000) <= 1
    expected, _ = read_audio(tmp_path / "a.wav", sample_rate=RATE, mono=True)
    np.testing.assert_allclose(only.audio, expected[0], atol=1e-6)


def test_long_recordings_are_cut_without_loss(tmp_path):
    audio = noise(10 * RATE)
    write_audio(tmp_path / "a.wav", audio[None], RATE, subtype="FLOAT")
    loaded = load_clips(find_audio(tmp_path, purpose="benchmark"), "test", clip_seconds=3.0)
    assert [item.start for item in loaded.clips] == pytest.approx([0, 10 / 3, 20 / 3])
    for item in loaded.clips:
        at = round(item.start * RATE)
        np.testing.assert_array_equal(item.audio, audio[at : at + len(item.audio)])
    assert sum(len(item.audio) for item in loaded.clips) - len(audio) in range(4)


def test_memory_is_capped_and_spread(tmp_path):
    for i in range(10):
        write_audio(tmp_path / f"{i}.wav", noise(6 * RATE, i)[None], RATE)
    collection = find_audio(tmp_path, purpose="benchmark")
    loaded = load_clips(collection, "test", max_minutes=0.2, clip_seconds=2.0)
    assert loaded.minutes == pytest.approx(0.2, abs=2 / 60)
    assert len({item.path for item in loaded.clips}) > 3
    again = load_clips(collection, "test", max_minutes=0.2, clip_seconds=2.0)
    assert [(item.path, item.start) for item in again.clips] == [(i.path, i.start) for i in loaded.clips]


def test_what_can_not_be_used_is_named(tmp_path):
    write_audio(tmp_path / "good.wav", noise(RATE)[None], RATE)
    write_audio(tmp_path / "silent.wav", np.zeros((1, RATE), dtype=np.float32), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    write_audio(tmp_path / "cut.flac", noise(RATE)[None], RATE)
    data = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    collection = find_audio(tmp_path, purpose="benchmark")
    loaded = load_clips(collection, "test")
    assert [item.path.name for item in loaded.clips] == ["good.wav"]
    assert {item.path.name for item in loaded.skipped} == {"nan.wav", "cut.flac", "silent.wav"}
    with pytest.raises(AudioError, match=r"no recordings in the split 'train'.*its splits are test"):
        load_clips(collection, "train")


def test_only_silence_is_an_error(tmp_path):
    write_audio(tmp_path / "silent.wav", np.zeros((1, RATE), dtype=np.float32), RATE)
    with pytest.raises(AudioError, match="silent"):
        load_clips(find_audio(tmp_path, purpose="benchmark"), "test")


def test_halves_follow_one_another_at_the_right_level():
    audio = noise(300000)
    a, b = sampler(clip(audio)).draw()
    assert a.shape == b.shape == (65536,)
    joined = np.concatenate([a, b])
    assert peak_dbfs(joined) == pytest.approx(-12.0, abs=1e-4)
    # Noise matches itself at one place only.
    gain = np.abs(joined).max()
    starts = np.flatnonzero(np.isclose(audio[:-131071] / audio.max(), joined[0] / gain, atol=0.05))
    assert any(np.corrcoef(audio[at : at + 131072], joined)[0, 1] > 0.99999 for at in starts)


def test_short_clips_give_what_they_have_and_shorter_ones_nothing():
    draws = sampler(clip(noise(80001)), clip(noise(65535)))
    assert draws.too_short == 1
    a, b = draws.draw()
    assert a.shape == b.shape == (40000,)
    with pytest.raises(AudioError, match="has 65535 samples; expected at least 65536"):
        sampler(clip(noise(65535)))


def test_one_length_where_it_is_asked_for():
    draws = sampler(clip(noise(80000)), clip(noise(40000)), segment=20000, min_segment=20000)
    assert {draws.draw()[0].shape for _ in range(20)} == {(20000,)}


def test_silent_halves_are_not_drawn():
    audio = noise(400000)
    audio[: len(audio) // 2] = 0
    draws = sampler(clip(audio))
    for _ in range(20):
        for half in draws.draw():
            assert np.mean(half**2) > 1e-5
    with pytest.raises(AudioError, match="100 draws"):
        sampler(clip(np.zeros(200000, dtype=np.float32))).draw()


def test_speakers_can_be_balanced():
    clips = [clip(noise(70000, i), "talkative") for i in range(9)] + [clip(noise(70000, 9), "quiet")]
    balanced = sampler(*clips, balance_speakers=True)
    share = np.mean([balanced.clips[balanced.pick()].speaker == "quiet" for _ in range(400)])
    assert 0.4 < share < 0.6
    plain = sampler(*clips)
    assert np.mean([plain.clips[plain.pick()].speaker == "quiet" for _ in range(400)]) < 0.2


def test_same_generator_same_draws():
    one, two = sampler(clip(noise(200000))), sampler(clip(noise(200000)))
    for _ in range(3):
        np.testing.assert_array_equal(one.draw()[0], two.draw()[0])


def test_pitch_moves_within_its_bounds_and_lengths_stay():
    time = np.arange(400000) / RATE
    draws = sampler(clip((0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)), max_cents=200)
    found = []
    for _ in range(30):
        a, _ = draws.draw()
        assert a.shape == (65536,)
        found.append(np.abs(np.fft.rfft(a * np.hanning(65536))).argmax() * RATE / 65536)
    cents = 1200 * np.log2(np.array(found) / 1000)
    assert np.abs(cents).max() <= 201
    assert cents.min() < -50
    assert cents.max() > 50
    assert 5 <= np.count_nonzero(np.abs(cents) < 1) <= 25
    short = sampler(clip(noise(131072)), max_cents=200)
    assert {short.draw()[0].shape for _ in range(10)} == {(65536,)}
