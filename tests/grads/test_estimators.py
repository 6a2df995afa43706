"""Every estimator through the conformance suite, and the theory of each against its simulation."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime

import blackbox_afx.testing
from blackbox_afx.errors import UsageError
from blackbox_afx.grads import ESTIMATORS, SPSA, Differences, Orthogonal, make_estimator
from blackbox_afx.testing import check_estimator

CONFORMING = [
    (SPSA(), False),
    (SPSA(directions=6), False),
    (Orthogonal(directions=1), False),
    (Orthogonal(directions=4), False),
    (Orthogonal(directions=9), True),
    (Orthogonal(directions=14), True),
    (Orthogonal(directions=None), True),
    (Differences(), True),
    (Differences(one_sided=True), True),
]


@pytest.mark.parametrize(("estimator", "exact"), CONFORMING, ids=lambda value: repr(value))
def test_estimators_conform(estimator, exact):
    check_estimator(estimator, exact=exact, draws=1000)


def gradients(estimator, function, positions, steps, seed=0, **lost):
    """Ask, respond with a scalar function of each point, tell."""
    points, state = estimator.ask(positions, steps, None, np.random.default_rng(seed), None)
    responses = np.apply_along_axis(function, 2, points) if points.shape[1] else np.zeros(points.shape[:2])
    for index in lost.get("lost", ()):
        responses[:, index] = np.nan
    base = np.apply_along_axis(function, 1, positions)
    return estimator.tell(points, responses, base, None, state)


def curved(position):
    return np.sin(3.0 * position).sum() + position[0] * position[-1] ** 2


def squared_cosines(estimator, controls, draws=4000):
    """Squared cosines between estimates and the slopes of random linear functions; equal steps."""
    rng = np.random.default_rng(11)
    slopes = rng.normal(size=(draws, controls))
    positions = np.full((draws, controls), 0.5)
    points, state = estimator.ask(positions, np.full(controls, 0.01), None, rng, None)
    responses = np.einsum("bmp,bp->bm", points, slopes)
    estimates, _ = estimator.tell(points, responses, np.zeros(draws), None, state)
    inner = np.einsum("bp,bp->b", estimates, slopes)
    return inner**2 / ((estimates**2).sum(axis=1) * (slopes**2).sum(axis=1))


@pytest.mark.parametrize("directions", [1, 4, 16])
@pytest.mark.parametrize("controls", [8, 23])
def test_averaged_spsa_finds_the_share_that_theory_says(directions, controls):
    """K / (K + P - 1): exact for one direction, an approximation of a few per cent for more."""
    expected = directions / (directions + controls - 1)
    assert squared_cosines(SPSA(directions=directions), controls).mean() == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("directions", [1, 4, 16, 23])
def test_orthogonal_directions_find_their_share_of_the_dimensions(directions):
    """K / P, exactly, also where the Hadamard matrix (24) is larger than the controls (23) are many."""
    found = squared_cosines(Orthogonal(directions=directions), 23, draws=2000)
    error = found.std() / np.sqrt(len(found))
    assert found.mean() == pytest.approx(directions / 23, abs=4.0 * error + 1e-9)


@pytest.mark.parametrize("estimator", [Differences(), Orthogonal(directions=None), Orthogonal(directions=4)])
def test_deterministic_rules_agree_with_scipy_on_a_curved_function(estimator):
    position = np.array([0.2, 0.4, 0.6, 0.7])
    gradient, _ = gradients(estimator, curved, position[None], np.full(4, 1e-3))
    np.testing.assert_allclose(gradient[0], approx_fprime(position, curved, 1e-7), atol=5e-5)


@pytest.mark.parametrize(
    ("estimator", "order"),
    [(Differences(), 2), (Differences(one_sided=True), 1), (Orthogonal(directions=None), 2)],
)
def test_errors_shrink_at_the_stated_order(estimator, order):
    position = np.array([[0.2, 0.4, 0.6, 0.7]])
    truth = approx_fprime(position[0], curved, 1e-8)
    wide, narrow = (
        np.abs(gradients(estimator, curved, position, np.full(4, step))[0][0] - truth).max() for step in (0.08, 0.04)
    )
    assert np.log2(wide / narrow) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(
    ("estimator", "calls"),
    [
        (SPSA(), 2),
        (SPSA(directions=8), 16),
        (Orthogonal(directions=8), 16),
        (Orthogonal(directions=None), 48),
        (Differences(), 44),
        (Differences(one_sided=True), 22),
    ],
)
def test_calls_are_as_documented(estimator, calls):
    steps = np.full(23, 0.01)
    steps[5] = np.nan  # 22 controls are differentiated
    points, _ = estimator.ask(np.full((2, 23), 0.5), steps, None, np.random.default_rng(0), None)
    assert points.shape == (2, calls, 23)


@pytest.mark.parametrize("estimator", [SPSA(directions=8), Orthogonal(directions=9), Differences()])
def test_remaining_pairs_are_used(estimator):
    """A lost render takes its pair along, whatever its partner said; the others still make an estimate."""
    slopes = np.array([1.0, -2.0, 0.5])
    positions, steps = np.full((400, 3), 0.5), np.full(3, 0.01)
    gradient, state = gradients(estimator, lambda point: point @ slopes, positions, steps, lost=[2])
    assert state.valid.all()
    expected = slopes.copy()
    if isinstance(estimator, Differences):
        expected[1] = 0.0  # the only pair that moved this control
    np.testing.assert_allclose(gradient.mean(axis=0), expected, atol=0.15 if isinstance(estimator, SPSA) else 1e-9)


def test_gradients_at_the_walls_are_whole():
    """Clipping the pair but dividing by the whole step would halve them."""
    for estimator in (SPSA(), Orthogonal(directions=1), Differences()):
        gradient, _ = gradients(estimator, lambda point: 3.0 * point[0], np.array([[0.0], [1.0]]), np.array([0.01]))
        np.testing.assert_allclose(gradient, 3.0)


def test_coarse_controls_do_not_leak_into_fine_ones_once_directions_suffice():
    slopes = np.array([1.0, 100.0, -1.0])
    steps = np.array([5e-4, 0.1, 5e-4])
    gradient, _ = gradients(Orthogonal(directions=4), lambda p: p @ slopes, np.full((5, 3), 0.4), steps)
    np.testing.assert_allclose(gradient, np.tile(slopes, (5, 1)), rtol=1e-6)


def test_making_by_name():
    assert make_estimator("spsa") == SPSA(directions=1)
    assert make_estimator("orthogonal", directions=16) == Orthogonal(directions=16)
    assert make_estimator("differences", one_sided=True) == Differences(one_sided=True)
    for name in ESTIMATORS:
        assert isinstance(make_estimator(name), ESTIMATORS[name])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("spas", {}, "no estimator 'spas': did you mean 'spsa'.*spsa, orthogonal, differences"),
        ("spsa", {"direction": 3}, "no option 'direction', expected one of: directions"),
        ("spsa", {"directions": 0}, "directions is 0"),
        ("orthogonal", {"directions": -2}, "directions is -2"),
        ("spsa", {"directions": "many"}, "Expected `int`"),
    ],
)
def test_wrong_names_and_options_say_what_there_is(name, options, message):
    with pytest.raises(UsageError, match=message):
        make_estimator(name, **options)


class Halving(SPSA, frozen=True):
    """The published slip at the walls: clip the pair, divide by the whole of it."""

    def ask(self, positions, steps, guide, rng, state):
        points, state = super().ask(positions, steps, guide, rng, state)
        signs = np.sign(points[:, 0::2] - points[:, 1::2])
        offsets = np.stack([signs, -signs], axis=2).reshape(points.shape) * np.nan_to_num(steps)
        return np.clip(positions[:, None] + offsets, 0.0, 1.0), (state, offsets)

    def tell(self, points, responses, base, guide, state):
        gradient, state = super().tell(state[1], responses, base, guide, state[0])
        return gradient, state


class Trusting(SPSA, frozen=True):
    """Lets a failed render through."""

    def tell(self, points, responses, base, guide, state):
        gradient, state = super().tell(points, responses, base, guide, state)
        return gradient + 0.0 * responses.sum(axis=1, keepdims=True), state


class Projecting(Orthogonal, frozen=True):
    """The projection without the factor that makes it unbiased."""

    def tell(self, points, responses, base, guide, state):
        gradient, state = super().tell(points, responses, base, guide, state)
        return gradient * 0.5, state


class Escaping(SPSA, frozen=True):
    """Leaves the box."""

    def ask(self, positions, steps, guide, rng, state):
        points, state = super().ask(positions, steps, guide, rng, state)
        return points + 1e-3, state


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Halving(), r"the mean of .* \(walls\)"),
        (Trusting(), "not finite"),
        (Projecting(), r"the mean of .* \(inside\)"),
        (Escaping(), "outside the box"),
    ],
)
def test_the_suite_refuses_what_does_not_conform(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_estimator(broken)


def test_suites_that_are_not_there_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'check_nothing'"):
        _ = blackbox_afx.testing.check_nothing
    assert "check_estimator" in dir(blackbox_afx.testing)


def test_estimators_come_without_torch():
    root = str(Path(blackbox_afx.__file__).resolve().parents[1])
    code = f"import sys; sys.path.insert(0, {root!r})\n"
    code += "import blackbox_afx.grads, blackbox_afx.testing.estimators; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
