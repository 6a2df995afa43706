"""Tiles: a tight frame, and a basis in which known derivatives come out as known gains."""

import numpy as np
import pytest
from scipy import signal

from blackbox_afx.features.tiles import BANDS, BASIS, FEATURES, contract, gram, project, tiles

RATE = 24000


@pytest.fixture(scope="module")
def sound() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise with pauses, the same through a low-pass filter, and a loss gradient."""
    rng = np.random.default_rng(0)
    dry = rng.normal(size=(1, 20000)) * 0.1 * (1.5 + np.sin(np.arange(20000) / 900))
    wet = signal.sosfilt(signal.butter(1, 2000, fs=RATE, output="sos"), dry)
    return dry.astype(np.float32), wet.astype(np.float32), rng.normal(size=(1, 20000))


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 96000])
def test_products_over_tiles_are_products_over_samples(sound, rate):
    dry, wet, cotangent = sound
    found = tiles(dry, wet, rate)
    assert found.features.shape == (FEATURES,)
    assert np.isfinite(found.features).all()
    product = contract(found, cotangent, rate)
    assert product.shape == (BANDS, BASIS)
    assert product[:, 0].sum().real == pytest.approx(float((cotangent * wet).sum()), rel=1e-4)


def nearest(found, change):
    """Solve for the gains that come nearest to a change."""
    product, energy = project(found, change, RATE)
    matrix = gram(found) + 1e-9 * np.eye(BASIS)
    gains = np.linalg.solve(matrix.astype(complex), product[..., None])[..., 0]
    return gains, 1.0 - float((gains.conj() * product).sum().real) / energy


def test_a_gain_is_the_same_gain_in_every_band(sound):
    """dy/dg of y 10^(g/20) is y ln 10 / 20."""
    dry, wet, cotangent = sound
    found = tiles(dry, wet, RATE)
    slope = np.log(10) / 20
    gains, left = nearest(found, wet * np.float32(slope))
    assert abs(left) < 1e-5
    derivative = float(np.real(contract(found, cotangent, RATE) * gains).sum())
    assert derivative == pytest.approx(slope * float((cotangent * wet).sum()), rel=1e-3)


def test_a_filter_and_a_mix_are_in_the_span(sound):
    """A corner that moves is a complex gain by band; a mix of input and output is their difference."""
    dry, wet, cotangent = sound
    found = tiles(dry, wet, RATE)
    moved = signal.sosfilt(signal.butter(1, 2010, fs=RATE, output="sos"), dry)
    for change in ((moved - wet) / 10.0, dry - wet):
        gains, left = nearest(found, change)
        assert left < 0.02
        derivative = float(np.real(contract(found, cotangent, RATE) * gains).sum())
        # White noise as a loss gradient is the hardest there is: it hears every phase.
        scale = float(np.linalg.norm(cotangent) * np.linalg.norm(change))
        assert abs(derivative - float((cotangent * change).sum())) < 0.02 * scale


def test_silence_is_finite():
    nothing = np.zeros((2, 5000), np.float32)
    found = tiles(nothing, nothing, RATE)
    assert np.isfinite(found.features).all()
    assert np.isfinite(gram(found)).all()
    assert np.all(contract(found, nothing, RATE) == 0.0)
