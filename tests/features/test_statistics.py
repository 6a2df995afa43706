"""The statistics against pyloudnorm and against what a gain, another rate or silence must do to them."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from blackbox_afx.features.bands import band_bank, k_weighting, quantiles
from blackbox_afx.features.statistics import BANDS, DIMENSION, LAYOUT, band_centres, statistics

RATE = 24000
SHIFTED = ("mean_power", "mean_db", "quantiles", "levels", "by_level")
STILL = ("spread", "steps")


def clips(demo_audio):
    for path in sorted(demo_audio.rglob("*.flac")):
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        yield path.stem, audio.mean(1), rate


def noise(seed: int = 0, seconds: float = 2.0) -> np.ndarray:
    """Noise whose level moves, and nothing of it near the floor."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * RATE)
    swell = 0.05 * (1.2 + np.sin(np.arange(samples) / RATE * 11))
    return (rng.normal(size=samples) * swell).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(st.floats(-20, 20), st.integers(0, 5))
def test_a_gain_shifts_levels_and_leaves_the_rest(gain_db, seed):
    audio = noise(seed)
    before = statistics(audio, RATE)
    after = statistics(audio * np.float32(10 ** (gain_db / 20)), RATE)
    for name in SHIFTED:
        assert np.allclose(after[LAYOUT[name]] - before[LAYOUT[name]], gain_db, atol=2e-3), name
    for name in STILL:
        assert np.allclose(after[LAYOUT[name]], before[LAYOUT[name]], atol=2e-3), name
    peak, rms, loudness, centroid = (after - before)[LAYOUT["scalars"]]
    assert np.allclose([peak, rms, loudness], gain_db, atol=2e-3)
    assert abs(centroid) < 1e-3


@settings(deadline=None, max_examples=60)
@given(
    arrays.arrays(np.float32, st.integers(0, 6000), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)),
    st.sampled_from([8000, 24000, 44100, 96000]),
)
def test_whatever_comes_in_the_numbers_are_finite(audio, rate):
    found = statistics(audio, rate)
    assert found.shape == (DIMENSION,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.isfinite(found.astype(np.float16)).all()


def test_silence_is_the_floor_in_every_part():
    found = statistics(np.zeros(RATE, np.float32), RATE)
    assert np.allclose(found[LAYOUT["mean_power"]], -110)
    assert np.allclose(found[LAYOUT["steps"]], 0)
    assert found[LAYOUT["scalars"]][2] == -70


def test_a_sine_is_found_where_it_is_and_as_loud_as_it_is():
    hertz, peak = 1000.0, 0.5
    audio = (peak * np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE)).astype(np.float32)
    found = statistics(audio, RATE)
    centres = band_centres()
    assert abs(np.log2(centres[np.argmax(found[LAYOUT["mean_power"]])] / hertz)) < 0.06
    peak_db, rms_db, loudness, centroid = found[LAYOUT["scalars"]]
    assert peak_db == pytest.approx(20 * np.log10(peak), abs=0.01)
    assert rms_db == pytest.approx(20 * np.log10(peak) - 3.01, abs=0.02)
    assert loudness == pytest.approx(pyloudnorm.Meter(RATE).integrated_loudness(audio.astype(np.float64)), abs=0.1)
    assert 2**centroid - 20 == pytest.approx(1000, abs=5)


def test_loudness_is_that_of_the_standard(demo_audio):
    gaps = {}
    for name, audio, rate in clips(demo_audio):
        expected = pyloudnorm.Meter(rate).integrated_loudness(audio.astype(np.float64))
        gaps[name] = abs(float(statistics(audio, rate)[LAYOUT["scalars"]][2]) - expected)
    assert len(gaps) > 10
    # Blocks lie elsewhere than the standard's: in six seconds one more or less of them passes the gate.
    assert max(gaps.values()) < 0.3, gaps
    assert sum(gap > 0.2 for gap in gaps.values()) <= 1, gaps


@pytest.mark.parametrize("rate", [44100, 48000])
def test_another_sample_rate_gives_about_the_same(demo_audio, rate):
    below = band_centres() < 10000
    for name, audio, native in list(clips(demo_audio))[::5]:
        at_24k = soxr.resample(audio, native, RATE, quality="VHQ")
        first = statistics(at_24k, RATE)
        second = statistics(soxr.resample(at_24k, RATE, rate, quality="VHQ"), rate)
        gap = np.abs(first - second)
        for part in ("mean_power", "mean_db"):
            assert gap[LAYOUT[part]][below].max() < 2.0, (name, part)
            assert gap[LAYOUT[part]][below].mean() < 0.6, (name, part)
        assert gap[LAYOUT["levels"]].mean() < 0.6, name
        assert gap[LAYOUT["scalars"]][:3].max() < 0.2, name
        assert gap[LAYOUT["scalars"]][3] < 0.05, name


def test_the_layout_has_no_gaps():
    ends = [0]
    for place in LAYOUT.values():
        assert place.start == ends[-1]
        ends.append(place.stop)
    assert ends[-1] == DIMENSION


@given(st.integers(1, 40), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_quantiles_are_numpys(count, at):
    rows = np.sort(np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32), axis=0)
    assert np.allclose(quantiles(rows, tuple(at)), np.quantile(rows, at, axis=0), atol=1e-5)


@pytest.mark.parametrize("rate", [16000, 24000, 48000, 96000])
def test_every_band_is_a_mean(rate):
    bins = np.arange(1025) * rate / 2048
    bank, centres = band_bank(bins, BANDS)
    assert np.allclose(bank.sum(0), 1, atol=1e-5)
    assert (bank >= 0).all()
    assert (np.diff(centres) > 0).all()


def test_the_weighting_is_0_db_near_1_khz_as_the_standard_has_it():
    # BS.1770: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LKFS, so the filters give +0.691 dB there.
    assert 10 * np.log10(k_weighting(np.array([997.0]))[0]) == pytest.approx(0.691, abs=0.01)
