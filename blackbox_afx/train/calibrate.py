"""Measure what a pair, a step and a judgement cost on this machine, and make a step plan that fits the budget."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from blackbox_afx.networks.style import make_style_network
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.budget import SAFETY, StepPlan
from blackbox_afx.train.feature_guide import trial_guide
from blackbox_afx.train.guide import GUIDE_SHARE
from blackbox_afx.train.replan import LEAST_AUDIO, PASSES, PROXY_PASSES, audio_seconds, most_steps, step_seconds
from blackbox_afx.train.response_stage import LEAST
from blackbox_afx.train.stages import audio_loss, response_stage
from blackbox_afx.train.threads import fastest_threads
from blackbox_afx.train.warm_start import Examples, controller_loss, proxy_loss

if TYPE_CHECKING:
    from blackbox_afx.train.judge import Judge
    from blackbox_afx.train.learn import Run

JOB_S = 1.5
TRIAL_CLIPS = 3
AUDIO_STAGE_S = 45.0
"""An audio stage shorter than this is left out: its trial alone takes seconds."""
SHORT_S = 120.0
"""Budgets shorter than this are calibrated more coarsely."""
MOST_JUDGED = 0.1
"""Most of the budget that is set aside for one judgement: where it takes longer, learning must not be what pays."""


def worth_an_audio_stage(run: Run) -> bool:
    """Whether a run's audio stage is long enough to be worth its trial."""
    # An estimator has no derivative of toggles and choices.
    useful = not run.method.estimator or bool(run.spec.space.continuous.any())
    return useful and run.recipe.shares.audio * run.clock.budget_s >= AUDIO_STAGE_S


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
    recipe, farm, material = run.recipe, run.farm, run.material
    workers = max(farm.n_jobs, 2)
    count = 2 * workers
    # The first turn loads plugins and is not timed.
    shards = material.trial(book, 0, workers, 1)
    began = time.monotonic()
    clips = TRIAL_CLIPS if run.clock.budget_s >= SHORT_S else 1
    shards += material.trial(book, 1, count, clips)
    clip_s = (time.monotonic() - began) / (count * clips)
    examples = Examples.join(shards, count * clips + workers).to(run.device)
    proxy = FeatureProxy(len(run.spec.space)).to(run.device)
    network = make_style_network(controls=len(run.spec.space), **run.network_options).to(run.device)
    warm_batch = recipe.heard_batch if material.hears == "audio" else recipe.batch
    trial = proxy_loss(proxy, _enough(examples, recipe.batch), run.seed, recipe.batch)
    threads, proxy_s = fastest_threads(lambda: step_seconds(proxy, trial))
    loss = controller_loss(
        network,
        proxy,
        _enough(examples, warm_batch),
        seed=run.seed,
        batch=warm_batch,
        foreign=recipe.foreign,
        mix=recipe.mix,
        regression=recipe.regression,
        continuous=run.spec.space.continuous,
    )
    warm_s = step_seconds(network, loss)
    shares = recipe.shares
    worth_a_trial = run.effect_module is not None and worth_an_audio_stage(run)
    audio_s = _audio_step_s(run, book, proxy) if worth_a_trial else 0.0
    audio = shares.audio if audio_s else 0.0
    score_s = min(judge.seconds, MOST_JUDGED * run.clock.budget_s)
    time_left = SAFETY * (run.clock.left_s - 2 * score_s - 3.0)
    rest = shares.pairs + shares.proxy + shares.controller + audio
    unit = max(time_left, 1.0) / (rest + shares.responses)
    # Of a short budget finding out what they cost would take too much.
    measured = shares.responses and run.clock.budget_s >= SHORT_S
    responses = response_stage(run, proxy).affordable(shares.responses * unit) if measured else 0
    if responses < LEAST:
        # They would teach nothing that the pairs don't.
        responses, unit = 0, max(time_left, 1.0) / rest
    wanted = max(count * TRIAL_CLIPS, round(shares.pairs * unit / clip_s))
    stages = [
        (shares.proxy * unit, proxy_s, recipe.batch, PROXY_PASSES),
        (shares.controller * unit, warm_s, warm_batch, PASSES),
    ]
    wanted += more_clips(wanted, clip_s, 2 * recipe.settings, stages)
    wanted = max(1, int(min(wanted, material.most_clips)))
    # Short budgets are cut into smaller pieces: between them the clock is looked at.
    job_s = min(JOB_S, 0.02 * run.clock.budget_s)
    shard_clips = int(np.clip(round(job_s / (clip_s * workers)), 1, 64))
    shard_clips = min(shard_clips, max(1, wanted // (2 * workers)))
    shards_wanted = max(1, wanted // shard_clips)
    pairs = shards_wanted * shard_clips * recipe.settings * 2
    left = 1.0 - GUIDE_SHARE if run.method.guide == "tangent" else 1.0
    audio_steps = int(left * audio * unit / audio_s) if audio_s else 0
    if recipe.examples and run.effect_module is not None:
        audio_steps = -(-recipe.examples // recipe.audio_batch)
    return StepPlan(
        shards=shards_wanted,
        shard_clips=shard_clips,
        proxy_steps=min(most_steps(pairs, recipe.batch, PROXY_PASSES), max(10, round(shares.proxy * unit / proxy_s))),
        warm_steps=min(most_steps(pairs, warm_batch, PASSES), max(10, round(shares.controller * unit / warm_s))),
        batch=recipe.batch,
        warm_batch=warm_batch,
        audio_steps=audio_steps if audio_steps >= LEAST_AUDIO or recipe.examples else 0,
        audio_batch=recipe.audio_batch,
        held_out=run.held_out,
        score_s=score_s,
        threads=threads,
        responses=responses,
    )


def more_clips(clips: int, clip_s: float, examples: int, stages: list[tuple[float, float, int, int]]) -> int:
    """Say how many more clips to make of the time that stages have left once they went over all pairs often enough.

    Parameters
    ----------
    clips : int
        Planned so far.
    clip_s : float
        Seconds that one costs.
    examples : int
        Training pairs of one.
    stages : list of (seconds, seconds a step, pairs a step, passes)
        What each stage was given, and how often it goes over all pairs at the most.
    """
    spare, later_s = 0.0, clip_s
    for seconds, step_s, batch, passes in stages:
        needed = most_steps(clips * examples, batch, passes) * step_s
        if needed < seconds:
            spare += seconds - needed
            # Each clip more is also gone over.
            later_s += passes * examples / batch * step_s
    return int(spare / later_s)


def _enough(examples: Examples, batch: int) -> Examples:
    """Repeat the index so that a whole batch can be drawn from a few trial clips."""
    times = -(-batch // len(examples.index))
    return msgspec.structs.replace(examples, index=examples.index.repeat(times, 1))


def _audio_step_s(run: Run, book: str, proxy: FeatureProxy) -> float:
    # Untrained, the proxy takes as long.
    loss = audio_loss(run, book, trial_guide(run.effect, proxy) if run.method.guide == "features" else None)
    return audio_seconds(run.learner, loss)
