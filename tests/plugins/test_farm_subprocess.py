"""Jobs on a thread that plugins can't load on: a child does them, and what it dies of is named."""

from __future__ import annotations

import threading

import numpy as np

from blackbox_afx.plugins import farm_subprocess
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm_subprocess import run_aside
from blackbox_afx.plugins.farm_worker import Chunk, Worker
from blackbox_afx.plugins.jobs import CallJob
from tests.plugins import farm_jobs as do

SPEC = ChainSpec(profiles=(builtin_profile("Gain"),))


def aside(*functions, log):
    """Run calls on a thread, then end its child."""
    jobs = tuple(
        CallJob(function=function, args=(k,) if function is do.work else (), spec=SPEC)
        for k, function in enumerate(functions)
    )
    chunk = Chunk(number=3, folder="", indices=tuple(range(10, 10 + len(jobs))), jobs=jobs)
    reports = []

    def body():
        reports.append(run_aside(chunk, str(log)))
        farm_subprocess._mine.child.close()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(600)
    return reports[0].results


def test_two_crashes_among_five_jobs_cost_two(tmp_path):
    results = aside(do.work, do.segfault, do.work, do.segfault, do.work, log=tmp_path / "log")
    assert sorted(results) == [10, 11, 12, 13, 14]
    assert [results[k].kind for k in sorted(results)] == ["", "crash", "", "crash", ""]
    np.testing.assert_array_equal(results[14].value, do.work(Worker(), 4))


def test_the_child_is_on_its_main_thread_without_torch(tmp_path):
    outcome = aside(do.modules, log=tmp_path / "log")[10]
    assert outcome.value[0] == []
