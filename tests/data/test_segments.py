"""Loading a working set and drawing halves from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy import signal

from blackbox_afx.audio import peak_dbfs, read_audio, write_audio
from blackbox_afx.data import Clip, ClipSampler, ClipSet, find_audio, load_clips
from blackbox_afx.data.splice import splice
from blackbox_afx.errors import AudioError, UsageError

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


def test_a_spliced_recording_is_the_same_sound_in_another_order(demo_audio):
    """The level of each octave stays, by scipy's Welch estimate, and nothing clicks, even if it is cut mid-note."""
    recordings = find_audio(demo_audio, purpose="learn", seed=0)
    for k, item in enumerate(load_clips(recordings, "train", sample_rate=RATE, max_minutes=1.0).clips[:6]):
        # Demo files fade out; recordings that are cut from longer ones don't.
        audio = item.audio[RATE // 3 : -RATE // 3]
        made = splice(np.random.default_rng(k), audio, RATE)
        assert made.shape == audio.shape
        before, after = (signal.welch(x, RATE, nperseg=1024)[1] for x in (audio, made))
        octaves = [slice(4 << n, 8 << n) for n in range(7)]
        for octave in (octave for octave in octaves if before[octave].sum() > 1e-3 * before.sum()):
            assert abs(10 * np.log10(after[octave].sum() / before[octave].sum())) < 1.0
        assert np.abs(np.diff(made)).max() < 1.2 * np.abs(np.diff(audio)).max()
        assert abs(np.corrcoef(made, audio)[0, 1]) < 0.5


@pytest.mark.parametrize("rate", [16000, 24000, 96000])
@pytest.mark.parametrize("seconds", [2.8, 10.0])
def test_pieces_cover_a_recording_once(seconds, rate):
    """A ramp tells where each sample came from."""
    ramp = np.arange(round(seconds * rate), dtype=np.float64)
    made = splice(np.random.default_rng(0), ramp, rate)
    steady = np.isclose(np.diff(made), 1.0, atol=0.01)
    # Faded samples are mixtures of two places; the rest follow one another.
    kept = np.round(made[1:][steady]).astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], steady.astype(int), [0]])))
    pieces = np.diff(edges)[::2] / rate
    # Within a fade the mixture may rise by one for a moment.
    pieces = pieces[pieces > 0.01]
    seams = len(pieces) - 1
    assert seams >= 3
    # But for rounding: single precision holds half a sample at a million.
    assert len(np.unique(kept)) >= 0.9999 * len(kept)
    assert len(kept) >= len(ramp) - (seams + 1) * (0.02 * rate + 2)
    assert pieces.max() < 2 * 1.9
    assert pieces.min() > min(0.4, seconds / 16) - 0.03


def test_seams_lie_where_it_is_quiet_and_neighbours_meet_unchanged():
    # Words of 0.15 s, pauses of 0.05 s: whole fades fit into them.
    time = np.arange(10 * RATE)
    loud = time % (RATE // 5) < 0.15 * RATE
    words = np.where(loud, np.sin(time * 0.3), 0.0).astype(np.float32)
    for seed in range(4):
        made = splice(np.random.default_rng(seed), words, RATE)
        # No word was cut; the recording begins with one, which may follow another without a pause.
        sounding = signal.fftconvolve(made**2, np.ones(48), mode="same") > 1e-3
        lengths = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], sounding.astype(int), [0]]))))[::2]
        words_in = lengths / (0.15 * RATE)
        assert np.abs(words_in - np.round(words_in)).max() < 0.05
        assert np.round(words_in).sum() == 50
        assert words_in.max() < 2.1
    steady = np.ones(10 * RATE, np.float32)
    level = splice(np.random.default_rng(0), steady, RATE)
    bumps = np.count_nonzero(np.diff((level > 1.01).astype(int)) == 1)
    assert np.abs(level).max() <= np.sqrt(2) + 1e-4
    assert 0 < bumps <= 25


class Rolled:
    """Draws the middle of what is asked for, and puts the last piece first: all others stay neighbours."""

    def integers(self, low: int, high: int) -> int:
        return (low + high) // 2

    def permutation(self, count: int) -> np.ndarray:
        return np.roll(np.arange(count), 1)


def test_only_strangers_fade():
    rng: Any = Rolled()
    level = splice(rng, np.ones(10 * RATE, np.float32), RATE)
    bumps = np.count_nonzero(np.diff((level > 1.01).astype(int)) == 1)
    assert bumps == 1
    ramp = np.arange(10 * RATE, dtype=np.float32)
    made = splice(rng, ramp, RATE)
    # One seam, of a fade: all else follows as it did.
    assert np.count_nonzero(~np.isclose(np.diff(made), 1.0, atol=0.02)) <= 0.02 * RATE + 2


def test_what_is_too_short_stays_as_it_is():
    for samples in (1, 100, 4000):
        audio = noise(samples)
        np.testing.assert_array_equal(splice(np.random.default_rng(0), audio, RATE), audio)


def test_one_short_clip_gives_many_pairs_when_spliced():
    short = ClipSet(clips=(clip(noise(2 * 65536)),), sample_rate=RATE)
    plain = ClipSampler(np.random.default_rng(0), short)
    assert len({plain.draw()[0].tobytes() for _ in range(8)}) == 1
    options = {"spliced": 0.5, "max_cents": 200.0}
    spliced, again = (ClipSampler(np.random.default_rng(1), short, **options) for _ in range(2))
    draws = [spliced.draw() for _ in range(16)]
    assert {half.shape for pair in draws for half in pair} == {(65536,)}
    # Too short to be played faster: half of them as it came, half in other orders.
    assert 4 <= len({pair[0].tobytes() for pair in draws}) <= 14
    for pair in draws:
        np.testing.assert_array_equal(pair, again.draw())


def test_splicing_needs_a_share_and_a_rate():
    with pytest.raises(UsageError, match="a share from 0 to 1"):
        sampler(clip(noise(200000)), spliced=1.5)
    with pytest.raises(UsageError, match="expected a ClipSet"):
        sampler(clip(noise(200000)), spliced=0.5)
