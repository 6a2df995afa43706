"""Threads that wait for each other: chosen against, and given up by a stage that is late."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from blackbox_afx.train.budget import Clock
from blackbox_afx.train.loop import Stage, run_stage
from blackbox_afx.train.run_folder import RunFolder
from blackbox_afx.train.threads import AGAIN, LOOKED_AT, ThreadGuard, fastest_threads

STEPS = 60


@pytest.fixture(autouse=True)
def two_cores(cores):
    """Leave one thread and two to choose between."""
    cores(2)


def seconds_of(one: float, two: float) -> float:
    return one if torch.get_num_threads() == 1 else two


@pytest.mark.parametrize(("one", "two", "best"), [(0.1, 0.5, 1), (0.1, 0.06, 2)])
def test_the_faster_number_is_chosen_and_set(one, two, best):
    assert fastest_threads(lambda: seconds_of(one, two)) == (best, min(one, two))
    assert torch.get_num_threads() == best


def late(guard: ThreadGuard, steps: int, one: float, two: float) -> None:
    for _ in range(steps):
        guard.took(seconds_of(one, two), late=True)


@pytest.mark.parametrize(("one", "two", "ends_with"), [(0.1, 0.5, 1), (0.1, 0.06, 2), (0.1, 0.105, 2)])
def test_a_late_stage_keeps_what_is_clearly_faster_until_it_ends(one, two, ends_with):
    torch.set_num_threads(2)
    guard = ThreadGuard(torch.device("cpu"))
    for _ in range(LOOKED_AT):
        guard.took(seconds_of(one, two), late=False)
    assert torch.get_num_threads() == 2
    guard.took(seconds_of(one, two), late=True)
    assert torch.get_num_threads() == 1
    late(guard, 2 * LOOKED_AT, one, two)
    assert torch.get_num_threads() == ends_with
    guard.close()
    assert torch.get_num_threads() == 2


def test_threads_that_wait_later_are_noticed_after_a_trial_that_failed():
    torch.set_num_threads(2)
    guard = ThreadGuard(torch.device("cpu"))
    late(guard, 3 * LOOKED_AT, one=0.1, two=0.06)
    assert torch.get_num_threads() == 2
    late(guard, AGAIN + 3 * LOOKED_AT, one=0.1, two=0.5)
    assert torch.get_num_threads() == 1


def test_what_trains_on_a_gpu_is_left_alone():
    torch.set_num_threads(2)
    late(ThreadGuard(torch.device("cuda")), 3 * LOOKED_AT, one=0.1, two=0.5)
    assert torch.get_num_threads() == 2


def stalling(network: nn.Module, alone_s: float, together_s: float):
    def loss(step: int) -> torch.Tensor:
        time.sleep(seconds_of(alone_s, together_s))
        return network(torch.ones(1, 2)).square().sum()

    return loss


def test_a_stage_whose_threads_stall_is_not_cut(tmp_path):
    """Planned in a quiet moment for two threads; then each step of two takes a hundred times as long."""
    torch.set_num_threads(2)
    network, clock = nn.Linear(2, 1), Clock(12 / 60)
    stage = Stage(name="s", steps=STEPS, learning_rate=1e-3)
    folder, loss = RunFolder(tmp_path / "a"), stalling(network, 0.005, 0.5)
    done = run_stage(stage, network, loss, seed=0, folder=folder, clock=clock)
    assert done == STEPS
    assert clock.cut == []
    assert torch.get_num_threads() == 2
