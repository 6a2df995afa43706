"""The guided search on real effects: impulses lead it, are paid for, and may fail or lead away without harm."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from blackbox_afx.errors import PluginError
from blackbox_afx.features.statistics import statistics
from blackbox_afx.features.style import style_of
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import AudioRef, CallJob
from blackbox_afx.transfer.objective import Objective
from blackbox_afx.transfer.refine import Refinement, Trial, drive, make_trial
from blackbox_afx.transfer.surrogate import Surrogate
from tests.transfer.test_static import sound

RATE = 24000
SPEC = ChainSpec(
    profiles=tuple(builtin_profile(name) for name in ("LowShelfFilter", "PeakFilter", "Compressor", "Gain"))
)


def fail(worker, point):
    raise PluginError("an impulse: NaN at sample 0")


@pytest.fixture(scope="module")
def take(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("guided") / "take.npy"
    np.save(place, np.float32(0.1) * sound(RATE, seconds=3.0))
    return place


def trial(take: Path, method: str, renders: int, seed: int = 0, pull: float = 0.0) -> Trial:
    """Prepare a search for a setting drawn by chance."""
    truth = SPEC.space.snap(np.random.default_rng(7).uniform(0.2, 0.8, len(SPEC.space)))
    target = style_of(statistics(SPEC.open().render(np.load(take), truth, RATE)[0], RATE))
    objective = Objective(SPEC.space, target, SPEC.space.defaults, pull)
    options = Refinement(renders=renders, method=method)
    return make_trial(objective, options, SPEC, AudioRef(path=str(take)), RATE, seed=seed)


def run(search: Trial) -> Trial:
    with Farm(1) as farm:
        drive([search], farm)
    return search


def test_impulses_save_renders(take):
    """Nearer in ten renders, impulses among them, than prediction alone is in sixteen."""
    guided, alone = run(trial(take, "guided", 10)), run(trial(take, "surrogate", 16))
    assert guided.spent <= 10
    assert guided.impulses > 0
    assert guided.distances[guided.best()] < alone.distances[alone.best()]
    assert guided.distances[guided.best()] < 0.4 * guided.distances[0]


def test_impulses_are_counted(take):
    search = run(trial(take, "guided", 14))
    assert search.impulses / search.table_calls == pytest.approx(round(search.impulses / search.table_calls))
    curve = search.curve()
    assert len(curve) == search.counted <= 14
    assert curve[0] == search.distances[0]
    assert curve[-1] == search.distances[search.best()]
    assert all(np.diff(curve) <= 0)


def test_without_tables_it_searches_as_the_other_does(take):
    search = trial(take, "guided", 30)
    search.tables = lambda point: CallJob(function=fail, args=(point,))
    run(search)
    assert search.distances[search.best()] < 0.5 * search.distances[0]
    assert search.failed == 0


@pytest.mark.parametrize(("cost", "bought"), [(3.2, True), (3.3, False)])
def test_tables_cost_a_quarter_of_what_is_left_at_the_most(take, cost, bought):
    """After the start, 13 renders are left of 14."""
    search = trial(take, "guided", 14)
    search.table_calls = cost
    run(search)
    assert (search.impulses > 0) == bought
    assert search.spent <= 14
    assert bought or len(search.points) == 14


def test_the_same_seed_finds_the_same(take):
    one, two = (run(trial(take, "guided", 16, seed=3)) for _ in range(2))
    np.testing.assert_array_equal(one.points, two.points)


def test_a_start_that_fails_is_left_behind_and_tables_follow(take):
    search = trial(take, "guided", 40)
    first, job = search.objective.start, search.job
    search.job = lambda point: CallJob(function=fail, args=(point,)) if np.array_equal(point, first) else job(point)
    run(search)
    assert search.distances[0] == np.inf
    assert search.impulses > 0
    assert search.distances[search.best()] < 0.3


def test_only_stepped_controls_will_do(take):
    """A ladder filter held but for its mode: nothing to follow downhill, and each mode is tried."""
    ladder = builtin_profile("LadderFilter")
    controls = [msgspec.structs.replace(c, use=c.steps > 0) for c in ladder.controls]
    spec = ChainSpec(profiles=(msgspec.structs.replace(ladder, controls=tuple(controls)),))
    assert len(spec.space)
    assert not spec.space.continuous.any()
    truth = spec.space.snap(np.ones(len(spec.space)))
    target = style_of(statistics(spec.open().render(np.load(take), truth, RATE)[0], RATE))
    objective = Objective(spec.space, target, np.zeros(len(spec.space)), 0.0)
    made = make_trial(objective, Refinement(renders=30), spec, AudioRef(path=str(take)), RATE, seed=0)
    run(made)
    assert made.distances[made.best()] < 1e-6


class Tables:
    """Tables of a plugin that adds up its controls' effects, or of another one."""

    anchor = np.full(3, 0.5)

    def __init__(self, mixing: np.ndarray) -> None:
        self.mixing = mixing

    def styles(self, points: np.ndarray) -> np.ndarray:
        return points @ self.mixing

    def pull_back(self, point: np.ndarray, row: np.ndarray) -> np.ndarray:
        return self.mixing @ row


def test_what_leads_away_is_dropped():
    rng = np.random.default_rng(0)
    mixing, points = rng.normal(0, 3, (3, 20)), np.vstack([np.full(3, 0.5), rng.random((6, 3))])
    plain, right, wrong = Surrogate(3), Surrogate(3), Surrogate(3)
    right.foretold, wrong.foretold = Tables(mixing), Tables(-mixing)
    for surrogate in (plain, right, wrong):
        surrogate.fit(points, points @ mixing, steps=0)
    where = np.array([0.9, 0.1, 0.4])
    np.testing.assert_allclose(right.predict(where).mean, where @ mixing, atol=1e-6)
    np.testing.assert_allclose(wrong.predict(where).mean, plain.predict(where).mean)
    assert np.abs(plain.predict(where).mean - where @ mixing).max() > 1e-3
