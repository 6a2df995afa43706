"""Searching a made-up plugin whose best setting is known: found, in few renders, whatever fails on the way."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.control import Control, ControlSpace
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.transfer.objective import Objective
from blackbox_afx.transfer.refine import Trial, drive
from blackbox_afx.transfer.search import METHODS, make_search
from tests.transfer import search_jobs


def space(controls: int, toggles: int = 0, choices: int = 0) -> ControlSpace:
    steps = [0] * controls + [1] * toggles + [choices - 1] * bool(choices)
    return ControlSpace(
        [
            Control(name=f"c{k}", index=k, minimum=0, maximum=1, default=0, steps=n, plugin_minimum=0, plugin_maximum=1)
            for k, n in enumerate(steps)
        ]
    )


def search(box: ControlSpace, truth, start, function=search_jobs.sound, *, method="surrogate", renders=40, **options):
    """Search with a made-up plugin for the setting `truth`."""
    pull = options.pop("pull", 0.0)
    objective = Objective(
        box, search_jobs.made_up(np.asarray(truth, float)), np.asarray(start, float), pull, styles=np.asarray
    )
    job = lambda point: CallJob(function=function, args=(point,))  # noqa: E731
    trial = Trial(make_search(method, objective, **options), objective, job, renders)
    with Farm(options.pop("jobs", 1)) as farm:
        drive([trial], farm)
    return trial


@pytest.mark.parametrize("seed", [0, 1])
def test_finds_the_setting_that_made_the_target(seed):
    truth = np.random.default_rng(seed).uniform(0.1, 0.9, 6)
    trial = search(space(6), truth, np.full(6, 0.5), seed=seed)
    assert trial.distances[trial.best()] < 0.02 * trial.distances[0]
    np.testing.assert_allclose(trial.points[trial.best()], truth, atol=0.05)


def test_finds_toggles_and_choices():
    truth = np.array([0.3, 0.8, 1.0, 0.0, 1.0, 2 / 3])
    trial = search(space(2, toggles=3, choices=4), truth, np.zeros(6), renders=60)
    best = trial.points[trial.best()]
    np.testing.assert_allclose(best[2:], truth[2:], atol=1e-6)
    np.testing.assert_allclose(best[:2], truth[:2], atol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_never_worse_than_the_start(method):
    box, truth = space(3), np.array([0.2, 0.5, 0.6])
    for start in (truth, np.array([0.9, 0.1, 0.1])):
        trial = search(box, truth, start, method=method, renders=33, pull=0.5)
        assert trial.distances[trial.best()] <= trial.distances[0]
        np.testing.assert_array_equal(trial.points[0], box.snap(start))
        curve = trial.curve()
        assert len(curve) == len(trial.points) <= 33
        assert trial.values[trial.best()] == min(trial.values)


@pytest.mark.parametrize("method", METHODS)
def test_settings_that_fail_are_left_out(method):
    truth = np.array([0.6, 0.5, 0.2])
    trial = search(space(3), truth, [0.65, 0.3, 0.3], search_jobs.fails, method=method, renders=65)
    assert trial.failed == sum(point[0] > search_jobs.BAD for point in trial.points)
    assert trial.failed > 0
    assert "the made-up plugin gave NaN" in trial.failure
    assert trial.points[trial.best()][0] <= search_jobs.BAD
    assert trial.distances[trial.best()] < 0.5 * trial.distances[0]


def test_a_start_that_fails_is_left_behind():
    trial = search(space(3), [0.4, 0.5, 0.2], [0.9, 0.5, 0.2], search_jobs.fails, renders=30)
    assert trial.distances[0] == np.inf
    assert trial.distances[trial.best()] < 0.1


def test_a_crash_costs_one_setting():
    """Each setting is a job of its own, in a process of its own: the others come back."""
    box, truth = space(2), np.array([0.6, 0.5])
    objective = Objective(box, search_jobs.made_up(truth), np.array([0.3, 0.3]), 0.0, styles=np.asarray)

    def job(point: np.ndarray) -> CallJob:
        return CallJob(function=search_jobs.crashes, args=(point,))

    trial = Trial(make_search("surrogate", objective, seed=2), objective, job, 13)
    # One setting of the first spread lies where the plugin crashes.
    trial.search.reach = 0.45
    with Farm(2) as farm:
        drive([trial], farm)
    crashed = [point[0] > search_jobs.BAD for point in trial.points]
    assert 1 <= sum(crashed) < 6
    np.testing.assert_array_equal(np.isinf(trial.distances), crashed)


def test_the_pull_holds_what_nobody_hears():
    """With two controls that do the same, the one that costs less moves."""
    box = space(2)
    truth = np.array([0.6, 0.5])
    start = np.array([0.5, 0.5])
    free = search(box, truth, start, pull=0.0)
    held = search(box, truth, start, pull=np.array([1e3, 0.0]))
    assert abs(held.points[held.best()][0] - 0.5) < 0.01
    assert abs(free.points[free.best()][0] - 0.6) < 0.05


def test_it_stops_where_it_no_longer_pays():
    trial = search(space(1), [0.5], [0.1], renders=400)
    assert len(trial.points) < 100


def test_one_control_will_do():
    for method in METHODS:
        trial = search(space(1), [0.5], [0.1], method=method, renders=65)
        assert trial.distances[trial.best()] < 0.1 * trial.distances[0]


def test_repeats():
    one, two = (search(space(3), [0.2, 0.5, 0.6], [0.5, 0.5, 0.5], renders=24, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.points, two.points)


def test_unknown_methods_list_the_known():
    objective = Objective(space(1), search_jobs.made_up(np.zeros(1)), np.zeros(1), 0.0)
    with pytest.raises(UsageError, match="surrogate"):
        make_search("surogate", objective)
