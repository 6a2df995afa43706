"""The Gaussian process against the textbook's formula, and its gradients against differences."""

from __future__ import annotations

import numpy as np
from scipy import optimize

from blackbox_afx.transfer.surrogate import (
    CONSTANT,
    CURVED,
    JITTER,
    LENGTH,
    LINEAR,
    NOISE,
    OUTPUTS,
    KnownGain,
    Surrogate,
)

RNG = np.random.default_rng(0)
POINTS = RNG.random((14, 3))
STYLES = np.stack([np.sin(3 * POINTS[:, 0]) * 5, POINTS[:, 1] * POINTS[:, 0] * 8, POINTS[:, 0] - 2], axis=1)


def fitted(steps: int) -> Surrogate:
    surrogate = Surrogate(3)
    surrogate.fit(POINTS, STYLES, steps=steps)
    return surrogate


def test_prediction_is_the_textbooks():
    """Equations 2.25 and 2.26, written out."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        gap = np.linalg.norm(a[:, None] - b[None], axis=-1) / LENGTH
        return CONSTANT + LINEAR * (a - 0.5) @ (b - 0.5).T + CURVED * np.exp(-(gap**2) / 2)

    new = RNG.random((1, 3))
    centred = STYLES - STYLES.mean(0)
    inverse = np.linalg.inv(kernel(POINTS, POINTS) + (NOISE + JITTER) * np.eye(len(POINTS)))
    across = kernel(new, POINTS)
    guess = fitted(0).predict(new[0])
    np.testing.assert_allclose(guess.mean, STYLES.mean(0) + (across @ inverse @ centred)[0], rtol=1e-8)
    variance = (kernel(new, new) - across @ inverse @ across.T).item() * np.mean(centred**2)
    np.testing.assert_allclose(guess.variance, variance, rtol=1e-7)


def test_gradients_are_right():
    surrogate, row = fitted(5), np.array([0.3, -1.0, 2.0])
    point = np.array([0.2, 0.7, 0.4])
    guess = surrogate.predict(point)
    rise = optimize.approx_fprime(point, lambda x: float(surrogate.predict(x).mean @ row), 1e-6)
    np.testing.assert_allclose(guess.pull_back(row), rise, rtol=1e-4, atol=1e-4)
    rise = optimize.approx_fprime(point, lambda x: surrogate.predict(x).variance, 1e-6)
    np.testing.assert_allclose(guess.slope, rise, rtol=1e-3, atol=1e-4)
    centred = STYLES - STYLES.mean(0)
    squares = (POINTS[:, None] - POINTS[None]) ** 2
    gram = centred @ centred.T * (OUTPUTS / np.mean(centred**2) / 3)
    theta = surrogate._prior + 0.1 * RNG.standard_normal(8)
    rise = optimize.approx_fprime(theta, lambda x: surrogate._misfit(x, squares, gram)[0], 1e-6)
    np.testing.assert_allclose(surrogate._misfit(theta, squares, gram)[1], rise, rtol=1e-3, atol=1e-3)


def test_it_learns_which_control_does_nothing():
    surrogate = fitted(60)
    here = np.full(3, 0.8)
    moved = [
        np.abs(surrogate.predict(here - 0.5 * np.eye(3)[k]).mean - surrogate.predict(here).mean).max() for k in range(3)
    ]
    assert moved[2] < 0.1 * min(moved[:2])
    for point, style in zip(POINTS, STYLES, strict=True):
        np.testing.assert_allclose(surrogate.predict(point).mean, style, atol=0.5)


def test_a_known_gain_is_exact_where_nothing_was_seen():
    """All renders at one gain say what the style is at any other."""
    travel = np.array([12.0, 0.0, -3.0])
    seen = POINTS.copy()
    seen[:, 1] = 0.25
    surrogate = Surrogate(3, KnownGain(1, travel))
    surrogate.fit(seen, STYLES, steps=5)
    at, away = np.array([0.4, 0.25, 0.6]), np.array([0.4, 0.95, 0.6])
    np.testing.assert_allclose(surrogate.predict(away).mean - surrogate.predict(at).mean, 0.7 * travel, rtol=1e-9)
    assert surrogate.predict(away).variance == surrogate.predict(at).variance
    row = np.array([0.3, -1.0, 2.0])
    rise = optimize.approx_fprime(at, lambda x: float(surrogate.predict(x).mean @ row), 1e-6)
    np.testing.assert_allclose(surrogate.predict(at).pull_back(row), rise, rtol=1e-4, atol=1e-4)
    rise = optimize.approx_fprime(at, lambda x: surrogate.predict(x).variance, 1e-6)
    np.testing.assert_allclose(surrogate.predict(at).slope, rise, rtol=1e-3, atol=1e-4)
