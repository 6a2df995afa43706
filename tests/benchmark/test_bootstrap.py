"""The ratio to the input and its interval, against sums by hand, scipy and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.benchmark.bootstrap import bootstrap_ratio
from blackbox_afx.errors import UsageError


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_speakers_count_alike_however_much_they_say():
    result = bootstrap_ratio([1, 1, 1, 4], [2, 2, 2, 4], ["a", "a", "a", "b"], rng())
    assert result.method == 2.5
    assert result.input == 3.0
    assert result.ratio == pytest.approx(2.5 / 3.0)
    assert (result.pairs, result.failed, result.groups) == (4, 0, 2)


def test_interval_is_scipys_percentile_bootstrap():
    random = np.random.default_rng(1)
    base = random.uniform(1, 3, 30)
    method = base * random.uniform(0.3, 0.9, 30)
    ours = bootstrap_ratio(method, base, list(range(30)), rng(), n_boot=20000).interval
    theirs = scipy.stats.bootstrap(
        (method, base),
        lambda m, b, axis=-1: m.mean(axis) / b.mean(axis),
        paired=True,
        method="percentile",
        n_resamples=20000,
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        speakers = np.repeat(np.arange(25), 4)
        base = np.repeat(random.uniform(1, 3, 25), 4) * random.uniform(0.8, 1.2, 100)
        method = base * np.repeat(random.uniform(0.3, 0.7, 25), 4)
        low, high = bootstrap_ratio(method, base, speakers.tolist(), random, n_boot=300).interval
        hits += low <= 0.5 <= high
    # 95 % nominal; percentile intervals of 25 groups run a little short.
    assert 0.88 <= hits / 200 <= 0.99


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 10), st.integers(0, 4)), min_size=1, max_size=30))
def test_ratio_of_a_method_with_itself_is_one(rows):
    errors, _, groups = zip(*rows, strict=True)
    result = bootstrap_ratio(errors, errors, groups, rng(), n_boot=50)
    assert result.ratio == 1.0
    if result.groups > 1:
        assert result.interval == (1.0, 1.0)
    else:
        assert result.interval is None


def test_failures_are_left_out_on_both_sides_and_counted():
    result = bootstrap_ratio([1.0, np.nan, 3.0], [2.0, 1.0, np.inf], ["a", "a", "b"], rng())
    assert (result.ratio, result.pairs, result.failed, result.groups) == (0.5, 1, 2, 1)
    nothing = bootstrap_ratio([np.nan], [1.0], ["a"], rng())
    assert (nothing.ratio, nothing.interval, nothing.pairs) == (None, None, 0)


def test_same_seed_same_interval():
    errors, base, groups = [1, 2, 3], [2, 3, 9], ["a", "b", "c"]
    assert bootstrap_ratio(errors, base, groups, rng()) == bootstrap_ratio(errors, base, groups, rng())


def test_unequal_lengths_are_refused():
    with pytest.raises(UsageError, match="2 errors of the method, 1 of the input"):
        bootstrap_ratio([1, 2], [1], ["a"], rng())
