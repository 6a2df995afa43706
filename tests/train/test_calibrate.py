"""The step plan of a run whose judge seemed slow."""

from __future__ import annotations

import json

import pytest

from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.shelf import demo_audio
from blackbox_afx.train import judge as judging
from blackbox_afx.train.calibrate import more_clips
from blackbox_afx.train.learn import learn
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.replan import PASSES, PROXY_PASSES


def test_time_that_few_pairs_leave_goes_into_more_of_them():
    # 100 clips of 6 pairs are gone over 24 times in 56 steps of 256, and 40 times in 94: 5.6 s and 9.4 s at 0.1 s each.
    assert more_clips(100, 1.0, 6, [(9.0, 0.1, 256, PROXY_PASSES), (5.5, 0.1, 256, PASSES)]) == 0
    more = more_clips(100, 1.0, 6, [(30.0, 0.1, 256, PROXY_PASSES), (60.0, 0.1, 256, PASSES)])
    steps = [round(passes * (100 + more) * 6 / 256) for passes in (PROXY_PASSES, PASSES)]
    assert pytest.approx(100 + more + 0.1 * sum(steps), rel=0.01) == 100.0 + 30.0 + 60.0


@pytest.mark.slow
def test_a_judgement_that_seemed_slow_leaves_time_to_learn(tmp_path, monkeypatch):
    """A judge that was timed while the machine did other work: all of the budget would be kept back for it."""

    class Slow(judging.Judge):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.seconds = 60.0

    monkeypatch.setattr("blackbox_afx.train.learn.Judge", Slow)
    made = learn(
        [builtin_profile("Gain")],
        demo_audio(),
        out=tmp_path / "c.safetensors",
        where="type=speech",
        minutes=0.4,
        recipe=Recipe(method="regression"),
        jobs=1,
    )
    plan = json.loads(json.dumps(made.card.plan))
    assert plan["score_s"] <= 0.1 * 24
    assert plan["proxy_steps"] > 10
    assert plan["warm_steps"] > 10
