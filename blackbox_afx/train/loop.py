"""The one loop that trains every network here: steps, checkpoints, resume, an average of the weights.

What happens in step `k` depends on the seed and on `k` alone (batches and dropout are drawn from it), so that a run
killed and resumed ends where an unbroken one does.
"""

from __future__ import annotations

import copy
import math
import time
import warnings
import zlib
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import torch
from torch import Tensor, nn

from blackbox_afx.train.budget import Clock
from blackbox_afx.train.run_folder import RunFolder, optimizer_tensors, restore_optimizer
from blackbox_afx.train.threads import ThreadGuard

CHECKPOINT_S = 20.0
LATE_SHARE = 0.1
SLOWLY = 0.02
BROKEN = 20
"""Steps in a row without a finite gradient after which a stage is given up: the next would bring none either."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Say how one network is trained.

    Parameters
    ----------
    name : str
        Also the name of its checkpoint.
    steps : int
    learning_rate : float
        Peak; linear warm-up, then as the schedule says.
    schedule : {"cosine", "paper"}
        A cosine down to a thousandth; or a tenth from 80 % and a hundredth from 95 % of the stage on.
    warm_up : int
        Steps.
    weight_decay : float
    beta2 : float
        Decay of Adam's mean square gradient.
    clip_norm : float
        Largest gradient norm.
    average : float
        Decay of the moving average of the weights, which is what a stage leaves behind.
    reserve_s : float
        Seconds of the budget that later work needs.
    slow : str
        Weights whose names begin so learn at a fiftieth of the rate: they are good already. Empty for none.
    """

    name: str
    steps: int
    learning_rate: float
    schedule: Literal["cosine", "paper"] = "cosine"
    warm_up: int = 50
    weight_decay: float = 0.01
    beta2: float = 0.98
    clip_norm: float = 1.0
    average: float = 0.998
    reserve_s: float = 0.0
    slow: str = ""


def step_seed(seed: int, stage: str, step: int) -> int:
    """Derive the seed of one step of one stage."""
    return zlib.crc32(f"{seed}/{stage}/{step}".encode())


def rate_factor(step: int, share: float, warm_up: int, schedule: str = "cosine") -> float:
    """Scale of the learning rate: linear warm-up over steps, times what the schedule says of the stage's share.

    The cosine goes from 1 to 0.001; the paper's goes from 1 to 0.1 at 80 % and to 0.01 at 95 %.
    """
    if schedule == "paper":
        fall = 1.0 if share < 0.8 else 0.1 if share < 0.95 else 0.01
    else:
        fall = 0.4995 * (1 + math.cos(math.pi * min(share, 1.0))) + 0.001
    return min(1.0, (step + 1) / max(warm_up, 1)) * fall


def share_done(step: int, first: int, steps: int, elapsed_s: float, allowed_s: float) -> float:
    """Say how far a stage is, 0 to 1: by its steps, or by the clock where it is clearly late.

    A stage that the deadline will cut must have brought its learning rate down by then. One that keeps to its plan is
    never touched by the clock, so that it stays reproducible to the bit, resumed or not.

    Parameters
    ----------
    step, first, steps : int
        The step at hand, the one that this sitting began with, and all.
    elapsed_s, allowed_s : float
        Seconds since this sitting's first step, and how many there may be until its last.
    """
    here = steps - first
    by_steps, by_clock = (step - first) / max(here, 1), elapsed_s / max(allowed_s, 1e-3)
    if by_clock <= by_steps + LATE_SHARE:
        return step / max(steps, 1)
    # After a resume the share that was already done counts too.
    return (first + min(by_clock, 1.0) * here) / max(steps, 1)


def run_stage(
    stage: Stage,
    network: nn.Module,
    loss: Callable[[int], Tensor | None],
    *,
    seed: int,
    folder: RunFolder,
    clock: Clock,
    progress: Callable[[int, float], None] = lambda step, value: None,
    after_step: Callable[[int, nn.Module], bool] = lambda step, averaged: False,
    warn: Callable[[str], None] = warnings.warn,
) -> int:
    """Train a network in place; it ends up with the averaged weights.

    Parameters
    ----------
    stage : Stage
    network : nn.Module
    loss : callable
        Step to a scalar with a gradient; None skips the step.
    seed : int
    folder : RunFolder
        Holds the checkpoint ``<name>.safetensors``; where there is one, training goes on from it.
    clock : Clock
        Cuts the stage when the budget is used up.
    progress : callable
        Told the step and a running mean of the loss.
    after_step : callable
        Given the steps done and the averaged network; True ends the stage.
    warn : callable
        Told when the stage is given up because gradients are not finite.

    Returns
    -------
    int
        Steps done, over all sittings.
    """
    trainable = [weight for weight in network.parameters() if weight.requires_grad]
    # Fused: one pass over all weights instead of several, which tells where matrices are small.
    optimizer = torch.optim.AdamW(
        _groups(network, stage.slow),
        lr=stage.learning_rate,
        betas=(0.9, stage.beta2),
        weight_decay=stage.weight_decay,
        fused=True,
    )
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    first = _restore(stage, network, averaged, optimizer, folder)
    saved, running, done = time.monotonic(), math.nan, first
    began_s, allowed_s = clock.spent_s, max(clock.left_s - stage.reserve_s, 1e-3)
    network.train()
    latest_s, broken, guard = 0.0, 0, ThreadGuard(trainable[0].device)
    for step in range(first, stage.steps):
        # The next step will take about as long as the last one.
        if clock.over(stage.name, stage.reserve_s + latest_s):
            break
        step_began = time.monotonic()
        torch.manual_seed(step_seed(seed, stage.name, step))
        value, late = loss(step), False
        if value is not None:
            share = share_done(step, first, stage.steps, clock.spent_s - began_s, allowed_s)
            late = share > step / stage.steps
            if late:
                clock.hurry(stage.name)
            for group in optimizer.param_groups:
                factor = rate_factor(step, share, stage.warm_up, stage.schedule)
                group["lr"] = group["scale"] * stage.learning_rate * factor
            optimizer.zero_grad()
            value.backward()
            norm = nn.utils.clip_grad_norm_(trainable, stage.clip_norm)
            # One example that blew up must not take the network with it.
            broken = 0 if torch.isfinite(norm) else broken + 1
            if not broken:
                optimizer.step()
                _average(averaged, network, min(stage.average, (step + 1) / (step + 10)))
            latest = float(value.detach())
            running = latest if math.isnan(running) else 0.98 * running + 0.02 * latest
        done = step + 1
        latest_s = time.monotonic() - step_began
        guard.took(latest_s, late)
        progress(done, running)
        ended = after_step(done, averaged)
        if broken >= BROKEN:
            warn(
                f"the stage '{stage.name}' was given up after {done} of {stage.steps} steps: the gradients of the last "
                f"{BROKEN} were not finite, so that nothing was learned from them"
            )
            ended = True
        if time.monotonic() - saved > CHECKPOINT_S or ended or done == stage.steps:
            # A stage that was given up is over for a resumed run, too.
            _save(stage, stage.steps if broken >= BROKEN else done, network, averaged, optimizer, folder)
            saved = time.monotonic()
        if ended:
            break
    guard.close()
    network.load_state_dict(averaged.state_dict())
    network.eval()
    return done


def _groups(network: nn.Module, slow: str) -> list[dict[str, Any]]:
    named = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    fast = [weight for name, weight in named if not (slow and name.startswith(slow))]
    slowly = [weight for name, weight in named if slow and name.startswith(slow)]
    return [{"params": weights, "scale": scale} for weights, scale in ((fast, 1.0), (slowly, SLOWLY)) if weights]


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    for old, new in zip(averaged.parameters(), network.parameters(), strict=True):
        old.lerp_(new, 1 - decay)
    for old, new in zip(averaged.buffers(), network.buffers(), strict=True):
        old.copy_(new)


def _save(
    stage: Stage,
    done: int,
    network: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
    folder: RunFolder,
) -> None:
    tensors = {f"network/{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"averaged/{name}": tensor for name, tensor in averaged.state_dict().items()}
    tensors |= optimizer_tensors(optimizer)
    folder.save_tensors(f"{stage.name}.safetensors", tensors, {"step": str(done)})


def _restore(
    stage: Stage,
    network: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
    folder: RunFolder,
) -> int:
    found = folder.load_tensors(f"{stage.name}.safetensors")
    if found is None:
        return 0
    tensors, metadata = found
    for prefix, module in (("network/", network), ("averaged/", averaged)):
        cut = len(prefix)
        module.load_state_dict({name[cut:]: t for name, t in tensors.items() if name.startswith(prefix)})
    restore_optimizer(optimizer, tensors)
    return int(metadata["step"])
