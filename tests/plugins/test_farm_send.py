"""Chunks on their way to a worker of this machine."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_afx.plugins.farm_send import LARGE, Parcels, unpack
from blackbox_afx.plugins.farm_worker import Chunk
from blackbox_afx.plugins.jobs import CallJob
from tests.plugins import farm_jobs as do

LONG = np.arange(LARGE, dtype=np.float32).reshape(2, -1)


def chunk(number, *args):
    return Chunk(number=number, folder="", indices=(0,), jobs=(CallJob(function=do.work, args=args),))


@pytest.fixture
def parcels(tmp_path):
    parcels = Parcels(str(tmp_path))
    yield parcels
    parcels.close()
    assert not list(tmp_path.iterdir())


def test_arrays_arrive_as_they_were_and_may_be_written_to(parcels):
    sent = (LONG, LONG[:, ::2], LONG.T, LONG[:, :5], np.array([]), np.float64(3), "text", None)
    got = unpack(parcels.pack(chunk(1, *sent))).jobs[0].args
    for one, other in zip(sent, got, strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.asarray(one).dtype == np.asarray(other).dtype
    got[0][:] = 0
    got[3][:] = 0
    assert unpack(parcels.pack(chunk(2, LONG))).jobs[0].args[0][1, 5] == LONG[1, 5] != 0


def test_an_array_in_many_chunks_is_sent_once_and_deleted_after_the_last(parcels, tmp_path):
    other = LONG.copy()
    for number in range(3):
        parcels.pack(chunk(number, LONG, LONG, other if number == 0 else 0))
    assert len(list(tmp_path.iterdir())) == 2
    parcels.arrived(0)
    assert len(list(tmp_path.iterdir())) == 1
    parcels.arrived(1)
    late = parcels.pack(chunk(3, LONG))
    parcels.arrived(2)
    np.testing.assert_array_equal(unpack(late).jobs[0].args[0], LONG)
    parcels.arrived(3)
    assert not list(tmp_path.iterdir())


def test_where_the_folder_is_gone_arrays_travel_with_the_chunk(tmp_path):
    parcels = Parcels(str(tmp_path / "gone"))
    np.testing.assert_array_equal(unpack(parcels.pack(chunk(0, LONG))).jobs[0].args[0], LONG)


def test_functions_that_no_module_holds_are_sent(parcels):
    job = CallJob(function=lambda worker, x: x + 1, args=(1,))
    sent = Chunk(number=0, folder="", indices=(0,), jobs=(job,))
    assert unpack(parcels.pack(sent)).jobs[0].run(None) == 2
