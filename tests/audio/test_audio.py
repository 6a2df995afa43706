"""Reading, writing, resampling, levels and checks of audio, against physics and against libsndfile itself."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from blackbox_afx.audio import (
    AudioWriter,
    StreamingResampler,
    check_audio,
    check_file,
    checked_stream,
    cut_short,
    info,
    list_audio,
    normalise_peak,
    peak_dbfs,
    read_audio,
    resample,
    rms_db,
    stream,
    write_audio,
)
from blackbox_afx.errors import AudioError, OutputError, UsageError

RATE = 24000


def sine(frequency: float, seconds: float, rate: int = RATE, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)[None]


def one_line(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, (2, 30011)).astype(np.float32)


@pytest.mark.parametrize(
    ("suffix", "subtype", "bound"),
    [
        (".wav", "PCM_16", 2**-15),
        (".wav", "PCM_24", 2**-23),
        (".wav", "PCM_32", 2**-24),
        (".wav", "FLOAT", 0.0),
        (".flac", "PCM_16", 2**-15),
        (".flac", "PCM_24", 2**-23),
        (".aiff", "PCM_24", 2**-23),
        (".caf", "FLOAT", 0.0),
    ],
)
def test_round_trip_within_the_step_of_the_format(tmp_path, noise, suffix, subtype, bound):
    path = tmp_path / f"x{suffix}"
    assert write_audio(path, noise, 44100, subtype=subtype) == 0
    about = info(path)
    assert (about.sample_rate, about.channels, about.frames, about.subtype) == (44100, 2, 30011, subtype)
    back, rate = read_audio(path)
    assert rate == 44100
    assert back.dtype == np.float32
    assert np.abs(back - noise).max() <= bound


@pytest.mark.parametrize("suffix", [".ogg", ".mp3", ".opus"])
def test_lossy_formats_keep_a_sine(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    tone = np.repeat(sine(1000, 2.0, 48000), 2, axis=0)
    write_audio(path, tone, 48000)
    back, rate = read_audio(path)
    assert (rate, back.shape[0]) == (48000, 2)
    assert rms_db(back[:, 20000:60000]) == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.2)


def test_sample_format_is_kept_where_the_container_has_it(tmp_path, noise):
    soundfile.write(tmp_path / "a.wav", noise.T, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", noise.T, RATE, subtype="PCM_16")
    like_float, like_16 = info(tmp_path / "a.wav"), info(tmp_path / "b.wav")
    for name, like, expected in [
        ("c.wav", like_float, "FLOAT"),
        ("d.flac", like_float, "PCM_24"),
        ("e.flac", like_16, "PCM_16"),
        ("f.aiff", like_16, "PCM_16"),
        ("g.ogg", like_16, "VORBIS"),
    ]:
        write_audio(tmp_path / name, noise, RATE, like=like)
        assert info(tmp_path / name).subtype == expected


def test_clipped_samples_are_counted(tmp_path):
    assert write_audio(tmp_path / "x.wav", np.array([[0.5, 1.5, -2.0]], dtype=np.float32), RATE) == 2
    assert np.abs(read_audio(tmp_path / "x.wav")[0]).max() <= 1.0


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_part_is_the_part_of_the_whole(tmp_path, noise, suffix):
    path = tmp_path / f"x{suffix}"
    write_audio(path, noise, RATE)
    whole, _ = read_audio(path)
    part, _ = read_audio(path, start=1234, frames=5000)
    np.testing.assert_array_equal(part, whole[:, 1234:6234])
    end, _ = read_audio(path, start=30000, frames=5000)
    assert end.shape == (2, 11)


def test_mono_is_the_mean_of_the_channels(tmp_path, noise):
    write_audio(tmp_path / "x.wav", noise, RATE, subtype="FLOAT")
    mono, _ = read_audio(tmp_path / "x.wav", mono=True)
    np.testing.assert_allclose(mono, noise.mean(axis=0, keepdims=True), atol=1e-7)


@pytest.mark.parametrize("block", [1, 997, 8192, 30011, 1 << 18])
@pytest.mark.parametrize("rate", [None, 16000, 48000])
def test_blocks_add_up_to_the_whole(tmp_path, noise, block, rate):
    if block == 1 and rate:
        noise = noise[:, :3000]
    path = tmp_path / "x.wav"
    write_audio(path, noise, RATE, subtype="FLOAT")
    whole, _ = read_audio(path, sample_rate=rate)
    blocks = list(stream(path, block, sample_rate=rate))
    assert all(item.shape[1] == block for item in blocks[:-1])
    assert 0 < blocks[-1].shape[1] <= block
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), whole, atol=2e-6)


def test_stream_of_a_part_in_mono(tmp_path, noise):
    write_audio(tmp_path / "x.wav", noise, RATE, subtype="FLOAT")
    blocks = list(stream(tmp_path / "x.wav", 700, start=100, frames=5000, mono=True))
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), noise[:, 100:5100].mean(axis=0)[None], atol=1e-7)


def test_a_long_file_is_copied_in_bounded_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "long.wav"
    second = sine(100, 1.0)
    with AudioWriter(path, RATE, 1, subtype="PCM_16") as writer:
        for _ in range(600):
            writer.write(second)
    tracemalloc.start()
    with AudioWriter(tmp_path / "copy.wav", 48000, 1, subtype="PCM_16") as writer:
        for block in stream(path, sample_rate=48000):
            writer.write(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert info(tmp_path / "copy.wav").frames == 600 * 48000
    # Ten minutes would be 115 MB as float32; a few blocks are about 1 MB each.
    assert peak < 8e6


@pytest.mark.parametrize(("rate_in", "rate_out"), [(44100, 24000), (16000, 24000), (24000, 48000)])
def test_resampling_keeps_a_sine(rate_in, rate_out):
    tone = sine(997, 1.0, rate_in)
    out = resample(tone, rate_in, rate_out)
    assert out.shape == (1, rate_out)
    expected = sine(997, 1.0, rate_out)
    middle = slice(rate_out // 10, -rate_out // 10)
    # Level, phase and delay all at once: libsoxr HQ is a 20-bit resampler.
    assert np.abs(out[:, middle] - expected[:, middle]).max() < 2e-5


def test_resampling_removes_what_would_alias():
    out = resample(sine(11000, 1.0, 44100), 44100, 16000)
    assert rms_db(out[:, 1000:-1000]) < -100


def test_resampler_with_equal_rates_passes_through(noise):
    resampler = StreamingResampler(RATE, RATE, 2)
    np.testing.assert_array_equal(resampler.process(noise), noise)
    assert resampler.finish().shape == (2, 0)


def test_levels_of_known_signals():
    full = sine(1000, 1.0, amplitude=1.0)
    assert peak_dbfs(full) == pytest.approx(0.0, abs=0.01)
    assert rms_db(full) == pytest.approx(-3.0103, abs=1e-3)
    assert peak_dbfs(np.array([[-0.5, 0.25]], dtype=np.float32)) == pytest.approx(-6.0206, abs=1e-4)
    silence = np.zeros((1, 8), dtype=np.float32)
    assert peak_dbfs(silence) == rms_db(silence) == -math.inf


def test_peak_normalisation_says_its_gain(noise):
    out, gain = normalise_peak(noise, -12.0)
    assert peak_dbfs(out) == pytest.approx(-12.0, abs=1e-5)
    assert gain == pytest.approx(-12.0 - peak_dbfs(noise))
    with pytest.raises(AudioError, match="silent"):
        normalise_peak(np.zeros((1, 8), dtype=np.float32))
    with pytest.raises(AudioError, match="NaN"):
        normalise_peak(np.full((1, 8), np.nan, dtype=np.float32))


def test_nothing_is_left_when_the_work_fails(tmp_path, noise):
    def write_and_fail():
        with AudioWriter(tmp_path / "x.wav", RATE, 2) as writer:
            writer.write(noise)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_survives_a_failed_replacement(tmp_path, noise):
    path = tmp_path / "x.wav"
    write_audio(path, noise, RATE)
    before = path.read_bytes()

    def write_and_stop():
        with AudioWriter(path, RATE, 2, force=True) as writer:
            writer.write(noise * 0.5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_needs_force(tmp_path, noise):
    path = tmp_path / "x.wav"
    write_audio(path, noise, RATE)
    with pytest.raises(OutputError, match="--force"):
        write_audio(path, noise, RATE)
    write_audio(path, noise * 0.5, RATE, force=True)
    assert peak_dbfs(read_audio(path)[0]) < -6


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, noise):
    path = tmp_path / "x.wav"
    writer = AudioWriter(path, RATE, 2)
    writer.write(noise)
    path.write_bytes(b"theirs")
    with pytest.raises(OutputError, match="exists already"):
        writer.close()
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path, noise):
    (tmp_path / "real").mkdir()
    link = tmp_path / "x.wav"
    try:
        link.symlink_to(tmp_path / "real" / "y.wav")
    except OSError:
        pytest.skip("no symbolic links here")
    write_audio(link, noise, RATE)
    assert link.is_symlink()
    assert info(tmp_path / "real" / "y.wav").frames == noise.shape[1]


def test_writing_where_one_can_not_is_said(tmp_path, noise):
    with pytest.raises(OutputError, match="create it first") as error:
        write_audio(tmp_path / "none" / "x.wav", noise, RATE)
    one_line(error)
    with pytest.raises(OutputError, match=r"expected one of .*\.flac"):
        write_audio(tmp_path / "x.xyz", noise, RATE)
    (tmp_path / "d.wav").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_audio(tmp_path / "d.wav", noise, RATE, force=True)
    with pytest.raises(OutputError, match="can't hold 12 channels"):
        write_audio(tmp_path / "x.flac", np.zeros((12, 10), dtype=np.float32), RATE)
    with pytest.raises(AudioError, match="NaN"):
        write_audio(tmp_path / "x.wav", np.full((1, 10), np.nan, dtype=np.float32), RATE)
    assert [path.name for path in tmp_path.iterdir()] == ["d.wav"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /proc, where nobody can write")
def test_a_read_only_place_is_said(noise):
    with pytest.raises(OutputError, match="can't be written"):
        write_audio("/proc/x.wav", noise, RATE)


def test_unicode_paths(tmp_path, noise):
    folder = tmp_path / "Größe 音楽 ñ"
    folder.mkdir()
    path = folder / "naïve 🎸 take.flac"
    write_audio(path, noise, RATE)
    assert read_audio(path)[0].shape == noise.shape
    assert list_audio(tmp_path) == [path]


def test_bad_files_are_refused_in_one_line(tmp_path, noise):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("not audio at all " * 40)
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), RATE)
    for path, reason in [
        ("missing.wav", "no such file"),
        ("empty.wav", "0 bytes"),
        ("text.wav", "not audio"),
        ("none.wav", "no samples"),
        ("", "is a folder"),
    ]:
        for function in (read_audio, check_file, lambda path: list(stream(path))):
            with pytest.raises(AudioError, match=reason) as error:
                function(tmp_path / path)
            one_line(error)


def test_a_damaged_file_is_refused_in_one_line(tmp_path, noise):
    write_audio(tmp_path / "x.flac", noise, RATE)
    data = bytearray((tmp_path / "x.flac").read_bytes())
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match="damaged") as error:
        check_file(tmp_path / "cut.flac")
    one_line(error)


def test_unusable_sound_is_refused_in_one_line(tmp_path):
    cases = {
        "silent": np.zeros((1, 4800)),
        "nan": np.full((1, 4800), np.nan),
        "short": np.full((1, 100), 0.5),
    }
    reasons = {"silent": "is silent", "nan": "NaN", "short": "too short"}
    for name, audio in cases.items():
        audio = audio.astype(np.float32)
        soundfile.write(tmp_path / f"{name}.wav", audio.T, RATE, subtype="FLOAT")
        with pytest.raises(AudioError, match=reasons[name]) as error:
            check_audio(audio, RATE, min_seconds=0.1)
        one_line(error)
        with pytest.raises(AudioError, match=reasons[name]) as error:
            check_file(tmp_path / f"{name}.wav", min_seconds=0.1)
        assert f"{name}.wav" in one_line(error)
    with pytest.raises(AudioError, match=r"expected .channels, samples."):
        check_audio(np.zeros(10, dtype=np.float32), RATE)
    good = sine(440, 1.0)
    check_audio(good, RATE, min_seconds=1.0)
    write_audio(tmp_path / "good.wav", good, RATE)
    assert check_file(tmp_path / "good.wav").duration == 1.0


def test_folders_without_audio(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for path, reason in [("", "holds no audio"), ("none", "no such folder"), ("notes.txt", "is a file")]:
        with pytest.raises(AudioError, match=reason) as error:
            list_audio(tmp_path / path)
        one_line(error)


def test_wrong_requests(tmp_path, noise):
    write_audio(tmp_path / "x.wav", noise, RATE)
    with pytest.raises(AudioError, match="start earlier"):
        read_audio(tmp_path / "x.wav", start=30011)
    with pytest.raises(UsageError):
        read_audio(tmp_path / "x.wav", start=-1)
    with pytest.raises(UsageError):
        list(stream(tmp_path / "x.wav", 0))
    with pytest.raises(UsageError):
        resample(noise, RATE, 0)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs file permissions that bind this user")
def test_unreadable_and_unwritable(tmp_path, noise):
    write_audio(tmp_path / "x.wav", noise, RATE)
    (tmp_path / "x.wav").chmod(0)
    with pytest.raises(AudioError, match="permission"):
        read_audio(tmp_path / "x.wav")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="can't be written"):
            write_audio(tmp_path / "y.wav", noise, RATE)
    finally:
        tmp_path.chmod(0o700)


def test_a_checked_stream_gives_what_a_plain_one_does_and_raises_in_the_end(tmp_path):
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.standard_normal((2, 5000))).astype(np.float32)
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    write_audio(good, sound, 8000, subtype="FLOAT")
    blocks = list(checked_stream(good, 1024))
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), sound)
    with pytest.raises(AudioError, match="too short"):
        list(checked_stream(good, 1024, min_seconds=1.0))
    sound[1, 2000] = np.nan
    soundfile.write(bad, sound.T, 8000, subtype="FLOAT")
    read = checked_stream(bad, 1024)
    assert all(np.isfinite(next(read)).all() for _ in range(5))
    with pytest.raises(AudioError, match="holds 1 samples"):
        next(read)


@pytest.mark.parametrize(
    ("suffix", "subtype"), [("wav", "PCM_16"), ("wav", "FLOAT"), ("rf64", "PCM_24"), ("aiff", "PCM_16")]
)
def test_an_end_that_is_missing_is_told(tmp_path, suffix, subtype):
    whole = tmp_path / f"whole.{suffix}"
    soundfile.write(whole, sine(440, 3.0).T, RATE, subtype=subtype)
    assert cut_short(whole) == ""
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(content[: len(content) * 6 // 10])
    assert cut_short(cut) == "its header promises 3.00 s, 1.80 s are there: the file was cut short"
    cut.write_bytes(content[: len(content) // 10])
    with pytest.raises(AudioError, match=r"too short .*promises 3.00 s, 0.30 s are there.*copy it again"):
        check_file(cut, min_seconds=1.0)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_stream_that_did_not_know_its_length_is_whole(tmp_path, length):
    path = tmp_path / "piped.wav"
    soundfile.write(path, sine(440, 1.0).T, RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = length.to_bytes(4, "little")
    path.write_bytes(content)
    assert info(path).frames == RATE
    assert cut_short(path) == ""


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_what_has_no_such_header_is_not_suspected(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sine(440, 1.0).T, RATE)
    assert cut_short(path) == ""
