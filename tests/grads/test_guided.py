"""The guided estimator: its algebra against the normal equations, its plan, and what a guide is worth."""

import numpy as np
import pytest

from blackbox_afx.errors import UsageError
from blackbox_afx.grads import Guided, make_estimator
from blackbox_afx.grads.posterior import best_direction, error_of, plan, suffix_costs, table, update
from blackbox_afx.testing import check_estimator


@pytest.mark.parametrize(
    ("estimator", "exact", "guided"),
    [
        (Guided(calls=0.0), False, True),
        (Guided(calls=3.0), False, True),
        (Guided(calls=4.0, noise=0.0), True, True),
        (Guided(calls=8.0, noise=0.0, one_sided=False), True, True),
        (Guided(calls=3.0), False, False),
    ],
    ids=repr,
)
def test_guided_conforms(estimator, exact, guided):
    check_estimator(estimator, exact=exact, unbiased=False, guided=guided, draws=12, controls=(1, 4))


def random_case(controls=7, probes=3, seed=2):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(controls, controls))
    return rng, root @ root.T, rng.normal(size=(probes, controls))


def test_the_update_is_generalised_least_squares():
    """Against the information form, which inverts where the covariance form does not."""
    rng, covariance, applied = random_case()
    mean, truth, noise = rng.normal(size=7), rng.normal(size=7), np.array([0.1, 0.2, 0.3])
    found, after = update(mean, covariance, applied, applied @ truth, noise)
    information = np.linalg.inv(covariance) + applied.T @ np.diag(1 / noise) @ applied
    expected = mean + np.linalg.solve(information, applied.T @ ((applied @ (truth - mean)) / noise))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(after, np.linalg.inv(information), rtol=1e-5, atol=1e-8)


def test_the_best_direction_beats_all_others():
    rng, covariance, _ = random_case()
    for allowed in (np.ones(7, bool), np.arange(7) > 3):
        direction, taken = best_direction(covariance, allowed)
        assert np.all(direction[~allowed] == 0.0)

        def removed(a):
            return np.sum((covariance @ a) ** 2) / (a @ covariance @ a)

        assert removed(direction) == pytest.approx(taken)
        others = rng.normal(size=(300, 7)) * allowed
        assert max(removed(a) for a in others) <= taken * (1 + 1e-9)


def test_cheap_probes_come_first_where_all_directions_are_alike():
    costs = np.array([1.0, 1.0, 0.25, 0.25])
    # The first late probe has the plugins before it rendered as well: 0.25 + 0.75.
    assert plan(np.eye(4), costs, 1.25) == [0.25, 0.25]
    assert plan(np.eye(4), costs, 2.25) == [0.25, 0.25, 1.0]
    assert plan(np.eye(4), costs, 0.9) == []
    # No call is spent on what is known already.
    assert plan(np.eye(4), costs, 100.0) == [0.25, 0.25, 1.0, 1.0]


def test_suffix_costs_add_up_to_the_end_of_the_chain():
    np.testing.assert_allclose(suffix_costs(np.array([0.5, 0.3, 0.2]), [1, 2, 1]), [1.0, 0.5, 0.5, 0.2])


def test_a_probe_moves_only_the_plugins_it_pays_for():
    estimator = Guided(calls=1.25, costs=(1.0, 1.0, 0.25, 0.25), covariance=table(np.eye(4)))
    positions = np.full((2, 4), 0.5)
    points, _ = estimator.ask(positions, np.full(4, 0.01), np.ones((2, 4)), np.random.default_rng(0), None)
    assert points.shape == (2, 2, 4)
    assert np.all(points[:, :, :2] == 0.5)
    assert np.all(np.abs(points - 0.5) <= 0.01 + 1e-12)


def cosine(a, b):
    return float(np.mean((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


def estimate(estimator, truth, guide, state=None, seed=0):
    positions = np.full(truth.shape, 0.5)
    points, state = estimator.ask(positions, np.full(truth.shape[1], 0.01), guide, np.random.default_rng(seed), state)
    responses = np.einsum("bmp,bp->bm", points, truth)
    return estimator.tell(points, responses, np.einsum("bp,bp->b", positions, truth), guide, state)


def test_a_learned_error_sends_probes_to_where_the_guide_is_wrong():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(160, 8))
    wrong = np.where(np.arange(8) < 3, 1.0, 0.05)
    guide = truth + wrong * rng.normal(size=truth.shape)
    slope, covariance = error_of(guide[:80], truth[:80])
    learned = Guided(calls=3.0, slope=tuple(slope), covariance=table(covariance))
    plain = cosine(guide[80:], truth[80:])
    unlearned = cosine(estimate(Guided(calls=3.0), truth[80:], guide[80:])[0], truth[80:])
    found = cosine(estimate(learned, truth[80:], guide[80:])[0], truth[80:])
    assert plain < unlearned < found
    assert found > 0.995


def test_past_directions_add_up():
    truth = np.random.default_rng(5).normal(size=(8, 12))
    state, found = None, []
    for step in range(6):
        gradient, state = estimate(Guided(calls=3.0, noise=0.0), truth, None, state, step)
        found.append(cosine(gradient, truth))
    assert found[-1] > found[0] + 0.2


def test_an_output_gain_is_known_without_a_probe():
    """y = x 10^(g/20): dL/dg is <dL/dy, y> ln 10 / 20 times the travel in dB."""
    rng = np.random.default_rng(6)
    sound, cotangent = rng.normal(size=80), rng.normal(size=80)
    base = cotangent @ sound
    estimator = Guided(calls=0.0, covariance=table(np.eye(3)), gain=1, gain_slope=np.log(10) / 20 * 24.0)
    positions = np.full((1, 3), 0.5)
    points, state = estimator.ask(positions, np.full(3, 0.01), np.ones((1, 3)), rng, None)
    gradient, _ = estimator.tell(points, np.zeros((1, 0)), np.array([base]), None, state)
    step = 1e-4
    ends = [cotangent @ (sound * 10 ** (sign * step * 24.0 / 20)) for sign in (1, -1)]
    assert gradient[0, 1] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)
    np.testing.assert_allclose(gradient[0, [0, 2]], 1.0)


def test_wrong_sizes_are_named():
    with pytest.raises(UsageError, match=r"calls is -1, expected 0 or more"):
        make_estimator("guided", calls=-1.0)
    for options in ({"costs": (1.0,)}, {"slope": (1.0,)}, {"covariance": ((1.0,),)}):
        with pytest.raises(UsageError, match="one"):
            estimate(Guided(**options), np.ones((1, 2)), np.ones((1, 2)))


def test_a_change_far_from_what_is_expected_is_cut_and_an_exact_one_is_not():
    rng, covariance, applied = random_case(probes=1)
    mean, noise = rng.normal(size=7), np.array([0.2])
    spread = np.sqrt((applied @ covariance @ applied.T)[0, 0] + 0.2)
    near, far = applied @ mean + 1.9 * spread, applied @ mean + 50.0 * spread
    np.testing.assert_array_equal(
        update(mean, covariance, applied, near, noise, 2.0)[0], update(mean, covariance, applied, near, noise)[0]
    )
    np.testing.assert_allclose(
        update(mean, covariance, applied, far, noise, 2.0)[0],
        update(mean, covariance, applied, applied @ mean + 2.0 * spread, noise)[0],
    )
    np.testing.assert_array_equal(
        update(mean, covariance, applied, far, 0 * noise, 2.0)[0], update(mean, covariance, applied, far, 0 * noise)[0]
    )


def test_one_broken_response_does_not_turn_a_good_guide_round():
    """A probe that says a thousand times what the guide does, as where a loss breaks within the step."""
    rng = np.random.default_rng(1)
    guide, positions = rng.normal(size=(1, 6)), np.full((1, 6), 0.5)
    cosines = []
    for clip in (0.0, 2.0):
        estimator = Guided(calls=1.0, clip=clip)
        points, state = estimator.ask(positions, np.full(6, 1e-2), guide, np.random.default_rng(0), None)
        response = -1000 * np.einsum("bkp,bp->bk", points - positions[:, None], guide)
        found, _ = estimator.tell(points, response, np.zeros(1), guide, state)
        cosines.append(float((found * guide).sum() / np.linalg.norm(found) / np.linalg.norm(guide)))
    assert cosines[0] < 0 < 0.9 < cosines[1]


def test_what_an_exact_change_explains_is_no_surprise():
    """Two controls that err together: the exact one moves the expectation of the other before that is judged."""
    covariance, mean = np.array([[1.0, 0.8], [0.8, 1.0]]), np.zeros(2)
    change, noise = np.array([6.0, 4.8]), np.array([0.0, 1e-6])
    for clip in (0.0, 2.0):
        found, _ = update(mean, covariance, np.eye(2), change, noise, clip)
        np.testing.assert_allclose(found, change, atol=1e-3)
    # In another order as well, and where the probe lies far from what is left to expect it is still cut.
    np.testing.assert_allclose(
        update(mean, covariance, np.eye(2)[::-1], change[::-1], noise[::-1], 2.0)[0], change, atol=1e-3
    )
    cut, _ = update(mean, covariance, np.eye(2), np.array([6.0, 40.0]), noise, 2.0)
    np.testing.assert_allclose(cut, [6.0, 4.8 + 2 * 0.6], atol=1e-3)


@pytest.mark.parametrize("length", [1.0, 0.2])
def test_deviations_are_those_that_occur_however_long_the_guide(length):
    """A guide that is right but for its length and some noise: few probes lie beyond two deviations."""
    rng = np.random.default_rng(3)
    guide = rng.normal(size=(4000, 8))
    truth = length * (
        guide + 0.3 * np.linalg.norm(guide, axis=1, keepdims=True) / 8**0.5 * rng.normal(size=guide.shape)
    )
    slope, covariance = error_of(guide[:2000], truth[:2000])
    np.testing.assert_allclose(slope, length, rtol=0.15)
    way = rng.normal(size=(2000, 8))
    unit = np.linalg.norm(slope * guide[2000:], axis=1)
    surprise = (way * (truth[2000:] - slope * guide[2000:])).sum(1) / unit
    beyond = np.abs(surprise) > 2 * np.sqrt(np.einsum("np,pq,nq->n", way, covariance, way))
    assert beyond.mean() < 0.1
