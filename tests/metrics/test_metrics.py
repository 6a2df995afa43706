"""The printed figures, against published standards, librosa, auraloss and physics."""

from __future__ import annotations

import json
import math
from pathlib import Path

import auraloss
import numpy as np
import pytest
import torch

from blackbox_afx.errors import AudioError, UsageError
from blackbox_afx.losses import FFT_SIZES
from blackbox_afx.metrics import ALWAYS, METRICS, score_pair, summarise
from blackbox_afx.metrics.centroid import centroid_error, spectral_centroid
from blackbox_afx.metrics.loudness import integrated_loudness, loudness_error
from blackbox_afx.metrics.mel import mel_distance, mel_filterbank, mel_spectrum
from blackbox_afx.metrics.pesq import available, pesq_score
from blackbox_afx.metrics.rms import rms_error
from blackbox_afx.metrics.stft import stft_distance

RATE = 24000
REFERENCE = json.loads(Path(__file__).with_name("librosa_reference.json").read_text())


def sine(frequency: float, seconds: float, dbfs: float, rate: int) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.fixture(scope="module")
def noise() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(65536).astype(np.float32) * level for level in (0.1, 0.2))


def test_every_metric_is_zero_for_the_same_audio(noise):
    for name, value in score_pair(noise[0], noise[0], RATE).items():
        assert value == 0.0, name


def test_stereo_is_as_mono_where_both_sides_are_the_same(noise):
    mono = score_pair(noise[0], noise[1], RATE)
    stereo = score_pair(np.stack([noise[0]] * 2), np.stack([noise[1]] * 2), RATE)
    for name in ALWAYS:
        assert stereo[name] == pytest.approx(mono[name], rel=1e-5), name


@pytest.mark.parametrize("rate", [24000, 44100])
def test_mel_filters_are_librosas(rate):
    magnitude = np.abs(np.fft.rfft(np.random.default_rng(8).standard_normal(65536)))
    np.testing.assert_allclose(mel_filterbank(rate) @ magnitude, REFERENCE["mel"][str(rate)], rtol=1e-6)


def test_msd_is_auraloss_on_our_filters(noise):
    """auraloss needs librosa for its filters; the distance itself is checked with ours in their place."""
    theirs = auraloss.freq.STFTLoss(65536, 65536, 65536, w_sc=0.0, w_log_mag=1.0, w_lin_mag=1.0)
    theirs.scale = "mel"
    theirs.register_buffer("fb", torch.tensor(mel_filterbank(RATE), dtype=torch.float32)[None])
    x, y = (torch.from_numpy(np.tile(audio, 2))[None, None] for audio in noise)
    expected = theirs(x, y).item()
    assert mel_distance(y[0].numpy(), x[0].numpy(), RATE) == pytest.approx(expected, rel=1e-5)


def test_msd_of_a_gain_is_its_logarithm_plus_the_linear_part(noise):
    audio = noise[0]
    expected = math.log(2) + mel_spectrum(audio, RATE).mean()
    assert mel_distance(audio, audio * 2, RATE) == pytest.approx(expected, rel=1e-6)


def test_msd_of_short_and_of_unequal_lengths(noise):
    assert mel_distance(noise[0][:5000], noise[1][:5000], RATE) > 0
    assert mel_distance(noise[0], noise[1][:40000], RATE) > 0
    assert mel_distance(np.tile(noise[0], 3), noise[0], RATE) < 0.5 * mel_distance(noise[0] * 4, noise[0], RATE)


def test_stft_distance_is_auraloss(noise):
    theirs = auraloss.freq.MultiResolutionSTFTLoss(
        list(FFT_SIZES), [n // 2 for n in FFT_SIZES], list(FFT_SIZES), w_sc=0.0, w_log_mag=1.0, w_lin_mag=1.0
    )
    x, y = (torch.from_numpy(audio)[None, None] for audio in noise)
    assert stft_distance(noise[0], noise[1], RATE) == pytest.approx(theirs(y, x).item(), rel=1e-5)
    with pytest.raises(UsageError, match="cut both"):
        stft_distance(noise[0], noise[1][:-1], RATE)


def test_centroid_is_librosas():
    audio = np.random.default_rng(7).standard_normal(30000).cumsum()
    audio = (audio / np.abs(audio).max() * 0.5).astype(np.float32)
    assert spectral_centroid(audio, RATE) == pytest.approx(REFERENCE["centroid_hz"], rel=1e-4)


def test_centroid_of_a_sine_is_its_frequency():
    # Periodic over the reflections at both ends, so that no frame leaks.
    tone = np.cos(2 * np.pi * 1500 * np.arange(24001) / RATE).astype(np.float32)
    assert spectral_centroid(tone, RATE) == pytest.approx(1500, abs=1.0)
    other = np.cos(2 * np.pi * 3000 * np.arange(24001) / RATE).astype(np.float32)
    assert centroid_error(tone, other, RATE) == pytest.approx(1500, abs=2.0)


def test_centroid_leaves_silence_out():
    # The one frame that holds the tone's end has a wider spectrum, hence the bound.
    tone = np.cos(2 * np.pi * 1500 * np.arange(24001) / RATE).astype(np.float32)
    padded = np.concatenate([tone, np.zeros(48000, dtype=np.float32)])
    assert spectral_centroid(padded, RATE) == pytest.approx(1500, abs=100)
    assert math.isnan(spectral_centroid(np.zeros(48000, dtype=np.float32), RATE))
    assert math.isnan(spectral_centroid(tone[:1000], RATE))


def test_rms_is_in_true_decibels(noise):
    assert rms_error(noise[0], noise[0] * 2, RATE) == pytest.approx(6.0206, abs=1e-3)
    assert math.isnan(rms_error(noise[0], noise[0] * 0, RATE))


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_loudness_of_ebu_3341_cases_1_and_2(rate, level):
    """EBU Tech 3341: a stereo 1 kHz sine at L dBFS, 20 s, has L LUFS within 0.1 LU."""
    tone = np.stack([sine(1000, 20, level, rate)] * 2)
    assert integrated_loudness(tone, rate) == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize(
    "tones",
    [
        [(10, -36), (60, -23), (10, -36)],
        [(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)],
        [(20, -26), (20.1, -20), (20, -26)],
    ],
    ids=["case 3", "case 4", "case 5"],
)
def test_loudness_of_ebu_3341_cases_3_to_5(tones):
    """Stereo 1 kHz sines one after the other, (seconds, dBFS): the gates leave the soft parts out; -23 LUFS each."""
    parts = [sine(1000, seconds, level, 48000) for seconds, level in tones]
    tone = np.stack([np.concatenate(parts)] * 2)
    assert integrated_loudness(tone, 48000) == pytest.approx(-23.0, abs=0.1)


def test_loudness_of_ebu_3341_case_6():
    """Five channels: left and right at -28 dBFS, centre at -24, surrounds at -30, which count 1.5 dB more."""
    tone = np.stack([sine(1000, 20, level, 48000) for level in (-28, -28, -24, -30, -30)])
    assert integrated_loudness(tone, 48000) == pytest.approx(-23.0, abs=0.1)


def test_loudness_of_twice_the_amplitude(noise):
    assert loudness_error(noise[0], noise[0] * 2, RATE) == pytest.approx(6.0206, abs=1e-3)


def test_what_has_no_loudness_is_said(noise):
    with pytest.raises(AudioError, match="too short"):
        integrated_loudness(noise[0][:9000], RATE)
    with pytest.raises(AudioError, match="-70 LUFS"):
        integrated_loudness(noise[0] * 1e-6, RATE)
    with pytest.raises(AudioError, match="mix down"):
        integrated_loudness(np.zeros((6, 48000)), RATE)
    assert math.isnan(loudness_error(noise[0], noise[0] * 0, RATE))


@pytest.mark.skipif(not available(), reason="needs the extra 'metrics' (pesq)")
def test_pesq_scale_and_failures():
    rng = np.random.default_rng(3)
    time = np.arange(4 * RATE) / RATE
    speech = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20)) * 0.05
    speech = (speech * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)) ** 2).astype(np.float32)
    same = pesq_score(speech, speech, RATE)
    # P.862.2's mapping ends at 4.644.
    assert same == pytest.approx(4.644, abs=0.01)
    assert pesq_score(speech, speech + rng.normal(0, 0.05, len(speech)).astype(np.float32), RATE) < same - 0.5
    assert math.isnan(pesq_score(speech * 0, speech, RATE))
    assert math.isnan(pesq_score(speech[:100], speech[:100], RATE))


def test_failures_are_counted_apart():
    summary = summarise([{"a": 1.0, "b": math.nan}, {"a": 3.0, "b": math.nan}, {"a": math.nan, "b": math.nan}])
    assert summary == {
        "a": {"mean": 2.0, "measured": 2, "failed": 1},
        "b": {"mean": None, "measured": 0, "failed": 3},
    }


def test_wrong_requests_are_refused(noise):
    with pytest.raises(UsageError, match="did you mean 'lufs_db'"):
        score_pair(noise[0], noise[1], RATE, ["lufs"])
    with pytest.raises(AudioError, match="the estimate holds NaN"):
        score_pair(noise[0], noise[1] * np.nan, RATE)
    assert list(METRICS) == ["stft", "msd", "sce_hz", "rms_db", "lufs_db", "pesq"]
