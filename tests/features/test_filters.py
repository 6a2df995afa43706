"""Filters measured with an impulse: their relative change against scipy's responses and differences of its filters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from blackbox_afx.features.filters import (
    BEFORE,
    HEARD,
    apply_change,
    apply_relative,
    correlate,
    grid,
    heard,
    impulse,
    in_bands,
    linear_part,
    relative_change,
)
from blackbox_afx.features.tiles import BANDS, band_starts

RATE, TAPS = 24000, 2304


def low_pass(corner: float) -> np.ndarray:
    return np.asarray(signal.butter(2, corner, fs=RATE, output="sos"))


def filtered(sections: np.ndarray, audio: np.ndarray) -> np.ndarray:
    return np.asarray(signal.sosfilt(sections, audio))


def response(corner: float) -> np.ndarray:
    """As a plugin would give it, in float32."""
    dry = impulse(TAPS)
    return np.asarray(filtered(low_pass(corner), dry) / dry.max(), np.float32)


@pytest.fixture(scope="module")
def change() -> np.ndarray:
    """How the response changes for a hertz of the corner."""
    return (response(1010.0) - response(990.0)) / 20.0


def test_a_relative_change_is_the_logarithmic_derivative(change):
    relative = relative_change(response(1000.0), change)
    bins = np.linspace(0, np.pi, grid(TAPS) // 2 + 1)
    ends = [signal.freqz_sos(low_pass(corner), bins)[1] for corner in (990.0, 1010.0)]
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.log(ends[1] / ends[0]) / 20.0
    # Towards Nyquist this response falls without end.
    kept = slice(0, int(10000 / RATE * grid(TAPS)))
    np.testing.assert_allclose(relative[kept], known[kept], atol=2e-3 * np.abs(known[kept]).max())


def test_it_foretells_the_change_of_what_comes_out(change):
    rng = np.random.default_rng(0)
    dry = rng.normal(size=(2, 9000)).astype(np.float32)
    before, wet, after = (filtered(low_pass(corner), dry) for corner in (999.0, 1000.0, 1001.0))
    known = (after - before) / 2.0
    scale = np.abs(known).max()
    np.testing.assert_allclose(apply_change(change, dry), known, atol=2e-3 * scale)
    relative = relative_change(response(1000.0), change)
    found = apply_relative(relative, wet.astype(np.float32))
    # Cutting the audio off is no filtering, and rings at the end.
    np.testing.assert_allclose(found[:, :-50], known[:, :-50], atol=5e-3 * scale)
    # The same through a second filter, whose own response is never asked for.
    later = np.asarray(signal.butter(1, 300, "high", fs=RATE, output="sos"))
    found = apply_relative(relative, filtered(later, wet).astype(np.float32))
    np.testing.assert_allclose(found[:, :-50], filtered(later, known)[:, :-50], atol=5e-3 * scale)


def test_products_by_frequency_are_products_over_samples(change):
    rng = np.random.default_rng(1)
    wet, cotangent = rng.normal(size=(2, 2, 5000)).astype(np.float32)
    relative = relative_change(response(1000.0), change)
    product = correlate(wet, cotangent, grid(TAPS)) * relative
    known = float((cotangent * apply_relative(relative, wet)).sum())
    assert product.sum().real == pytest.approx(known, rel=1e-3)
    assert in_bands(product, RATE).sum() == pytest.approx(product.sum())


def test_nothing_is_known_of_silence(change):
    assert np.all(relative_change(np.zeros(TAPS, np.float32), change) == 0.0)
    assert np.all(relative_change(response(1000.0), 0 * change) == 0.0)


def test_a_network_hears_band_means():
    flat = np.full(grid(TAPS) // 2 + 1, 0.5 - 0.25j)
    np.testing.assert_allclose(heard(flat, RATE)[:BANDS], np.arcsinh(0.5), rtol=1e-6)
    np.testing.assert_allclose(heard(flat, RATE)[BANDS:], np.arcsinh(-0.25), rtol=1e-6)
    assert heard(np.stack([flat] * 3), RATE).shape == (3, HEARD)
    assert np.all(np.diff(band_starts(grid(TAPS), RATE)) > 0)
    assert BEFORE < TAPS


def test_the_linear_part_is_the_sum_over_frequencies(change):
    rng = np.random.default_rng(4)
    audio, cotangent = rng.normal(size=(2, 2, 9000))
    here = np.stack([response(1000.0), response(1000.0), response(2500.0)])
    turned = np.stack([change, 3 * change, (response(2510.0) - response(2490.0)) / 20.0])
    size = grid(TAPS)
    known = np.real(correlate(audio, cotangent, size) * relative_change(here, turned)).sum(1)
    np.testing.assert_allclose(linear_part(here, turned, audio, cotangent), known, rtol=1e-6)
