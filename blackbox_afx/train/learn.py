"""Learn a style controller on real plugins: calibrate, make pairs, warm start, audio loss, and a judge between them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from blackbox_afx.errors import AfxError, AudioError, OutputError, RecipeError, UsageError
from blackbox_afx.networks.style import OPTIONS, StyleNetwork, make_style_network
from blackbox_afx.networks.trunk import RATE as TRUNK_RATE
from blackbox_afx.networks.trunk import take_trunk
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.proxies.proxy_file import load_proxy
from blackbox_afx.train.budget import KEPT, Report, StepPlan, Ticker
from blackbox_afx.train.calibrate import calibrate, worth_an_audio_stage
from blackbox_afx.train.calibrate_audio import calibrate_audio
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.effects import Context, make_effect
from blackbox_afx.train.imitate import proxy_names
from blackbox_afx.train.judge import Judge, Scores
from blackbox_afx.train.learned import Learned, finish
from blackbox_afx.train.learner import Learner, wants_warm_start
from blackbox_afx.train.loop import Stage, run_stage
from blackbox_afx.train.material import Material, name_skipped
from blackbox_afx.train.methods import find_method
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.replan import AUDIO, CALIBRATED, CONTROLLER, PLAN
from blackbox_afx.train.run_folder import RunFolder
from blackbox_afx.train.stages import FEATURE_PROXY, audio_stage, warm_start

LEAST_HELD_OUT, HELD_OUT_A_MINUTE = 12, 16
NOTED = "noted.json"
LOOKS = 4
"""A long warm start is judged in between, every so many parts of it, so that progress has a score to show."""
LOOK_SHARE = 0.03
"""Most of a stage's time that such looks may take."""


class Run:
    """One run of `learn`, with all that its stages share.

    Parameters
    ----------
    as `learn`
    """

    def __init__(
        self,
        profiles: Sequence[Profile],
        audio: str | os.PathLike[str],
        *,
        out: str | os.PathLike[str],
        where: str | None = None,
        minutes: float,
        recipe: Recipe,
        seed: int = 0,
        jobs: int | None = None,
        device: str = "cpu",
        resume: bool = False,
        force: bool = False,
        report: Report = lambda stage, share, words: None,
        warn: Callable[[str], None] = lambda text: None,
        spent_s: float = 0.0,
    ) -> None:
        self.spec = ChainSpec(profiles=tuple(profiles))
        if len(self.spec.space) == 0:
            raise UsageError(f"{self.spec.label} has no control to set; expected one at least, see --controls")
        self.warn = warn
        self.recipe, self.seed, self.minutes = recipe, seed, minutes
        self.method = find_method(recipe.method)
        self.warm = wants_warm_start(recipe, self.method)
        self.device = torch.device(device)
        torch.manual_seed(seed)
        # Before the run has a folder: what is wrong with the recipe should leave nothing behind.
        self.network: StyleNetwork = make_style_network(controls=len(self.spec.space), **self.network_options)
        # Below its own rate the trunk's highest bands would be empty.
        started = recipe.pretrained and recipe.sample_rate >= TRUNK_RATE and take_trunk(self.network.controller)
        drawn = torch.get_rng_state()
        self.folder = RunFolder(out, resume=resume, force=force)
        self.folder.check_identity(
            {
                "chain": self.spec.fingerprint(),
                "recipe": recipe,
                # What a recipe leaves out may be another network in another version.
                "network": self.network_options,
                **({"feature proxy": FEATURE_PROXY} if self.warm else {}),
                "audio": str(Path(audio).resolve()),
                "where": where or "",
                "minutes": minutes,
                "seed": seed,
            }
        )
        self.ticker = Ticker(self.folder, minutes, spent_s, report)
        self.clock, self.tick = self.ticker.clock, self.ticker.tick
        self.audio, self.where = audio, where
        self.network.to(self.device)
        torch.set_rng_state(drawn)
        self.farm = Farm(jobs, log=str(self.folder.path / "native.log"))
        self.effect = FarmEffect(self.farm, self.spec, recipe.sample_rate)
        # Made last of all that draws from torch: a method's own weights leave the network's as they are.
        self.effect_module: torch.nn.Module | None = None
        # Proxies that nobody named may have to be trained first, when the recordings are read.
        if self.method.effect_name != "straight_through" or recipe.proxies or not self.warm:
            self.effect_module = self._effect_module(recipe.proxies)
        learns = self.effect_module if self.method.effect_name == "tcn" else None
        self.learner = Learner(self.network, learns)
        self.material = Material(
            self.folder,
            self.farm,
            self.spec,
            recipe,
            minutes=minutes,
            seed=seed,
            hears=self.network.encoder.hears,
        )
        self.scores: dict[str, Scores] = {}
        # What later readers of the card may want to know of the run, beside its data; what earlier sittings noted too.
        self.noted: dict[str, Any] = self.folder.read_json(NOTED) or {}
        self.noted["pretrained"] = started
        self.best_seen = np.inf
        # A short run can't wait for many pairs to be judged.
        self.held_out = min(recipe.held_out, max(LEAST_HELD_OUT, round(HELD_OUT_A_MINUTE * minutes)))

    @property
    def network_options(self) -> dict[str, Any]:
        """What `make_style_network` is called with."""
        recipe = self.recipe
        if recipe.controller == "search" and not self.warm:
            raise RecipeError(
                "controller = 'search' without a warm start; it searches through the feature proxy that only "
                "a warm start trains; choose the controller 'residual' or 'paper'"
            )
        # What a file leaves out would follow the defaults of the version that reads it.
        options = OPTIONS.get(recipe.controller, {}) | recipe.controller_options
        return {"encoder": recipe.encoder, "controller": recipe.controller, **options}

    def _effect_module(self, proxies: tuple[str, ...]) -> torch.nn.Module | None:
        if not self.method.has_audio_stage:
            return None
        context = Context(
            spec=self.spec,
            sample_rate=self.recipe.sample_rate,
            method=self.method,
            box=self.effect,
            proxies=proxies,
            options=self.recipe.effect_options,
        )
        try:
            return make_effect(context).to(self.device)
        except AfxError:
            # A missing proxy is no unfinished run.
            self.folder.drop_if_nothing_was_kept()
            raise

    def progress(self, stage: str, steps: int) -> Callable[[int, float], None]:
        """Make the progress callback of a stage."""

        def tell(step: int, loss: float) -> None:
            tail = f", best score {self.best_seen:.3f}" if np.isfinite(self.best_seen) else ""
            self.tick(stage, step / steps, f"step {step} of {steps}, loss {loss:.3f}{tail}")

        return tell

    def judge_stage(self, name: str, judge: Judge) -> Scores:
        """Score the network on held-out pairs, and keep it if none before was better."""
        kept = self.folder.read_json("scores.json") or {}
        if name in kept:
            # An earlier sitting judged this very network.
            scores = Scores(ratio=kept[name]["ratio"], pairs=kept[name]["pairs"])
        else:
            scores = self.score(judge, self.learner)
            best = min((row["total"] for row in kept.values()), default=np.inf)
            if scores.total < best or not kept:
                self.folder.save_tensors("best.safetensors", self.learner.state_dict(), {"stage": name})
            kept[name] = {"ratio": scores.ratio, "pairs": scores.pairs, "total": scores.total}
            self.folder.write_json("scores.json", kept)
            self.folder.log(stage=name, seconds=round(self.clock.spent_s, 1), **kept[name])
        self.scores[name] = scores
        self.best_seen = min(self.best_seen, scores.total)
        self.tick(name, 1.0, f"held-out score {scores.total:.3f}: {scores.text()}")
        return scores

    def score(self, judge: Judge, learned: torch.nn.Module) -> Scores:
        """Judge a network, or a learner, by what is heard in the end: the plugin's audio, or the effect module's."""
        network = learned.network if isinstance(learned, Learner) else learned
        if not self.method.renders_itself:
            return judge.score(network)
        own = learned.effect if isinstance(learned, Learner) else None
        return judge.score(network, through=own if own is not None else self.effect_module)

    def look(self, steps: int, share: float, plan: StepPlan, judge: Judge) -> Callable[[int, torch.nn.Module], bool]:
        """Judge a stage in between, for progress only: what is learned does not depend on it."""
        every = max(1, steps // LOOKS)
        worthwhile = LOOKS * plan.score_s < LOOK_SHARE * share * self.clock.budget_s

        def after_step(done: int, averaged: torch.nn.Module) -> bool:
            if worthwhile and done % every == 0 and done < steps:
                self.best_seen = min(self.best_seen, self.score(judge, averaged).total)
            return False

        return after_step

    def train(
        self,
        stage: Stage,
        network: torch.nn.Module,
        loss: Callable[[int], torch.Tensor | None],
        after_step: Callable[[int, torch.nn.Module], bool] = lambda done, averaged: False,
    ) -> None:
        """Run one stage with this run's seed, folder, clock and progress."""
        run_stage(
            stage,
            network,
            loss,
            seed=self.seed,
            folder=self.folder,
            clock=self.clock,
            progress=self.progress(stage.name, stage.steps),
            after_step=after_step,
            warn=self.warn,
        )
        self.ticker.keep()

    def run(self) -> Learned:
        """Go through the stages; each is skipped as far as an earlier sitting finished it."""
        threads = torch.get_num_threads()
        try:
            with self.farm:
                return self._run()
        except KeyboardInterrupt:
            self.ticker.keep()
            raise
        except (AudioError, UsageError):
            # What was asked can't be done; a plugin that fails leaves its log to read.
            self.folder.drop_if_nothing_was_kept()
            raise
        finally:
            torch.set_num_threads(threads)

    def _run(self) -> Learned:
        self.tick("data", 0.0, "reading recordings")
        book, held_out, facts = self.material.books(self.audio, self.where)
        name_skipped(facts["skipped"], self.warn)
        self.tick("data", 1.0, facts["found"])
        judge = Judge(
            self.effect,
            held_out,
            pairs=self.held_out,
            segment=self.recipe.segment,
            seed=self.seed,
            network=self.network,
            protocol=judged_protocol(self.recipe, self.method.has_audio_stage and self._has_time_for_audio()),
        )
        if self.effect_module is None and self.method.has_audio_stage:
            self.imitate()
        plan = self.plan(book, judge)
        proxy = examples = None
        if self.warm:
            examples = self.material.pairs(plan, book, self.clock, self.reserve_after_pairs(), self.tick)
            examples = examples.to(self.device)
            self.ticker.keep()
            plan, proxy = warm_start(self, plan, examples, judge)
            self.judge_stage("warm start", judge)
        if plan.audio_steps and self.effect_module is not None:
            if not self.recipe.rehearsal and self.method.guide != "tangent":
                examples = None
            plan = audio_stage(self, plan, book, judge, proxy, examples)
            self.judge_stage("audio", judge)
        return finish(self, plan, facts)

    def _has_time_for_audio(self) -> bool:
        return bool(self.recipe.examples) or worth_an_audio_stage(self)

    def imitate(self) -> None:
        """Make the effect module of a method that needs proxies; without them the warm start is all there is."""
        if not self._has_time_for_audio():
            return
        names = proxy_names(self)
        if names is None:
            return
        self.note("proxies", {name: load_proxy(name)[1].scores.get("cosine") for name in names})
        # What a proxy's training drew must not decide what comes after it.
        with torch.random.fork_rng(devices=[]):
            self.effect_module = self._effect_module(names)

    def note(self, name: str, fact: Any) -> None:
        """Keep for the card what a stage found out; what an earlier sitting found stands."""
        if name not in self.noted:
            self.noted[name] = fact
            self.folder.write_json(NOTED, self.noted)

    def reserve_after_pairs(self) -> float:
        """Seconds that the stages after the pairs need at least."""
        return (self.recipe.shares.proxy + self.recipe.shares.controller) * KEPT * self.clock.budget_s

    def plan(self, book: str, judge: Judge) -> StepPlan:
        """Read the stored step plan, or calibrate and store one."""
        stored = self.folder.read_json(PLAN)
        if stored is not None:
            try:
                plan = msgspec.convert(stored, StepPlan)
            except msgspec.ValidationError as error:
                raise OutputError(
                    f"{self.folder.path / PLAN}: not a step plan of this version ({error}); "
                    "give --force to start afresh"
                ) from None
            torch.set_num_threads(plan.threads)
            return plan
        self.tick("calibrate", 0.0, "measuring what a pair and a step cost here")
        plan = calibrate(self, book, judge) if self.warm else calibrate_audio(self, book, judge)
        self.folder.write_json(PLAN, msgspec.to_builtins(plan))
        self.folder.write_json(CALIBRATED, [CONTROLLER, AUDIO] if self.warm else [])
        return plan


def judged_protocol(recipe: Recipe, audio_stage: bool) -> str:
    """Say what pairs judge stages: an audio stage that hears both kinds must not win by one at the other's cost."""
    both = recipe.protocol == "self" and audio_stage and recipe.audio_foreign > 0
    return "both" if both else recipe.protocol


def learn(
    profiles: Sequence[Profile],
    audio: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    where: str | None = None,
    minutes: float = 20.0,
    recipe: Recipe | None = None,
    seed: int = 0,
    jobs: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    report: Report = lambda stage, share, words: None,
    warn: Callable[[str], None] = lambda text: None,
    spent_s: float = 0.0,
) -> Learned:
    """Learn a style controller for a chain of plugins.

    Parameters
    ----------
    profiles : sequence of Profile
        The chain, in order.
    audio : path
        Folder of recordings; a MANIFEST.csv's train and val splits are honoured.
    out : path
        Controller file to write; while the run goes on, `<out>.run` beside it keeps its checkpoints.
    where : str, optional
        Filter on the manifest, such as ``type=speech``.
    minutes : float > 0
        Wall-clock budget.
    recipe : Recipe, optional
    seed : int
    jobs : int, optional
        Render workers; as many as there are cores by default.
    device : str
        Where networks train, as torch names it.
    resume, force : bool
        Go on with an unfinished run, or start afresh and replace `out`.
    report : callable
        Told (stage, share done, words) as work goes on.
    warn : callable
        Told of recordings that could not be used, a line each.
    spent_s : float
        Seconds of the budget that went by before the call.

    Returns
    -------
    Learned

    Raises
    ------
    AudioError, PluginError, OutputError, UsageError, FarmError
    """
    if not 0 < minutes < float("inf"):
        raise UsageError(f"minutes is {minutes:g}; expected more than 0, for example 20")
    # What a caller draws from torch afterwards must not depend on this.
    with torch.random.fork_rng(devices=[]):
        run = Run(
            profiles,
            audio,
            out=out,
            where=where,
            minutes=minutes,
            recipe=recipe or Recipe(),
            seed=seed,
            jobs=jobs,
            device=device,
            resume=resume,
            force=force,
            report=report,
            warn=warn,
            spent_s=spent_s,
        )
        return run.run()
