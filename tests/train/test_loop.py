"""The loop on networks small enough to train in milliseconds: broken off anywhere, cut, hurried, averaged."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from blackbox_afx.train import loop
from blackbox_afx.train.budget import Clock
from blackbox_afx.train.loop import LATE_SHARE, Stage, rate_factor, run_stage, share_done, step_seed
from blackbox_afx.train.run_folder import RunFolder

STAGE = Stage(name="s", steps=37, learning_rate=1e-2, warm_up=5)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Dropout(0.3), nn.Linear(16, 2))


def loss_of(network: nn.Module):
    """Draw its data from the step alone, as the stages do; dropout draws from torch's own generator."""

    def loss(step: int) -> torch.Tensor:
        x = torch.randn(32, 6, generator=torch.Generator().manual_seed(step_seed(0, "data", step)))
        return ((network(x) - x[:, :2] * 2) ** 2).mean()

    return loss


class Broken(Exception):
    pass


@pytest.mark.parametrize("at", [1, 2, 7, 20, 36])
def test_broken_off_anywhere_it_ends_in_the_same_weights(at, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_S", -1.0)
    whole = small()
    run_stage(STAGE, whole, loss_of(whole), seed=3, folder=RunFolder(tmp_path / "a"), clock=Clock(10))
    network = small()

    def breaks(step: int, value: float) -> None:
        if step == at + 1:
            raise Broken

    with pytest.raises(Broken):
        run_stage(
            STAGE, network, loss_of(network), seed=3, folder=RunFolder(tmp_path / "b"), clock=Clock(10), progress=breaks
        )
    torch.rand(100)
    again = small()
    seen = []
    folder = RunFolder(tmp_path / "b", resume=True)
    done = run_stage(
        STAGE,
        again,
        loss_of(again),
        seed=3,
        folder=folder,
        clock=Clock(10),
        progress=lambda step, value: seen.append(step),
    )
    assert done == STAGE.steps
    assert seen == list(range(at + 1, STAGE.steps + 1))
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name]), name


def test_a_finished_stage_gives_its_weights_without_a_step(tmp_path):
    folder = RunFolder(tmp_path / "a")
    first = small()
    run_stage(STAGE, first, loss_of(first), seed=3, folder=folder, clock=Clock(10))
    again = small()
    run_stage(STAGE, again, lambda step: pytest.fail("a step was taken"), seed=3, folder=folder, clock=Clock(10))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_what_is_kept_is_the_average_and_it_learns(tmp_path):
    network = small()
    before = float(loss_of(network.eval())(0).detach())
    stage = Stage(name="s", steps=300, learning_rate=1e-2)
    run_stage(stage, network.train(), loss_of(network), seed=0, folder=RunFolder(tmp_path / "a"), clock=Clock(10))
    assert not network.training
    assert float(loss_of(network)(0).detach()) < 0.3 * before


def test_a_loss_that_is_not_finite_or_none_changes_nothing(tmp_path):
    network = small()
    before = [weight.clone() for weight in network.parameters()]

    def loss(step: int):
        return None if step % 2 else network(torch.full((4, 6), torch.inf)).sum()

    run_stage(STAGE, network, loss, seed=0, folder=RunFolder(tmp_path / "a"), clock=Clock(10))
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_the_deadline_cuts_before_a_step_that_would_not_fit(tmp_path):
    network = small()
    inner = loss_of(network)

    def slow(step: int) -> torch.Tensor:
        time.sleep(0.2)
        return inner(step)

    clock = Clock(1.5 / 60)
    done = run_stage(STAGE, network, slow, seed=0, folder=RunFolder(tmp_path / "a"), clock=clock)
    assert 3 <= done < STAGE.steps
    assert clock.cut == ["s"]
    assert clock.late == ["s"]
    assert clock.spent_s < 1.5 + 0.2


@given(st.integers(1, 500), st.data())
def test_on_time_the_share_is_that_of_the_steps_to_the_bit(steps, data):
    step = data.draw(st.integers(0, steps - 1))
    first = data.draw(st.integers(0, step))
    assert share_done(step, first, steps, 0.0, 1.0) == step / steps
    late = share_done(step, first, steps, 1.0, 1.0)
    assert late == 1.0 or (step - first) / (steps - first) >= 1 - LATE_SHARE


def test_the_rate_rises_then_falls_to_a_thousandth():
    rates = [rate_factor(step, step / 1000, 50) for step in range(1001)]
    assert rates[0] == pytest.approx(1 / 50, rel=0.01)
    assert max(rates) == pytest.approx(1.0, rel=0.02)
    assert rates[-1] == pytest.approx(1e-3)
    assert rates[50:] == sorted(rates[50:], reverse=True)


def test_a_stage_whose_gradients_break_is_given_up_and_said(tmp_path):
    network = small()
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    told: list[str] = []

    def loss(step: int) -> torch.Tensor:
        return network(torch.full((4, 6), torch.nan)).mean()

    stage = Stage(name="s", steps=100, learning_rate=1e-2)
    done = run_stage(stage, network, loss, seed=0, folder=RunFolder(tmp_path / "a"), clock=Clock(10), warn=told.append)
    assert done == loop.BROKEN
    assert len(told) == 1
    assert f"given up after {loop.BROKEN} of 100 steps" in told[0]
    assert all(torch.equal(weight, before[name]) for name, weight in network.named_parameters())
