"""The rule-based baseline: it finds a filter that we know, and meets the loudness that it promises."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from blackbox_afx.errors import AudioError
from blackbox_afx.metrics.loudness import integrated_loudness
from blackbox_afx.transfer.rule_based import RuleBased, average_spectrum

RATE = 24000


def noise(seed: int, samples: int = 131072) -> np.ndarray:
    """Pink-like noise: as music and speech, mostly low."""
    white = np.random.default_rng(seed).standard_normal(samples)
    return (0.1 * scipy.signal.lfilter([1.0], [1.0, -0.9], white)).astype(np.float32)


def swells(samples: int = 32768) -> np.ndarray:
    """Noise that swells by 20 dB three times a second: softer than steady noise of the same peak."""
    level = 10 ** (10 * (np.sin(2 * np.pi * 3 * np.arange(samples) / RATE) - 1) / 20)
    return (noise(4, samples) * level).astype(np.float32)


def loudness_deficit(rules: RuleBased) -> float:
    reference = noise(5, 32768)
    result = rules.process(swells(), reference, RATE)
    at_peak = reference * (10 ** (-12 / 20) / np.abs(reference).max())
    return integrated_loudness(at_peak, RATE) - integrated_loudness(result, RATE)


@pytest.mark.parametrize("rate", [16000, 24000, 44100])
def test_a_known_filter_is_recovered(rate):
    b, a = scipy.signal.butter(1, 2000, fs=rate)
    reference = scipy.signal.lfilter(b, a, noise(1)).astype(np.float32)
    taps = RuleBased().match_filter(noise(0), reference)
    frequencies = np.linspace(300, 0.42 * rate, 200)
    found = np.abs(scipy.signal.freqz(taps, 1, frequencies, fs=rate)[1])
    wanted = np.abs(scipy.signal.freqz(b, a, frequencies, fs=rate)[1])
    # Two different stretches of noise; 63 taps resolve the rest.
    assert np.abs(20 * np.log10(found / wanted)).max() < 1.0


def test_the_average_spectrum_of_a_sine_is_its_line():
    bin = 4096
    sine = np.sin(2 * np.pi * bin / 65536 * np.arange(4 * 65536)).astype(np.float32)
    spectrum = average_spectrum(sine)
    assert spectrum.argmax() == bin
    # Rectangular and normalised by the root of the size: half the size in the line, less at the reflected ends.
    assert spectrum[bin] == pytest.approx(np.sqrt(65536) / 2, rel=0.2)


def test_the_loudness_deficit_is_met():
    rules = RuleBased(last_but_one=False, step_db=2.0)
    plain = loudness_deficit(RuleBased(lowest_db=0.0, last_but_one=False))
    assert plain > 1.5
    assert loudness_deficit(rules) <= 0.5
    # As the paper's code: one step before that.
    assert 0.5 < loudness_deficit(RuleBased(step_db=2.0)) < 1.0


def test_the_search_ends_at_the_lowest_threshold():
    rules = RuleBased(lowest_db=-6.0, ratio=1.0)
    audio, threshold = rules.compress_to(swells(), noise(5, 32768), RATE)
    assert threshold == -6.0
    # The ratio 1 compresses nothing, so that only the peak level is another.
    np.testing.assert_allclose(audio / np.abs(audio).max(), swells() / np.abs(swells()).max(), atol=1e-6)


def test_audio_that_needs_nothing_is_left_alone():
    audio = noise(0)
    result = RuleBased().process(audio, audio, RATE)
    assert np.abs(result).max() == pytest.approx(10 ** (-12 / 20), rel=1e-5)
    # All but the very top, which the design puts to zero.
    spectrum, before = average_spectrum(result), average_spectrum(audio * np.abs(result).max() / np.abs(audio).max())
    below = slice(0, int(0.9 * len(spectrum)))
    assert np.abs(20 * np.log10(spectrum[below].sum() / before[below].sum())) < 0.5
    lag = np.argmax(scipy.signal.correlate(result[:8192], audio[:8192])) - 8191
    assert lag == 0


@pytest.mark.parametrize("samples", [1, 100, 5000])
def test_short_audio_is_only_equalised(samples):
    audio = noise(0)[:samples]
    result = RuleBased().process(audio, noise(1), RATE)
    assert result.shape == audio.shape
    assert np.isfinite(result).all()


def test_silence_is_refused():
    with pytest.raises(AudioError, match="silent"):
        RuleBased().process(np.zeros(1000, np.float32), noise(0), RATE)
