"""The farm: whatever a job does to its worker, no other job is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import joblib
import msgspec
import numpy as np
import psutil
import pytest

from blackbox_afx.errors import FarmError
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.farm_worker import Worker
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.plugins.profile import Identity
from tests.plugins import farm_jobs as do


@pytest.fixture(scope="module")
def farm():
    with Farm(n_jobs=2, timeout_factor=1, timeout_extra_s=0.7) as farm:
        yield farm


def workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


def twenty(**odd):
    jobs = [CallJob(function=do.work, args=(seed,), cost=0.01) for seed in range(20)]
    for place, function in odd.items():
        jobs[int(place[1:])] = CallJob(function=function, cost=0.01)
    return jobs


def check_others(results, failed):
    assert [result.index for result in results] == list(range(20))
    assert [result.index for result in results if not result.ok] == failed
    worker = Worker()
    for result in results:
        if result.ok:
            np.testing.assert_array_equal(result.value, do.work(worker, result.index))


def test_results_come_in_order_and_progress_is_told(farm):
    seen = []
    results = farm.run(twenty(), progress=lambda done, total: seen.append((done, total)))
    check_others(results, [])
    assert seen == [(k + 1, 20) for k in range(20)]


def test_no_job_is_lost_to_a_worker_killed_by_a_segmentation_fault(farm):
    farm.quarantined.clear()
    farm.events.clear()
    results = farm.run(twenty(n7=do.segfault))
    check_others(results, [7])
    failure = results[7].failure
    assert (failure.kind, failure.plugin, failure.index) == ("crash", "segfault", 7)
    kinds = [event.kind for event in farm.events]
    assert kinds[0] == "crash"
    assert kinds[-1] == "quarantine"
    resumed = next(event for event in farm.events if event.kind == "resumed")
    assert float(resumed.text.split()[0]) < 2.0


def test_no_job_is_lost_to_a_hanging_worker(farm):
    farm.quarantined.clear()
    farm.events.clear()
    results = farm.run(twenty(n11=do.hang))
    check_others(results, [11])
    assert results[11].failure.kind == "hang"
    hang = next(event for event in farm.events if event.kind == "hang")
    ran = float(hang.text.split("after ")[1].split(" s")[0])
    assert 0.7 <= ran < 1.5
    resumed = next(event for event in farm.events if event.kind == "resumed")
    assert float(resumed.text.split()[0]) < 2.0


def test_everything_wrong_at_once(farm):
    farm.quarantined.clear()
    results = farm.run(twenty(n0=do.segfault, n5=do.not_a_number, n13=do.raises, n19=do.segfault))
    check_others(results, [0, 5, 13, 19])
    kinds = [results[k].failure.kind for k in (0, 5, 13, 19)]
    assert kinds == ["crash", "nan", "exception", "crash"]
    assert results[13].failure.message == "ValueError: no such thing"


def test_what_failed_twice_is_not_run_again(farm):
    farm.quarantined.clear()
    farm.run([CallJob(function=do.segfault, cost=0.01)])
    assert len(farm.quarantined) == 1
    started = time.perf_counter()
    results = farm.run(twenty(n3=do.segfault))
    assert time.perf_counter() - started < 5
    check_others(results, [3])
    assert "quarantined" in results[3].failure.message
    assert results[3].failure.index == 3


def test_a_crash_that_does_not_repeat_costs_nothing(farm, tmp_path):
    flag = tmp_path / "flag"
    jobs = [*twenty(), CallJob(function=do.crash_once, args=(str(flag),), cost=0.01)]
    results = farm.run(jobs)
    assert all(result.ok for result in results)
    assert not farm.quarantined or all(f.plugin != "crash_once" for f in farm.quarantined.values())


def test_results_come_before_the_last_job_is_done(farm):
    jobs = [CallJob(function=do.sleep, args=(s,), cost=1.0) for s in (0.0, 0.8)]
    started = time.perf_counter()
    first = next(results := farm.run_iter(jobs))
    assert time.perf_counter() - started < 0.7
    assert first.index == 0
    assert [result.index for result in results] == [1]


def test_an_abandoned_run_leaves_the_farm_usable(farm):
    results = farm.run_iter([CallJob(function=do.sleep, args=(s,), cost=1.0) for s in (0.0, 0.3, 0.3)])
    next(results)
    results.close()
    check_others(farm.run(twenty()), [])


def test_workers_are_children_without_torch_and_display(farm, monkeypatch):
    modules, environment = farm.run([CallJob(function=do.modules), CallJob(function=do.environment)])
    assert modules.value == ([], os.getpid())
    assert environment.value == (None, "1")


def test_torch_in_a_worker_is_an_error(farm):
    with pytest.raises(FarmError, match="torch"):
        farm.run([CallJob(function=do.import_torch, cost=1.0)] * 4)
    from blackbox_afx.plugins import farm_loky

    farm_loky.stop_workers()


def test_a_value_that_does_not_pickle_is_a_named_failure(farm):
    results = farm.run(twenty(n2=do.unpicklable))
    check_others(results, [2])
    assert "can't be sent" in results[2].failure.message


def test_a_value_that_can_not_be_read_back_is_a_named_failure(farm):
    results = farm.run(twenty(n2=do.unreadable))
    check_others(results, [2])
    assert results[2].failure.message == "the result can't be read: ValueError: no such thing"


def test_native_noise_goes_to_the_log(tmp_path, capfd):
    log = tmp_path / "native.log"
    with Farm(n_jobs=2, log=log) as farm:
        farm.run([CallJob(function=do.environment), CallJob(function=do.segfault)])
    for noise in ("native noise", "Segmentation fault"):
        assert noise in log.read_text()
    assert capfd.readouterr().err == ""


def test_close_ends_workers_and_deletes_journals():
    farm = Farm(n_jobs=2)
    farm.run(twenty())
    folder = Path(farm._folder)
    assert folder.exists()
    assert workers()
    farm.close()
    farm.close()
    assert not folder.exists()
    _, alive = psutil.wait_procs(workers(), timeout=3)
    assert not alive
    with pytest.raises(FarmError, match="closed"):
        farm.run(twenty())


def test_workers_that_grow_are_replaced():
    with Farm(n_jobs=2, memory_limit_mb=20) as farm:
        for _ in range(3):
            farm.run([CallJob(function=do.grow, args=(40,), cost=0.1) for _ in range(2)])
        assert "recycle" in [event.kind for event in farm.events]


def test_one_worker_runs_trusted_work_here():
    with Farm(n_jobs=1) as farm:
        (result,) = farm.run([CallJob(function=do.sleep, args=(0.0,))])
    assert result.value == os.getpid()


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_other_backends_run_without_recovery_and_say_so(backend):
    with joblib.parallel_config(backend=backend), Farm(n_jobs=2) as farm:
        with pytest.warns(RuntimeWarning, match="no recovery"):
            results = farm.run(twenty(n4=do.raises))
        check_others(results, [4])


def test_plugins_from_outside_are_not_run_on_threads():
    # Refused before anything is loaded, so that the plugin need not be there.
    spec = missing_plugin()
    job = CallJob(function=do.work, args=(0,), spec=spec)
    with (
        joblib.parallel_config(backend="threading"),
        Farm(n_jobs=2) as farm,
        pytest.raises(FarmError, match="in this process"),
    ):
        farm.run([job])


def missing_plugin() -> ChainSpec:
    """A chain whose plugin can't be loaded."""
    identity = Identity(format="vst3", file="None.vst3", plugin_name="None")
    return ChainSpec(profiles=(msgspec.structs.replace(builtin_profile("Gain"), identity=identity),))


def test_a_prepared_chain_is_loaded_when_the_jobs_come():
    spec = ChainSpec(profiles=(builtin_profile("Gain"),))
    with Farm(n_jobs=2) as farm:
        began = time.perf_counter()
        farm.prepare(spec)
        assert time.perf_counter() - began < 0.1
        # Only one of the two workers has it, and either may take a job: enough jobs reach both.
        jobs = [CallJob(function=do.loaded, args=(spec,), cost=1.0)] * 12
        assert any(result.value for result in farm.run(jobs))


def test_what_can_not_be_prepared_is_told_by_the_job_that_needs_it():
    spec = missing_plugin()
    with Farm(n_jobs=2) as farm:
        farm.prepare(spec)
        (result,) = farm.run([CallJob(function=do.load, args=(spec,), spec=spec)])
        assert result.failure.kind == "exception"
        assert "not installed" in result.failure.message


def test_a_farm_that_is_closed_while_it_prepares_leaves_no_worker(tmp_path):
    for pause in (0.0, 0.05, 0.3):
        farm = Farm(n_jobs=2)
        farm.prepare(ChainSpec(profiles=(builtin_profile("Gain"),)))
        time.sleep(pause)
        farm.close()
        _, alive = psutil.wait_procs(workers(), timeout=3)
        assert not alive


PROGRAM = """
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.plugins.profile import Identity
from tests.plugins import farm_jobs as do
import sys
if __name__ == "__main__":
    with Farm(n_jobs=2) as farm:
        print(*(r.value for r in farm.run([CallJob(function=do.sleep, args=(0.0,), cost=1.0)] * 4)), flush=True)
        farm.run([CallJob(function=do.sleep, args=(60.0,), cost=100.0)] * 4)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_go_with_their_parent(how, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM))
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=root
    )
    pids = {int(word) for word in process.stdout.readline().split()}
    time.sleep(0.3)
    started = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    process.send_signal(how)
    process.wait(timeout=10)
    _, alive = psutil.wait_procs(started, timeout=5)
    for orphan in alive:
        orphan.kill()
    assert not alive
