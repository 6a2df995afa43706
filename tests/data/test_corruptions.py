"""Corruption effects against physics, scipy and a published DSP library; pairs against the recipe's promises."""

from __future__ import annotations

import numpy as np
import pedalboard
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_afx.audio import peak_dbfs, rms_db
from blackbox_afx.data.corruptions import corrupt_frequency, fade, paper_pair
from blackbox_afx.data.dynamics import compress, compressor_gain_db, envelope, expand, expander_gain_db
from blackbox_afx.data.equaliser import equalise, section
from blackbox_afx.errors import AudioError

RATE = 24000


def sine(frequency: float, seconds: float, dbfs: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def halves(seed: int, samples: int = 24000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    walk = np.diff(rng.standard_normal(2 * samples + 1).cumsum(), prepend=0)[1:]
    audio = (walk / np.abs(walk).max() * 0.25).astype(np.float32)
    return audio[:samples], audio[samples:]


def response_db(kind: str, gain: float, frequency: float, q: float, at: list[float]) -> np.ndarray:
    _, response = scipy.signal.sosfreqz([section(kind, gain, frequency, q, RATE)], worN=at, fs=RATE)
    return 20 * np.log10(np.abs(response))


@pytest.mark.parametrize("gain", [-24.0, -3.0, 6.0, 24.0])
def test_sections_have_their_gain_where_they_should(gain):
    peak = response_db("peak", gain, 1000, 1.0, [1, 1000, 11999])
    assert peak == pytest.approx([0, gain, 0], abs=1e-3)
    low = response_db("low_shelf", gain, 1000, 0.707, [1e-3, 1000, 11999.9])
    assert low == pytest.approx([gain, gain / 2, 0], abs=1e-3)
    high = response_db("high_shelf", gain, 4000, 0.707, [1e-3, 4000, 11999.9])
    assert high == pytest.approx([0, gain / 2, gain], abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("peak", pedalboard.PeakFilter),
        ("low_shelf", pedalboard.LowShelfFilter),
        ("high_shelf", pedalboard.HighShelfFilter),
    ],
)
def test_sections_are_juces(kind, theirs):
    audio = halves(0)[0]
    ours = equalise(audio, [section(kind, 7.5, 1800, 1.3, RATE)])
    other = theirs(cutoff_frequency_hz=1800, gain_db=7.5, q=1.3)(audio, RATE)
    assert np.abs(ours - other).max() < 1e-4


def test_envelope_rises_and_falls_in_its_time_constants():
    step = np.concatenate([np.ones(RATE), np.zeros(RATE)])
    level = envelope(step, 0.02, 0.1, RATE)
    assert level[round(0.02 * RATE) - 1] == pytest.approx(1 - np.exp(-1), abs=1e-3)
    assert level[RATE + round(0.1 * RATE) - 1] == pytest.approx(np.exp(-1), abs=1e-3)


@pytest.mark.parametrize("knee", [0.0, 6.0, 12.0])
def test_static_curves_have_continuous_knees(knee):
    level = np.linspace(-60, 0, 6001)
    squeezed = compressor_gain_db(level, -30, 4, knee)
    assert squeezed[-1] == pytest.approx(-22.5)
    assert squeezed[level < -30 - knee / 2 - 0.01] == pytest.approx(0)
    # Never steeper than the ratio's own slope, never a boost.
    assert np.diff(squeezed / 0.01).min() >= -0.75 - 1e-6
    assert squeezed.max() <= 0
    opened = expander_gain_db(level, -30, 3, knee)
    assert opened[0] == pytest.approx(-60)
    assert opened[level > -30 + knee / 2 + 0.01] == pytest.approx(0)
    assert np.abs(np.diff(opened)).max() <= 0.01 * 2 + 1e-6
    if knee:
        assert compressor_gain_db(np.array([-30.0]), -30, 4, knee)[0] == pytest.approx(-0.75 * knee / 8)


def test_compressor_on_a_steady_tone():
    """Peak follower with a fast attack: 20 dB over a ratio of 4 leaves 5."""
    settings = {"threshold": -30.0, "ratio": 4.0, "attack": 1e-4, "release": 0.5, "knee": 0.0}
    out = compress(sine(997, 1.0, -10.0), RATE, **settings, makeup=3.0)
    assert peak_dbfs(out[RATE // 2 :]) == pytest.approx(-22.0, abs=0.2)
    quiet = sine(997, 1.0, -40.0)
    np.testing.assert_allclose(compress(quiet, RATE, **settings), quiet, atol=1e-7)


def test_expander_on_a_steady_tone():
    settings = {"threshold": -20.0, "ratio": 3.0, "attack": 1e-4, "release": 0.5, "knee": 0.0}
    out = expand(sine(997, 1.0, -30.0), RATE, **settings)
    assert peak_dbfs(out[RATE // 2 :]) == pytest.approx(-50.0, abs=0.4)
    silence = expand(np.zeros(100, dtype=np.float32), RATE, **settings)
    assert np.all(silence == 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([8000, 16000, 24000, 44100]))
def test_random_colours_stay_finite_at_any_rate(seed, rate):
    out = corrupt_frequency(np.random.default_rng(seed), halves(seed, 8000)[0], rate)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


@pytest.mark.parametrize("rate", [22050, 24000, 48000])
def test_fades_last_50_ms_at_any_rate(rate):
    out = fade(np.ones(rate, dtype=np.float32), rate)
    count = round(0.05 * rate)
    assert out[0] == out[-1] == 0
    assert out[count // 2] == pytest.approx(0.5, abs=0.01)
    assert np.all(out[count:-count] == 1)
    assert np.all(out == out[::-1])
    assert np.all(np.isfinite(fade(np.ones(3, dtype=np.float32), rate)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_pairs_keep_their_promises(seed):
    a, b = halves(seed % 7)
    x, reference, target = paper_pair(np.random.default_rng(seed), a, b, RATE)
    for audio in (x, reference, target):
        assert audio.dtype == np.float32
        assert audio.shape == a.shape
        assert np.isfinite(audio).all()
    assert max(peak_dbfs(reference), peak_dbfs(target)) == pytest.approx(-12.0, abs=1e-3)
    assert peak_dbfs(x) <= -12.0 + 1e-3
    again = paper_pair(np.random.default_rng(seed), a, b, RATE)
    np.testing.assert_array_equal(x, again[0])
    np.testing.assert_array_equal(target, again[2])


def test_reference_and_target_share_their_processing():
    """Of white noise, the ratio of long-term spectra tells the processing; the half does not matter."""
    near, far = [], []
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        audio = rng.standard_normal(2 * 65536).astype(np.float32) * 0.05
        x, reference, target = paper_pair(rng, audio[:65536], audio[65536:], RATE)
        spectra = [10 * np.log10(scipy.signal.welch(item, RATE, nperseg=256)[1]) for item in (x, reference, target)]
        near.append(np.abs(spectra[1] - spectra[2]).mean())
        far.append(np.abs(spectra[0] - spectra[2]).mean())
    assert max(near) < 1.5
    assert np.mean(far) > 4.0


def test_input_and_target_hold_the_same_content():
    a, b = halves(3)
    tone_a, tone_b = sine(700, 1.0, -12), sine(1900, 1.0, -12)
    seen = set()
    for seed in range(12):
        x, reference, target = paper_pair(np.random.default_rng(seed), tone_a, tone_b, RATE)
        peaks = [int(np.abs(np.fft.rfft(item[5000:-5000])).argmax() * RATE / 14000) for item in (x, reference, target)]
        assert abs(peaks[0] - peaks[2]) < 20
        assert abs(peaks[0] - peaks[1]) > 500
        seen.add(round(peaks[0], -2))
    assert seen == {700, 1900}
    with pytest.raises(AudioError, match="expected one length"):
        paper_pair(np.random.default_rng(0), a, b[:-1], RATE)


def test_levels_of_both_sides_are_comparable():
    a, b = halves(1)
    levels = [[rms_db(item) for item in paper_pair(np.random.default_rng(s), a, b, RATE)] for s in range(20)]
    assert np.abs(np.diff(np.mean(levels, axis=0))).max() < 6.0
