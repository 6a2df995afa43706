"""Which pairs judge the stages of a run."""

from __future__ import annotations

import pytest

from blackbox_afx.train.learn import judged_protocol
from blackbox_afx.train.recipe import Recipe


@pytest.mark.parametrize(
    ("audio_stage", "changes", "expected"),
    [
        (True, {}, "both"),
        (False, {}, "self"),
        (True, {"audio_foreign": 0.0}, "self"),
        (True, {"protocol": "paper"}, "paper"),
    ],
)
def test_a_stage_that_hears_foreign_styles_is_judged_on_both_kinds(audio_stage, changes, expected):
    assert judged_protocol(Recipe(**changes), audio_stage) == expected
