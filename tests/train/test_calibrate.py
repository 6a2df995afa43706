"""The step plan of a run whose judge seemed slow."""

from __future__ import annotations

import json

import pytest

from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.shelf import demo_audio
from blackbox_afx.train import judge as judging
from blackbox_afx.train.learn import learn
from blackbox_afx.train.recipe import Recipe


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
