"""What a loss gradient asks of bands and quantiles, against filters and gains that pedalboard makes."""

from __future__ import annotations

import numpy as np
import pedalboard
import pytest
from scipy import signal

from blackbox_afx.features.band_gradient import NEPER, band_gradient, minimum_phase
from blackbox_afx.features.statistics import BANDS, QUANTILES, band_centres

RATE = 24000


def speechlike(seed: int, samples: int = 48000) -> np.ndarray:
    """Give low-pass noise that swells and fades, float32 [1, samples]."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    sound = np.fft.irfft(spectrum / (1.0 + np.arange(len(spectrum)) / 1500.0), samples)
    swell = 0.05 + np.sin(np.pi * np.arange(samples) / 9000.0) ** 2
    return (0.3 * swell * sound / np.abs(sound).max()).astype(np.float32)[None]


def test_all_of_it_together_is_a_plain_gain():
    sound, cotangent = speechlike(0), speechlike(1)
    found = band_gradient(sound, cotangent, RATE)
    assert found.shape == (len(QUANTILES), BANDS)
    assert found.sum() == pytest.approx(NEPER * float((sound.astype(np.float64) * cotangent).sum()), rel=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("cutoff", [300.0, 2500.0])
def test_a_shelf_turned_up_changes_a_loss_as_foretold(cutoff, channels):
    sound = np.concatenate([speechlike(2 + k) for k in range(channels)])

    def shelf(gain_db: float) -> np.ndarray:
        return pedalboard.Pedalboard([pedalboard.HighShelfFilter(cutoff, gain_db, 0.7)])(sound, RATE)

    # The distance of waveforms, which depends on phase: another shelf of the same filter's family is the target.
    target = pedalboard.Pedalboard([pedalboard.HighShelfFilter(2 * cutoff, 6.0, 0.7)])(sound, RATE)
    base, step = shelf(0.0), 0.1

    def loss(audio: np.ndarray) -> float:
        return float(np.square(audio.astype(np.float64) - target).sum())

    numeric = (loss(shelf(step)) - loss(shelf(-step))) / (2 * step)
    # What a shelf of 1 dB does to sines at the bands' centres.
    time = np.arange(4800) / RATE
    raised = []
    for hertz in band_centres():
        sine = np.sin(2 * np.pi * hertz * time).astype(np.float32)
        wet = pedalboard.Pedalboard([pedalboard.HighShelfFilter(cutoff, 1.0, 0.7)])(sine, RATE)
        raised.append(20 * np.log10(np.std(wet[2400:]) / np.std(sine[2400:])))
    foretold = band_gradient(base, 2 * (base - target), RATE).sum(0) @ np.asarray(raised)
    assert foretold == pytest.approx(numeric, rel=0.05)


def test_minimum_phase_is_that_of_a_biquad():
    b, a = signal.iirpeak(3000.0, 4.0, RATE)
    # An equaliser's bell: what a resonator adds to the sound itself.
    b = a + 0.7 * b
    _, response = signal.freqz(b, a, worN=4097, include_nyquist=True)
    found = minimum_phase(np.log(np.abs(response))[:, None])[:, 0]
    np.testing.assert_allclose(found, np.unwrap(np.angle(response)), atol=1e-3)


def test_loud_and_quiet_frames_are_told_apart():
    sound = speechlike(5)
    loud = np.abs(sound) > np.quantile(np.abs(sound), 0.9)
    # An expander that raises loud frames: the uppermost quantiles must take nearly all of it.
    found = band_gradient(sound, np.where(loud, sound, 0.0), RATE).sum(1)
    assert found[-2:].sum() > 0.8 * found.sum()
    assert found[0] < 0.05 * found.sum()


def test_silence_asks_for_nothing():
    assert not band_gradient(np.zeros((1, 20000), np.float32), speechlike(0, 20000), RATE).any()
