"""The clock over several sittings."""

from __future__ import annotations

import json

import pytest

from blackbox_afx.train.budget import OVERRUN_S, Clock, Ticker
from blackbox_afx.train.run_folder import RunFolder


def test_a_resumed_clock_goes_on_and_remembers_what_it_cut():
    clock = Clock(1, spent_s=40)
    assert not clock.over("a", reserve_s=10)
    assert clock.over("b", reserve_s=30)
    clock.hurry("c")
    again = Clock.resumed(1, json.loads(json.dumps(clock.state)), spent_s=5)
    assert again.spent_s == pytest.approx(45, abs=0.5)
    assert again.left_s == pytest.approx(15, abs=0.5)
    assert (again.cut, again.late) == (["b"], ["c"])
    assert again.over("b", reserve_s=30)
    assert again.cut == ["b"]


def test_a_new_clock_has_all_of_the_budget():
    clock = Clock.resumed(2, None)
    assert clock.left_s == pytest.approx(120, abs=0.5)
    assert not clock.cut


@pytest.mark.parametrize("minutes", [0.1, 1, 20, 600])
def test_a_stage_may_use_a_third_of_what_a_run_may_go_over(minutes):
    budget = 60 * minutes
    allowance = min(0.1 * budget, OVERRUN_S) / 3
    assert not Clock(minutes, budget + 0.9 * allowance - 0.01).over("a")
    assert Clock(minutes, budget + 1.01 * allowance).over("a")


def test_a_ticker_reports_and_a_later_sitting_goes_on(tmp_path):
    told = []
    first = Ticker(RunFolder(tmp_path / "c"), 1, 40.0, lambda *row: told.append(row))
    first.tick("pairs", 0.5, "half")
    assert told == [("pairs", 0.5, "half")]
    assert first.clock.over("pairs", reserve_s=30)
    first.keep()
    again = Ticker(RunFolder(tmp_path / "c", resume=True), 1, 5.0, lambda *row: None)
    assert 45 <= again.clock.spent_s < 55
    assert again.clock.cut == ["pairs"]
