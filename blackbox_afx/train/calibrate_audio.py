"""Make the step plan of a run without a warm start: audio steps are all there is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from blackbox_afx.errors import UsageError
from blackbox_afx.train.budget import SAFETY, StepPlan
from blackbox_afx.train.stages import audio_loss
from blackbox_afx.train.threads import fastest_threads

if TYPE_CHECKING:
    from blackbox_afx.train.judge import Judge
    from blackbox_afx.train.learn import Run


def calibrate_audio(run: Run, book: str, judge: Judge) -> StepPlan:
    """Time a few audio steps and plan a run that consists of them alone.

    Raises
    ------
    UsageError
        The budget is too short for a single step.
    """
    recipe = run.recipe
    loss = audio_loss(run, book)
    kept = {name: tensor.clone() for name, tensor in run.learner.state_dict().items()}
    # The first step loads plugins and allocates.
    _step(run, loss, -1)
    threads, step_s = fastest_threads(
        lambda: min(_step(run, loss, -2 - k) for k in range(2)), several=torch.get_num_threads()
    )
    run.learner.load_state_dict(kept)
    left = SAFETY * (run.clock.left_s - judge.seconds - 3.0)
    steps = -(-recipe.examples // recipe.audio_batch) if recipe.examples else int(left / (1.05 * step_s))
    if steps < 1:
        raise UsageError(
            f"one step takes {step_s:.1f} s here and {run.clock.left_s:.0f} s are left; give more --minutes"
        )
    return StepPlan(
        shards=0,
        shard_clips=0,
        proxy_steps=0,
        warm_steps=0,
        batch=recipe.batch,
        warm_batch=0,
        audio_steps=steps,
        audio_batch=recipe.audio_batch,
        held_out=run.held_out,
        score_s=judge.seconds,
        threads=threads,
    )


def _step(run: Run, loss: Callable[[int], Tensor | None], step: int) -> float:
    began = time.monotonic()
    run.learner.train()
    value = loss(step)
    if value is not None:
        value.backward()
    run.learner.zero_grad(set_to_none=True)
    return time.monotonic() - began
