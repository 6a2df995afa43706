"""The stages of a run of `learn`: responses, feature proxy, warm start, audio loss."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from blackbox_afx.grads.bridge import BlackBoxEffect
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.audio_stage import AudioLoss
from blackbox_afx.train.budget import KEPT, StepPlan
from blackbox_afx.train.effects import probe_steps
from blackbox_afx.train.guide import Guide, guide_plan, guide_seconds, make_guide
from blackbox_afx.train.judge import Judge
from blackbox_afx.train.learner import fit_standardisation
from blackbox_afx.train.loop import Stage, step_seed
from blackbox_afx.train.patches import SettingPlan
from blackbox_afx.train.replan import replan
from blackbox_afx.train.response_stage import ResponseStage
from blackbox_afx.train.warm_start import Examples, controller_loss, fit_controller, fit_proxy, proxy_loss

if TYPE_CHECKING:
    from blackbox_afx.train.learn import Run

END_RESERVE_S = 2.0
PROXY_AVERAGE = 0.999


def response_stage(run: Run, proxy: FeatureProxy) -> ResponseStage:
    """Make the stage in which a proxy is told the chain's response in each band."""
    shares = run.recipe.shares
    return ResponseStage(
        proxy.response,
        run.spec,
        run.farm,
        SettingPlan(),
        rate=run.recipe.sample_rate,
        seed=run.seed,
        folder=run.folder,
        clock=run.clock,
        reserve_s=END_RESERVE_S + (shares.proxy + shares.controller) * KEPT * run.clock.budget_s,
        tell=lambda share, words: run.tick("responses", share, words),
    )


def warm_start(run: Run, plan: StepPlan, examples: Examples, judge: Judge) -> StepPlan:
    """Train the feature proxy, then the controller through it; give the plan as it was kept to."""
    recipe = run.recipe
    torch.manual_seed(step_seed(run.seed, "proxy", -1))
    examples = examples.to(run.device)
    proxy = FeatureProxy(len(run.spec.space)).to(run.device)
    if plan.responses:
        count, error_db = response_stage(run, proxy).run(plan.responses)
        kept = fit_proxy(proxy, examples, run.seed)
        run.note("responses", {"responses": count, "error_db": error_db, "kept": kept})
    else:
        fit_proxy(proxy, examples, run.seed)
    left = END_RESERVE_S + recipe.shares.controller * KEPT * run.clock.budget_s
    stage = Stage(
        name="proxy", steps=plan.proxy_steps, learning_rate=recipe.proxy_rate, average=PROXY_AVERAGE, reserve_s=left
    )
    run.train(stage, proxy, proxy_loss(proxy, examples, run.seed, plan.batch))
    fit_controller(run.network, examples, run.seed, proxy, run.spec.space.continuous)
    loss_of = functools.partial(
        controller_loss,
        proxy=proxy,
        examples=examples,
        seed=run.seed,
        batch=plan.warm_batch,
        foreign=recipe.foreign,
        mix=recipe.mix,
        regression=recipe.regression,
        continuous=run.spec.space.continuous,
    )
    reserve_s = END_RESERVE_S + 2 * plan.score_s
    plan = replan(run, plan, len(examples.index), loss_of, reserve_s)
    stage = Stage(
        name="controller",
        steps=plan.warm_steps,
        learning_rate=recipe.controller_rate,
        weight_decay=0.05,
        reserve_s=reserve_s,
    )
    look = run.look(plan.warm_steps, recipe.shares.controller, plan, judge)
    run.train(stage, run.network, loss_of(run.network), look)
    return plan


def audio_loss(run: Run, book: str, guide: Guide | None = None) -> AudioLoss:
    """Assemble the audio loss with the method's effect module; without its guide the same number of calls."""
    assert run.effect_module is not None
    module = run.effect_module
    if guide is not None:
        # A batch of equally long clips comes out as a list, which the bridge stacks.
        box: Any = run.effect
        estimator = guide.estimator(run.spec, samples=run.recipe.segment, **run.method.options)
        steps = guide.probe_steps(run.spec)
        module = BlackBoxEffect(box, estimator, steps, snap=run.spec.space.snap, guide=guide.direction)
    return AudioLoss(
        run.network,
        module,
        run.farm,
        run.spec,
        book,
        batch=run.recipe.audio_batch,
        segment=run.recipe.segment,
        hold=run.recipe.hold if run.method.means_controls else 0.0,
        protocol=run.recipe.protocol,
        foreign=run.recipe.audio_foreign,
        seed_of=lambda step: step_seed(run.seed, "audio-pairs", step),
        count=run.effect.count,
    )


def make_run_guide(run: Run, book: str, around: np.ndarray | None, reserve_s: float) -> Guide:
    """Make the method's guide at settings that the controller asks for, or read the one an earlier sitting made."""
    place = run.folder.path / "guide.safetensors"
    if not place.exists():
        seconds = guide_seconds(run.clock, run.recipe.shares.audio, reserve_s)
        made = make_guide(
            run.farm,
            run.spec,
            book,
            probe_steps(run.spec, run.method),
            plan=guide_plan(run.spec, seconds, run.farm.n_jobs, run.recipe.sample_rate),
            around=around,
            seed=step_seed(run.seed, "guide", 0),
            tell=lambda share, words: run.tick("guide", share, words),
        )
        made.save(place)
    return Guide.load(place, run.effect)


def audio_stage(run: Run, plan: StepPlan, book: str, judge: Judge, around: np.ndarray | None) -> None:
    """Train on the audio loss through the effect module."""
    recipe = run.recipe
    reserve_s = END_RESERVE_S + plan.score_s
    guide = make_run_guide(run, book, around, reserve_s) if run.method.guide else None
    stage = Stage(
        name="audio",
        steps=plan.audio_steps,
        learning_rate=recipe.audio_rate,
        schedule=recipe.schedule,
        beta2=0.999 if recipe.schedule == "paper" else 0.98,
        warm_up=5,
        weight_decay=recipe.weight_decay,
        clip_norm=recipe.clip_norm,
        average=recipe.average,
        reserve_s=reserve_s,
    )
    loss = audio_loss(run, book, guide)
    if not run.warm:
        fit_standardisation(run.network, loss.pairs)
    share = recipe.shares.audio if run.warm else 1.0
    run.train(stage, run.learner, loss, run.look(plan.audio_steps, share, plan, judge))
