"""The controller's steps follow from the time that is left, once, and only where the run planned them itself."""

from __future__ import annotations

import functools
import time
from types import SimpleNamespace

import msgspec
import pytest
import torch

from blackbox_afx.networks.style import make_style_network
from blackbox_afx.train.budget import Clock, StepPlan
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.replan import AUDIO, CALIBRATED, CONTROLLER, PASSES, PLAN, replan, replan_audio
from blackbox_afx.train.run_folder import RunFolder
from tests.train.runs import PLAN as PLANNED

STEP_S = 0.02


@pytest.fixture(autouse=True)
def one_core(cores):
    """Leave only one number of threads to choose."""
    cores(1)


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "c.safetensors", resume=False, force=False)
    network = make_style_network(controls=1, width=8, blocks=1)
    return SimpleNamespace(folder=folder, network=network, recipe=Recipe(), clock=Clock(0.5))


def slow(network, seconds=lambda: STEP_S):
    """A loss that takes a known time."""

    def loss(step: int) -> torch.Tensor:
        time.sleep(seconds())
        return sum(weight.square().sum() for weight in network.parameters())

    return loss


def test_a_plan_that_was_given_is_kept(run):
    assert replan(run, PLANNED, 10**6, slow, 0.0) == PLANNED


def test_steps_fill_the_time_left_and_are_planned_once(run):
    run.folder.write_json(CALIBRATED, [CONTROLLER, AUDIO])
    before = [weight.clone() for weight in run.network.parameters()]
    made = replan(run, PLANNED, 10**6, slow, reserve_s=10.0)
    # 20 of 30 seconds, at 20 ms and what the optimiser and a busy machine take.
    assert 20 / STEP_S / 4 < made.warm_steps < 20 / STEP_S
    assert msgspec.structs.replace(made, warm_steps=PLANNED.warm_steps, warm_threads=0) == PLANNED
    assert msgspec.convert(run.folder.read_json(PLAN), StepPlan) == made
    assert replan(run, made, 10**6, slow, reserve_s=25.0) == made
    assert all(torch.equal(old, new) for old, new in zip(before, run.network.parameters(), strict=True))


def test_the_controller_is_planned_with_the_threads_that_are_fastest_by_then(run, cores):
    cores(2)
    run.folder.write_json(CALIBRATED, [CONTROLLER])
    planned = msgspec.structs.replace(PLANNED, threads=2)
    loss_of = functools.partial(slow, seconds=lambda: 0.01 if torch.get_num_threads() == 1 else 0.1)
    made = replan(run, planned, 10**6, loss_of, reserve_s=0.0)
    # The proxy was trained with those that were planned before, and is again by the same plan.
    assert (made.threads, made.warm_threads, torch.get_num_threads()) == (2, 1, 1)
    assert run.folder.read_json(PLAN)["warm_threads"] == 1
    # At 10 ms a step; two threads would have had room for a tenth.
    assert made.warm_steps > 30 / 0.1


def test_an_audio_stage_keeps_its_share(run):
    shares = msgspec.structs.replace(run.recipe.shares, controller=0.1, audio=0.9)
    run.recipe = msgspec.structs.replace(run.recipe, shares=shares)
    run.folder.write_json(CALIBRATED, [CONTROLLER, AUDIO])
    made = replan(run, msgspec.structs.replace(PLANNED, audio_steps=5), 10**6, slow, reserve_s=0.0)
    assert made.warm_steps < 0.1 * 30 / STEP_S


def test_few_pairs_are_not_gone_over_for_ever_and_late_stages_get_a_little(run):
    run.folder.write_json(CALIBRATED, [CONTROLLER, AUDIO])
    assert replan(run, PLANNED, 4, slow, 0.0).warm_steps == max(50, PASSES)
    run.folder.write_json(CALIBRATED, [CONTROLLER, AUDIO])
    assert replan(run, PLANNED, 10**6, slow, 1000.0).warm_steps == 10


def test_the_audio_stage_takes_the_time_that_is_left_once(run):
    run.learner = run.network
    loss = slow(run.network)
    planned = msgspec.structs.replace(PLANNED, audio_steps=5)
    assert replan_audio(run, planned, loss, 0.0) == planned
    run.folder.write_json(CALIBRATED, [AUDIO])
    assert replan_audio(run, PLANNED, loss, 0.0) == PLANNED
    before = [weight.clone() for weight in run.network.parameters()]
    made = replan_audio(run, planned, loss, reserve_s=10.0)
    assert 20 / STEP_S / 4 < made.audio_steps < 20 / STEP_S
    assert msgspec.structs.replace(made, audio_steps=5) == planned
    assert msgspec.convert(run.folder.read_json(PLAN), StepPlan) == made
    assert replan_audio(run, made, loss, reserve_s=25.0) == made
    assert all(torch.equal(old, new) for old, new in zip(before, run.network.parameters(), strict=True))
    assert all(weight.grad is None for weight in run.network.parameters())
