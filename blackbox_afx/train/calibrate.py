"""Measure what a pair, a step and a judgement cost on this machine, and make a step plan that fits the budget."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch
from torch import Tensor

from blackbox_afx.networks.style import make_style_network
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.budget import StepPlan
from blackbox_afx.train.warm_start import Examples, controller_loss, proxy_loss

if TYPE_CHECKING:
    from blackbox_afx.train.judge import Judge
    from blackbox_afx.train.learn import Run

SAFETY = 0.94
"""Share of the time left that is planned; steps slow down a little as memory fills."""
JOB_S = 1.5
TRIAL_CLIPS = 3
AUDIO_STAGE_S = 45.0
"""An audio stage shorter than this is left out: its trial alone takes seconds."""
PASSES = 40
"""Most times that a stage goes over all pairs."""


def calibrate(run: Run, book: str, judge: Judge) -> StepPlan:
    """Time a few pairs and steps, and split what is left of the budget.

    Parameters
    ----------
    run : Run
    book : str
        Clip book of the training split.
    judge : Judge
        Already made: its own set-up tells what a judgement costs.

    Returns
    -------
    StepPlan
    """
    recipe, farm = run.recipe, run.farm
    count = 2 * max(farm.n_jobs, 2)
    shards = []
    began = 0.0
    for turn in range(2):
        # The first turn loads plugins and is not timed.
        began = time.monotonic()
        jobs = [run.pair_job(TRIAL_CLIPS, book, -1 - k - turn * count) for k in range(count)]
        shards += [result.value for result in farm.run(jobs) if result.failure is None]
    clip_s = (time.monotonic() - began) / (count * TRIAL_CLIPS)
    examples = Examples.join(shards)
    proxy = FeatureProxy(len(run.spec.space))
    network = make_style_network(controls=len(run.spec.space), **run.network_options)
    trial = proxy_loss(proxy, _enough(examples, recipe.batch), run.seed, recipe.batch)
    threads, proxy_s = _best_threads(proxy, trial)
    loss = controller_loss(
        network,
        proxy,
        _enough(examples, recipe.batch),
        seed=run.seed,
        batch=recipe.batch,
        foreign=recipe.foreign,
        regression=recipe.regression,
        continuous=run.spec.space.continuous,
    )
    warm_s = _step_s(network, loss)
    shares = recipe.shares
    worth_a_trial = run.method.estimator and shares.audio * run.clock.budget_s >= AUDIO_STAGE_S
    audio_s = _audio_step_s(run, book) if worth_a_trial else 0.0
    audio = shares.audio if audio_s else 0.0
    time_left = SAFETY * (run.clock.left_s - 2 * judge.seconds - 3.0)
    unit = max(time_left, 1.0) / (shares.pairs + shares.proxy + shares.controller + audio)
    clips = max(count * TRIAL_CLIPS, round(shares.pairs * unit / clip_s))
    shard_clips = int(np.clip(round(JOB_S / (clip_s * max(farm.n_jobs, 1))), 1, 64))
    shard_clips = min(shard_clips, max(1, clips // (2 * farm.n_jobs)))
    shards_wanted = max(2, round(clips / shard_clips))
    per_pass = max(1.0, shards_wanted * shard_clips * recipe.settings * 2 / recipe.batch)
    most = max(50, round(PASSES * per_pass))
    audio_steps = int(audio * unit / audio_s) if audio_s else 0
    return StepPlan(
        shards=shards_wanted,
        shard_clips=shard_clips,
        proxy_steps=min(most, max(10, round(shares.proxy * unit / proxy_s))),
        warm_steps=min(most, max(10, round(shares.controller * unit / warm_s))),
        batch=recipe.batch,
        # A handful of steps would only add noise.
        audio_steps=audio_steps if audio_steps >= 5 else 0,
        audio_batch=recipe.audio_batch,
        held_out=recipe.held_out,
        score_s=judge.seconds,
        threads=threads,
    )


def _enough(examples: Examples, batch: int) -> Examples:
    """Repeat the index so that a whole batch can be drawn from a few trial clips."""
    times = -(-batch // len(examples.index))
    return msgspec.structs.replace(examples, index=examples.index.repeat(times, 1))


def _best_threads(network: torch.nn.Module, loss: Callable[[int], Tensor]) -> tuple[int, float]:
    """Find out how many threads train a small network fastest, and leave torch with that many.

    On a machine that does other work, threads wait for each other and one alone is several times faster.
    """
    times = {}
    for threads in sorted({1, min(4, os.cpu_count() or 1)}):
        torch.set_num_threads(threads)
        times[threads] = _step_s(network, loss)
    best = min(times, key=times.__getitem__)
    torch.set_num_threads(best)
    return best, times[best]


def _step_s(network: torch.nn.Module, loss: Callable[[int], Tensor]) -> float:
    network.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6)
    times = []
    for step in range(8):
        began = time.monotonic()
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
        times.append(time.monotonic() - began)
    # The running average of the weights and the bookkeeping come on top of a bare step.
    return 1.1 * float(np.median(times[2:]))


def _audio_step_s(run: Run, book: str) -> float:
    loss = run.audio_loss(book)
    times = []
    for step in range(2):
        began = time.monotonic()
        value = loss(-1 - step)
        if value is not None:
            value.backward()
        times.append(time.monotonic() - began)
    run.network.zero_grad(set_to_none=True)
    return min(times)
