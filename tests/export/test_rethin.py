"""Thinning a session's lanes further."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_afx.errors import UsageError
from blackbox_afx.export.rethin import rethin_session
from blackbox_afx.session import Thinning
from blackbox_afx.testing.exporters import example_session
from tests.export.varied import point_lists, with_lane


@settings(max_examples=40, deadline=None)
@given(points=point_lists(), eps=st.integers(0, 500).map(lambda k: k / 1000))
def test_stays_within_eps(points: tuple[tuple[float, ...], tuple[float, ...], bool], eps: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        session = with_lane(example_session(Path(name)), *points)
    thin, _ = rethin_session(session, eps)
    (before,), (after,) = session.tracks[0].plugins[0].lanes, thin.tracks[0].plugins[0].lanes
    if before.hold:
        assert after == before
    assert (after.times[0], after.times[-1]) == (before.times[0], before.times[-1])
    if not before.hold:
        error = np.interp(before.times, after.times, after.raw) - np.array(before.raw)
        assert np.max(np.abs(error)) <= eps * 1.01 + 1e-9


def test_says_what_it_did(tmp_path: Path) -> None:
    times = tuple(np.linspace(0, 2, 50).tolist())
    session = with_lane(example_session(tmp_path), times, tuple((0.5 + 0.001 * np.sin(np.arange(50))).tolist()), False)
    thin, notes = rethin_session(session, 0.01)
    assert "thinned 50 points to 2" in notes[0]
    assert "no longer cancels" in notes[1]
    assert thin.thinning == Thinning(eps=0.01, points_before=50, points_after=2)


def test_no_finer_than_it_was(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    session = msgspec.structs.replace(session, thinning=Thinning(eps=0.002, points_before=90, points_after=9))
    assert rethin_session(session, 0.002) == (session, [])
    same, notes = rethin_session(session, 0.001)
    assert same == session
    assert "finer than 0.001" in notes[0]


@pytest.mark.parametrize("eps", [-0.1, 1.0, float("nan")])
def test_eps_out_of_range(tmp_path: Path, eps: float) -> None:
    with pytest.raises(UsageError, match="eps"):
        rethin_session(example_session(tmp_path), eps)
