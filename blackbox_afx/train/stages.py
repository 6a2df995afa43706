"""The stages of a run of `learn`: responses, feature proxy, warm start, audio loss."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from blackbox_afx.grads.bridge import BlackBoxEffect
from blackbox_afx.losses.reported import ReportedLoss
from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.audio_stage import AudioLoss
from blackbox_afx.train.budget import KEPT, StepPlan
from blackbox_afx.train.effects import probe_steps
from blackbox_afx.train.feature_guide import ByFeatures, by_features, measure_trust, trust_examples
from blackbox_afx.train.guide import Guide, guide_plan, guide_seconds, make_guide
from blackbox_afx.train.judge import Judge
from blackbox_afx.train.learner import fit_standardisation
from blackbox_afx.train.loop import Stage, step_seed
from blackbox_afx.train.patches import SettingPlan
from blackbox_afx.train.replan import replan, replan_audio
from blackbox_afx.train.response_stage import ResponseStage
from blackbox_afx.train.warm_start import (
    Examples,
    controller_loss,
    fit_controller,
    fit_proxy,
    own_positions,
    proxy_loss,
)

if TYPE_CHECKING:
    from blackbox_afx.train.learn import Run

END_RESERVE_S = 2.0
PROXY_AVERAGE = 0.999
FEATURE_PROXY = {"levels": True}
"""How the feature proxy is made, which its checkpoint must fit; earlier versions made it otherwise."""
REHEARSED = 10
"""Pairs of the warm start that a step rehearses for each one that it hears."""


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


def warm_loss(
    run: Run, proxy: FeatureProxy, examples: Examples, batch: int, stage: str = "controller"
) -> Callable[[StyleNetwork], Callable[[int], Tensor]]:
    """Say what makes the loss of the controller's warm start for a network."""
    return functools.partial(
        controller_loss,
        proxy=proxy,
        examples=examples,
        seed=run.seed,
        stage=stage,
        batch=batch,
        foreign=run.recipe.foreign,
        mix=run.recipe.mix,
        regression=run.recipe.regression,
        continuous=run.spec.space.continuous,
    )


def warm_start(run: Run, plan: StepPlan, examples: Examples, judge: Judge) -> tuple[StepPlan, FeatureProxy]:
    """Train the feature proxy, then the controller through it; give the plan as it was kept to, and the proxy."""
    recipe = run.recipe
    torch.manual_seed(step_seed(run.seed, "proxy", -1))
    proxy = FeatureProxy(len(run.spec.space), **FEATURE_PROXY).to(run.device)
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
    loss_of = warm_loss(run, proxy, examples, plan.warm_batch)
    reserve_s = END_RESERVE_S + 2 * plan.score_s
    plan = replan(run, plan, len(examples.index), loss_of, reserve_s)
    torch.set_num_threads(plan.warm_threads or plan.threads)
    stage = Stage(
        name="controller",
        steps=plan.warm_steps,
        learning_rate=recipe.controller_rate,
        weight_decay=0.05,
        reserve_s=reserve_s,
    )
    look = run.look(plan.warm_steps, recipe.shares.controller, plan, judge)
    run.train(stage, run.network, loss_of(run.network), look)
    return plan, proxy


def audio_loss(
    run: Run,
    book: str,
    guide: Guide | ByFeatures | None = None,
    rehearsal: Callable[[int], Tensor] | None = None,
) -> AudioLoss:
    """Assemble the audio loss with the method's effect module; without its guide the same number of calls."""
    assert run.effect_module is not None
    module = run.effect_module
    if guide is not None:
        # A batch of equally long clips comes out as a list, which the bridge stacks.
        box: Any = run.effect
        estimator = guide.estimator(run.spec, samples=run.recipe.segment, **run.method.options)
        steps = guide.probe_steps(run.spec)
        module = BlackBoxEffect(box, estimator, steps, snap=run.spec.space.snap, guide=guide.direction)
    if isinstance(module, BlackBoxEffect):
        module.limit = run.recipe.clip_example
    return AudioLoss(
        run.network,
        module,
        run.farm,
        run.spec,
        book,
        batch=run.recipe.audio_batch,
        segment=run.recipe.segment,
        hold=run.recipe.hold if run.method.means_controls else 0.0,
        foreign=1.0 if run.recipe.protocol == "paper" else run.recipe.audio_foreign,
        seed_of=lambda step: step_seed(run.seed, "audio-pairs", step),
        count=run.effect.count,
        loss=ReportedLoss(run.recipe.sample_rate, run.recipe.reported) if run.recipe.reported else None,
        rehearsal=rehearsal,
        spliced=run.recipe.spliced,
    )


def rehearsal_loss(run: Run, proxy: FeatureProxy, examples: Examples, plan: StepPlan) -> Callable[[int], Tensor] | None:
    """Make what is added to the audio loss of each step, of a few pairs for each that is heard."""
    weight = run.recipe.rehearsal
    if not weight:
        return None
    batch = min(plan.warm_batch, REHEARSED * plan.audio_batch)
    loss = warm_loss(run, proxy, examples, batch, stage="rehearsal")(run.network)
    return lambda step: weight * loss(step)


def make_run_guide(run: Run, book: str, examples: Examples | None, reserve_s: float) -> Guide:
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
            around=None if examples is None else own_positions(run.network, examples, run.seed),
            seed=step_seed(run.seed, "guide", 0),
            tell=lambda share, words: run.tick("guide", share, words),
        )
        made.save(place)
    return Guide.load(place, run.effect)


def make_feature_guide(run: Run, plan: StepPlan, book: str, proxy: FeatureProxy) -> ByFeatures:
    """Take the warm start's proxy for a guide, and measure how far to trust it, or read what an earlier sitting did."""
    guide, place = by_features(run.effect, proxy), run.folder.path / "trust.safetensors"
    if not place.exists():
        run.tick("guide", 0.0, "measuring how far the feature proxy is to be trusted")
        count = trust_examples(plan.audio_steps * plan.audio_batch)
        measure_trust(guide, run.effect, audio_loss(run, book), count).save(place)
    return guide.load(place)


def audio_stage(
    run: Run, plan: StepPlan, book: str, judge: Judge, proxy: FeatureProxy | None, examples: Examples | None
) -> StepPlan:
    """Train on the audio loss through the effect module; give the plan as it was kept to.

    Parameters
    ----------
    run, plan, book, judge
    proxy, examples
        The warm start's, where there was one.
    """
    recipe = run.recipe
    reserve_s = END_RESERVE_S + plan.score_s
    guide: Guide | ByFeatures | None = None
    rehearsal = None
    if proxy is not None and examples is not None:
        rehearsal = rehearsal_loss(run, proxy, examples, plan)
    if proxy is not None and run.method.guide == "features":
        guide = make_feature_guide(run, plan, book, proxy)
    if run.method.guide == "tangent":
        guide = make_run_guide(run, book, examples, reserve_s)
    loss = audio_loss(run, book, guide, rehearsal)
    if not run.warm:
        fit_standardisation(run.network, loss.pairs)
    plan = replan_audio(run, plan, loss, reserve_s)
    if not plan.audio_steps:
        return plan
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
    share = recipe.shares.audio if run.warm else 1.0
    run.train(stage, run.learner, loss, run.look(plan.audio_steps, share, plan, judge))
    return plan
