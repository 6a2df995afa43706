"""Give the controller's stages the steps that the time left has room for, once the stages before them are done.

The calibration at the start of a run is short, and whatever else the machine did in those seconds is in it. By the
time the proxy is trained, it is known how much of the budget is really left; and by the time that the warm start has
gone over its pairs often enough, how much of that is left for the audio stage.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch
from torch import Tensor

from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.train.budget import SAFETY, StepPlan
from blackbox_afx.train.threads import fastest_threads

if TYPE_CHECKING:
    from blackbox_afx.train.learn import Run

PLAN, CALIBRATED = "plan.json", "calibrated.json"
"""The second names the stages that this run planned and may plan anew; a plan that was given is kept to."""
CONTROLLER, AUDIO = "controller", "audio"
STEPS, STEPS_S = 8, 1.5
"""A trial of a training step ends after so many of them, or seconds."""
LEAST_AUDIO = 5
"""Audio steps; a handful would only add noise."""
PASSES, PROXY_PASSES = 24, 40
"""Most times that the controller, and the feature proxy, go over all pairs.

A choice: a chain does the same to every recording, so that a proxy has less to learn by heart.
"""


def replan(
    run: Run,
    plan: StepPlan,
    examples: int,
    loss_of: Callable[[StyleNetwork], Callable[[int], Tensor]],
    reserve_s: float,
) -> StepPlan:
    """Time a few steps of the controller, and plan as many as fit, with as many threads as are fastest now.

    Parameters
    ----------
    run : Run
    plan : StepPlan
    examples : int
        Training pairs that were made.
    loss_of : callable
        Makes the stage's loss for a network; the run's own is left as it is.
    reserve_s : float
        Seconds that must be left after the stage.

    Returns
    -------
    StepPlan
        Also written to the run's folder, once: a resumed run keeps to it.
    """
    if CONTROLLER not in _open(run):
        return plan
    shares = run.recipe.shares
    left = max(run.clock.left_s - reserve_s, 0.0)
    if plan.audio_steps:
        left *= shares.controller / (shares.controller + shares.audio)
    with torch.random.fork_rng(devices=[]):
        trial = copy.deepcopy(run.network)
        loss = loss_of(trial)
        # What else the machine does may have changed since the calibration.
        threads, seconds = fastest_threads(lambda: step_seconds(trial, loss))
    steps = int(SAFETY * left / seconds)
    steps = min(max(10, steps), most_steps(examples, plan.warm_batch, PASSES))
    plan = msgspec.structs.replace(plan, warm_steps=steps, warm_threads=threads)
    _keep(run, plan, CONTROLLER)
    return plan


def replan_audio(run: Run, plan: StepPlan, loss: Callable[[int], Tensor | None], reserve_s: float) -> StepPlan:
    """Time a few steps of the audio stage, and plan as many as fit; arguments as `replan`, but the stage's own loss.

    With room for fewer than `LEAST_AUDIO` none are planned.
    """
    if AUDIO not in _open(run) or not plan.audio_steps or run.recipe.examples:
        return plan
    seconds = audio_seconds(run.learner, loss)
    left = max(run.clock.left_s - reserve_s, 0.0)
    steps = int(SAFETY * left / seconds)
    plan = msgspec.structs.replace(plan, audio_steps=steps if steps >= LEAST_AUDIO else 0)
    _keep(run, plan, AUDIO)
    return plan


def audio_seconds(learner: torch.nn.Module, loss: Callable[[int], Tensor | None]) -> float:
    """Time a step on the audio loss, and leave what learns as it was; infinite where none comes out."""
    kept = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    times = []
    for step in range(4):
        began = time.monotonic()
        # Not the stage's own steps, so that nothing is heard twice.
        value = loss(-1 - step)
        if value is None:
            continue
        value.backward()
        times.append(time.monotonic() - began)
    learner.zero_grad(set_to_none=True)
    # Running statistics have moved.
    learner.load_state_dict(kept)
    # The first one loads plugins and allocates. The optimiser and the average come on top.
    return 1.05 * float(np.median(times[1:] or times)) if times else float("inf")


def _open(run: Run) -> list[str]:
    return run.folder.read_json(CALIBRATED) or []


def _keep(run: Run, plan: StepPlan, stage: str) -> None:
    """Write a stage's plan, and that it is not to be made again: a resumed run keeps to it."""
    run.folder.write_json(PLAN, msgspec.to_builtins(plan))
    run.folder.write_json(CALIBRATED, [name for name in _open(run) if name != stage])


def most_steps(examples: int, batch: int, passes: int) -> int:
    """Say how many steps are worth taking on so many training pairs."""
    return max(50, round(passes * max(1.0, examples / batch)))


def step_seconds(network: torch.nn.Module, loss: Callable[[int], Tensor]) -> float:
    """Time a few steps of a network that nobody needs afterwards."""
    network.train()
    optimizer = torch.optim.AdamW(
        [weight for weight in network.parameters() if weight.requires_grad], lr=1e-6, fused=True
    )
    times: list[float] = []
    while len(times) < 2 or (len(times) < STEPS and sum(times) < STEPS_S):
        began = time.monotonic()
        optimizer.zero_grad()
        loss(len(times)).backward()
        optimizer.step()
        times.append(time.monotonic() - began)
    # The first steps allocate. The running average of the weights and the bookkeeping come on top of a bare step.
    return 1.1 * float(np.median(times[min(2, len(times) - 1) :]))
