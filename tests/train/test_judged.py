"""Which pairs judge the stages of a run."""

from __future__ import annotations

import pytest

from blackbox_afx.train.learn import judged_protocol
from blackbox_afx.train.methods import METHODS
from blackbox_afx.train.recipe import Recipe


@pytest.mark.parametrize(
    ("method", "changes", "expected"),
    [
        ("features", {}, "both"),
        ("features", {"audio_foreign": 0.0}, "self"),
        ("regression", {}, "self"),
        ("spsa", {"protocol": "paper"}, "paper"),
    ],
)
def test_a_stage_that_hears_foreign_styles_is_judged_on_both_kinds(method, changes, expected):
    assert judged_protocol(Recipe(method=method, **changes), METHODS[method]) == expected
