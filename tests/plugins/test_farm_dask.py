"""The farm on dask's workers, through joblib: the same renders, and a crashing plugin that takes no worker with it."""

from __future__ import annotations

import warnings

import joblib
import numpy as np
import pytest

from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob, RenderJob
from blackbox_afx.plugins.resolve import resolve_plugin
from tests.plugins import farm_jobs as do

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed: pip install distributed")


@pytest.fixture(scope="module")
def farm():
    with (
        # Two threads each: chains are not thread-safe, so every thread must have its own.
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
        warnings.catch_warnings(),
        Farm() as farm,
    ):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield farm


def renders(name: str, count: int = 12) -> list[RenderJob]:
    spec = ChainSpec(profiles=(resolve_plugin(name),))
    audio = (0.1 * np.random.default_rng(0).standard_normal((1, 12000))).astype(np.float32)
    return [
        RenderJob(spec=spec, audio=audio, positions=np.full(len(spec.space), position), sample_rate=24000)
        for position in np.linspace(0.1, 0.9, count)
    ]


def check(jobs, results):
    with jobs[0].spec.open() as chain:
        for job, result in zip(jobs, results, strict=True):
            assert result.ok, result.failure
            np.testing.assert_array_equal(result.value, chain.render(job.audio, job.positions, 24000))


@pytest.mark.parametrize("name", ["builtin:ChannelStrip", "faust_compressor"])
def test_renders_are_those_of_this_process(farm, name):
    jobs = renders(name)
    check(jobs, farm.run(jobs))


@pytest.mark.zam
def test_plugins_that_need_a_main_thread_render(farm):
    jobs = renders("zam_comp")
    check(jobs, farm.run(jobs))


@pytest.mark.zam
def test_a_crash_costs_one_job(farm):
    jobs = renders("zam_comp", 6)
    results = farm.run([*jobs[:3], CallJob(function=do.segfault, spec=jobs[0].spec, cost=0.01), *jobs[3:]])
    failure = results.pop(3).failure
    assert (failure.kind, failure.plugin) == ("crash", "ZamComp")
    check(jobs, results)


def test_failures_are_named(farm):
    raised, nan = farm.run([CallJob(function=do.raises), CallJob(function=do.not_a_number)])
    assert raised.failure.message == "ValueError: no such thing"
    assert nan.failure.kind == "nan"
