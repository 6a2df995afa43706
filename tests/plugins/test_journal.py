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


def test_arrays_come_back_whole_aligned_and_writable(tmp_path, writer):
    values = [
        np.arange(1, n, dtype=kind) for n in (1, 2, 77, 9_000, 40_000) for kind in (np.float32, np.float64, np.uint8)
    ]
    values += [np.arange(24.0).reshape(4, 6).T, np.arange(10)[::3], np.array(["a", None], object)]
    for index, value in enumerate(values):
        writer.done(index, Outcome(value={"it": value, "twice": (value, value[:1])}))
    found = journal.read_results(tmp_path, 1)
    assert list(found) == list(range(len(values)))
    for index, value in enumerate(values):
        got = found[index].value
        np.testing.assert_array_equal(got["it"], value)
        assert got["it"].dtype == value.dtype
        assert got["it"].flags.aligned
        assert got["it"].flags.writeable


def test_the_mark_tells_loading_from_running(tmp_path, writer):
    writer.start(5)
    began = journal.read_mark(tmp_path, 1)
    with writer.loading():
        loading = journal.read_mark(tmp_path, 1)
    writer.at(2)
    after = journal.read_mark(tmp_path, 1)
    assert [(mark.index, mark.point, mark.loading) for mark in (began, loading, after)] == [
        (5, -1, 0),
        (5, -1, 1),
        (5, 2, 0),
    ]
    # Each stage is timed by itself.
    assert began.started <= loading.started <= after.started
