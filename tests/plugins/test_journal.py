"""What is left of a worker that died, or whose disk was full."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_afx.plugins import journal
from blackbox_afx.plugins.journal import Outcome, Writer


@pytest.fixture
def writer(tmp_path):
    writer = Writer(str(tmp_path), 1)
    yield writer
    writer.close()


def test_a_frame_that_a_crash_cut_off_is_left_out(tmp_path, writer):
    writer.done(4, Outcome(value="whole"))
    writer.done(5, Outcome(value=np.zeros(1000)))
    path = tmp_path / "1.results"
    for length in range(path.stat().st_size - 1, 0, -97):
        with path.open("r+b") as file:
            file.truncate(length)
        assert set(journal.read_results(tmp_path, 1)) <= {4}


def test_what_does_not_pickle_leaves_no_trace(tmp_path, writer):
    with pytest.raises(Exception, match="pickle"):
        writer.done(0, Outcome(value=[bytes(200_000), lambda: None]))
    shared = [1.5]
    writer.done(1, Outcome(value=(shared, shared, "after")))
    assert journal.read_results(tmp_path, 1) == {1: Outcome(value=(shared, shared, "after"))}


def test_what_came_after_a_full_disk_can_be_read(tmp_path, writer):
    resource = pytest.importorskip("resource", reason="Windows has no file size limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer.done(0, Outcome(value=bytes(60_000)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            writer.done(1, Outcome(value=bytes(80_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.done(2, Outcome(value="fits"))
    assert journal.read_results(tmp_path, 1) == {0: Outcome(value=bytes(60_000)), 2: Outcome(value="fits")}
