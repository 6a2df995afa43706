"""Responses carried on by their poles, against scipy's filters run for longer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from blackbox_afx.features.filters import impulse
from blackbox_afx.features.ringing import LONGEST, extend, extend_all

RATE, TAPS = 24000, 1408


def resonator(frequency: float, quality: float, samples: int) -> np.ndarray:
    """A narrow peak on a plain shelf-like slope, in float32 as plugins give it."""
    b, a = signal.iirpeak(frequency, quality, fs=RATE)
    dry = impulse(samples)
    slope = np.asarray(signal.sosfilt(signal.butter(1, 3000, fs=RATE, output="sos"), dry))
    return np.asarray(signal.lfilter(b, a, dry) + slope, np.float32)


@pytest.mark.parametrize(("frequency", "quality"), [(60.0, 10.0), (157.0, 300.0), (900.0, 200.0), (9000.0, 3000.0)])
def test_what_rings_on_is_what_a_longer_render_gives(frequency, quality):
    whole, short = resonator(frequency, quality, LONGEST), resonator(frequency, quality, TAPS)
    found = extend(short)
    assert TAPS < len(found) <= LONGEST
    known = whole[TAPS : len(found)]
    assert np.linalg.norm(known) > 0.01 * np.linalg.norm(whole)
    assert np.linalg.norm(found[TAPS:] - known) < 0.02 * np.linalg.norm(known)
    np.testing.assert_array_equal(found[:TAPS], short)


def test_two_at_once():
    short, whole = (resonator(157.0, 60.0, n) + resonator(420.0, 150.0, n) for n in (TAPS, LONGEST))
    found = extend(short)
    known = whole[TAPS : len(found)]
    assert np.linalg.norm(found[TAPS:] - known) < 0.05 * np.linalg.norm(known)


def test_what_is_no_ringing_is_left_alone():
    rng = np.random.default_rng(0)
    for response in (np.zeros(TAPS), resonator(5000.0, 2.0, TAPS), rng.normal(size=TAPS), np.ones(100)):
        assert len(extend(response)) == len(response)


def test_all_are_as_long_as_the_longest():
    rows = extend_all(np.stack([resonator(5000.0, 2.0, TAPS), resonator(157.0, 30.0, TAPS)]))
    assert rows.shape[1] > TAPS
    assert np.all(rows[0, TAPS:] == 0.0)
    assert extend_all(np.zeros((0, TAPS))).shape == (0, 0)
