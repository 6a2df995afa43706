"""The farm: whatever a job does to its worker, no other job is lost."""

from __future__ import annotations

import contextlib
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
from tests.plugins.broken_plugins import compile_plugin


@pytest.fixture(scope="module")
def farm():
    with Farm(n_jobs=2) as farm:
        yield farm


def running() -> set[psutil.Process]:
    """Processes of this one's farms, those of other tests included."""
    found = set()
    for child in psutil.Process().children():
        # One that ended between the listing and the question has no command line any more.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "LokyProcess" in " ".join(child.cmdline()):
                found.add(child)
    return found


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
    assert "quarantine" in kinds
    check_others(farm.run(twenty()), [])
    assert "resumed" in [event.kind for event in farm.events]


def test_no_job_is_lost_to_a_hanging_worker(farm, monkeypatch):
    farm.quarantined.clear()
    farm.events.clear()
    monkeypatch.setattr(farm, "timeout_factor", 1.0)
    monkeypatch.setattr(farm, "timeout_extra_s", 1.5)
    results = farm.run(twenty(n11=do.hang))
    check_others(results, [11])
    assert results[11].failure.kind == "hang"
    hang = next(event for event in farm.events if event.kind == "hang")
    assert float(hang.text.split("after ")[1].split(" s")[0]) >= 1.5
    assert "loading" not in hang.text


def test_a_plugin_that_hangs_while_it_loads_is_named(tmp_path):
    path = compile_plugin(tmp_path, "hang")
    spec = missing_plugin(str(path))
    with Farm(n_jobs=2, timeout_factor=1e6, load_s=1.0) as farm:
        farm.prepare(spec)
        (result,) = farm.run([CallJob(function=do.load, args=(spec,), spec=spec)])
        # Hung while it was prepared, and once more: not three times.
        assert [event.kind for event in farm.events if event.kind in ("hang", "retry")] == ["retry", "hang"]
    assert (result.failure.kind, result.failure.plugin) == ("hang", "None")
    assert "of loading" in result.failure.message


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
    farm.events.clear()
    results = farm.run(twenty(n3=do.segfault))
    assert not {"crash", "retry"} & {event.kind for event in farm.events}
    check_others(results, [3])
    assert "quarantined" in results[3].failure.message
    assert results[3].failure.index == 3


def test_a_crash_that_does_not_repeat_costs_nothing(farm, tmp_path):
    flag = tmp_path / "flag"
    jobs = [*twenty(), CallJob(function=do.crash_once, args=(str(flag),), cost=0.01)]
    results = farm.run(jobs)
    assert all(result.ok for result in results)
    assert not farm.quarantined or all(f.plugin != "crash_once" for f in farm.quarantined.values())


def test_results_come_before_the_last_job_is_done(farm, tmp_path):
    flag = tmp_path / "flag"
    jobs = [
        CallJob(function=do.sleep, args=(0.0,), cost=1.0),
        CallJob(function=do.wait_for, args=(str(flag),), cost=60.0),
    ]
    first = next(results := farm.run_iter(jobs))
    assert first.index == 0
    # The second is not done before this.
    flag.touch()
    assert [(result.index, result.value) for result in results] == [(1, True)]


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
    others = running()
    farm = Farm(n_jobs=2)
    farm.run(twenty())
    folder = Path(farm._folder)
    assert folder.exists()
    assert len(running() - others) == 2
    farm.close()
    farm.close()
    assert not folder.exists()
    assert not running() - others
    with pytest.raises(FarmError, match="closed"):
        farm.run(twenty())


def test_workers_that_grow_are_replaced():
    with Farm(n_jobs=2, memory_limit_mb=20) as farm:
        for _ in range(3):
            farm.run([CallJob(function=do.grow, args=(40,), cost=0.1) for _ in range(2)])
        assert "recycle" in [event.kind for event in farm.events]


def test_two_farms_leave_each_others_workers_alone():
    with Farm(n_jobs=2) as one, Farm(n_jobs=2) as other:
        one.run(twenty())
        kept = one._pool.pids()
        check_others(other.run(twenty(n7=do.segfault)), [7])
        check_others(one.run(twenty()), [])
        assert one._pool.pids() == kept
        assert kept.isdisjoint(other._pool.pids())
        other.close()
        check_others(one.run(twenty()), [])
        assert one._pool.pids() == kept


def test_jobs_without_result_are_given_up(farm):
    farm.events.clear()
    job = CallJob(function=do.lose_results, args=(farm._folder,), cost=0.01)
    with pytest.raises(FarmError, match="1 jobs brought no result in 5 rounds"):
        farm.run([job])
    assert not farm.events
    check_others(farm.run(twenty()), [])


def test_jobs_that_no_worker_can_read_are_an_error(farm):
    with pytest.raises(FarmError, match="can't read its jobs"):
        farm.run([CallJob(function=do.work, args=(do.Unreadable(),), cost=0.01)])
    check_others(farm.run(twenty()), [])


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


def missing_plugin(file: str = "None.vst3") -> ChainSpec:
    """A chain whose plugin can't be loaded."""
    identity = Identity(format="vst3", file=file, plugin_name="None")
    return ChainSpec(profiles=(msgspec.structs.replace(builtin_profile("Gain"), identity=identity),))


def test_a_prepared_chain_is_loaded_when_the_jobs_come(tmp_path):
    spec = ChainSpec(profiles=(builtin_profile("Gain"),))
    with Farm(n_jobs=2) as farm:
        farm.prepare(spec)
        # Only one of the two workers has it; neither of these jobs ends before both workers have taken one.
        jobs = [CallJob(function=do.loaded, args=(spec, str(tmp_path)), cost=60.0)] * 2
        assert sorted(result.value for result in farm.run(jobs)) == [False, True]


def test_what_can_not_be_prepared_is_told_by_the_job_that_needs_it():
    spec = missing_plugin()
    with Farm(n_jobs=2) as farm:
        farm.prepare(spec)
        (result,) = farm.run([CallJob(function=do.load, args=(spec,), spec=spec)])
        assert result.failure.kind == "exception"
        assert "not installed" in result.failure.message


def test_a_farm_that_is_closed_while_it_prepares_leaves_no_worker():
    others = running()
    for pause in (0.0, 0.05, 0.3):
        farm = Farm(n_jobs=2)
        farm.prepare(ChainSpec(profiles=(builtin_profile("Gain"),)))
        time.sleep(pause)
        farm.close()
        assert not running() - others


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
    process.wait(timeout=60)
    _, alive = psutil.wait_procs(started, timeout=60)
    for orphan in alive:
        orphan.kill()
    assert not alive
