"""What a method trains: the style network and, where the effect is a network of its own, that too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from blackbox_afx.errors import RecipeError, UsageError
from blackbox_afx.networks.controller import ResidualController
from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.train.budget import StepPlan

if TYPE_CHECKING:
    from blackbox_afx.train.judge import Judge
    from blackbox_afx.train.learn import Run
    from blackbox_afx.train.methods import Method
    from blackbox_afx.train.recipe import Recipe

SAFETY = 0.94
FIT_BATCHES = 4


class Learner(nn.Module):
    """Hold all that learns in the audio stage.

    Parameters
    ----------
    network : StyleNetwork
    effect : nn.Module or None
        The effect, where it has weights that learn.
    """

    def __init__(self, network: StyleNetwork, effect: nn.Module | None) -> None:
        super().__init__()
        self.network = network
        self.effect = effect


def wants_warm_start(recipe: Recipe, method: Method) -> bool:
    """Say whether a run has a warm start.

    Raises
    ------
    RecipeError
        The recipe wants one and the method can't have it, or wants none where there is nothing else.
    """
    if recipe.warm_start and not method.means_controls:
        raise RecipeError(
            f"warm_start = true with the method '{recipe.method}', whose positions mean nothing to the plugin; "
            "leave it out"
        )
    if recipe.warm_start is False and not method.has_audio_stage:
        raise RecipeError(f"warm_start = false with the method '{recipe.method}' leaves nothing to do; leave it out")
    return method.means_controls if recipe.warm_start is None else recipe.warm_start


def fit_standardisation(network: StyleNetwork, pairs: Callable[[int], dict[str, Tensor]]) -> None:
    """Measure a residual controller's standardisation on a few training pairs, where no warm start does."""
    controller = network.controller
    if not isinstance(controller, ResidualController):
        return
    with torch.no_grad():
        batches = [pairs(-100 - k) for k in range(FIT_BATCHES)]
        source, reference = (
            torch.cat([network.encoder(batch[name]) for batch in batches]) for name in ("source", "reference")
        )
        controller.source.fit(source.mean(0), source.std(0))
        controller.difference.fit((reference - source).mean(0), (reference - source).std(0))


def calibrate_audio(run: Run, book: str, judge: Judge) -> StepPlan:
    """Time a few audio steps and plan a run that consists of them alone.

    Raises
    ------
    UsageError
        The budget is too short for a single step.
    """
    recipe = run.recipe
    loss = run.audio_loss(book)
    kept = {name: tensor.clone() for name, tensor in run.learner.state_dict().items()}
    times: dict[int, float] = {}
    # The first step loads plugins and allocates.
    _step(run, loss, -1)
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        times[threads] = min(_step(run, loss, -2 - k) for k in range(2))
    threads = min(times, key=times.__getitem__)
    torch.set_num_threads(threads)
    run.learner.load_state_dict(kept)
    step_s = times[threads]
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
