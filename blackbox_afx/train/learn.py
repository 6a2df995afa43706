"""Learn a style controller on real plugins: calibrate, make pairs, warm start, audio loss, and a judge between them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from blackbox_afx.data.folders import find_audio
from blackbox_afx.data.segments import ClipSet, load_clips
from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.grads import make_estimator
from blackbox_afx.grads.bridge import BlackBoxEffect
from blackbox_afx.grads.steps import step_sizes
from blackbox_afx.networks.controller_file import ControllerCard, save_controller
from blackbox_afx.networks.style import StyleNetwork, make_style_network
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.audio_stage import AudioLoss
from blackbox_afx.train.budget import Clock, StepPlan
from blackbox_afx.train.calibrate import calibrate
from blackbox_afx.train.clip_book import read_clip_book, write_clip_book
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.judge import Judge, Scores
from blackbox_afx.train.loop import Stage, run_stage, step_seed
from blackbox_afx.train.methods import find_method
from blackbox_afx.train.pairs import make_pairs
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.run_folder import RunFolder
from blackbox_afx.train.warm_start import Examples, controller_loss, fit_controller, fit_proxy, proxy_loss

Report = Callable[[str, float, str], None]
"""Told (stage, share done 0 to 1, words)."""

INPUT_PEAK_DBFS = -12.0
END_RESERVE_S = 3.0


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a run made.

    Parameters
    ----------
    path : Path
        The controller file.
    card : ControllerCard
    scores : dict of Scores
        By stage, on held-out pairs.
    chosen : str
        The stage whose network was kept.
    cut : tuple of str
        Stages that the deadline stopped early.
    seconds : float
    """

    path: Path
    card: ControllerCard
    scores: dict[str, Scores]
    chosen: str
    cut: tuple[str, ...]
    seconds: float


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
        where: str | None,
        minutes: float,
        recipe: Recipe,
        seed: int,
        jobs: int | None,
        resume: bool,
        force: bool,
        report: Report,
    ) -> None:
        self.spec = ChainSpec(profiles=tuple(profiles))
        self.recipe, self.seed, self.minutes, self.report = recipe, seed, minutes, report
        self.method = find_method(recipe.method)
        self.folder = RunFolder(out, resume=resume, force=force)
        self.identity = {
            "chain": self.spec.fingerprint(),
            "recipe": msgspec.to_builtins(recipe),
            "audio": str(Path(audio).resolve()),
            "where": where or "",
            "minutes": minutes,
            "seed": seed,
        }
        self._check_identity()
        self.clock = Clock(minutes, (self.folder.read_json("clock.json") or {}).get("spent_s", 0.0))
        self._ticked = time.monotonic()
        self.audio, self.where = audio, where
        self.farm = Farm(jobs, log=str(self.folder.path / "native.log"))
        self.effect = FarmEffect(self.farm, self.spec, recipe.sample_rate)
        torch.manual_seed(seed)
        self.network: StyleNetwork = make_style_network(controls=len(self.spec.space), **self.network_options)
        self.scores: dict[str, Scores] = {}
        self.lost_pairs = 0

    @property
    def network_options(self) -> dict[str, Any]:
        """What `make_style_network` is called with."""
        recipe = self.recipe
        return {"encoder": recipe.encoder, "controller": recipe.controller, **recipe.controller_options}

    def _check_identity(self) -> None:
        before = self.folder.read_json("run.json")
        if before is None:
            self.folder.write_json("run.json", self.identity)
            return
        changed = [key for key, value in self.identity.items() if before.get(key) != value]
        if changed:
            raise OutputError(
                f"{self.folder.path} was begun with another {', '.join(changed)}; resume it with the same, "
                "or give --force to start afresh"
            )

    def tick(self, stage: str, share: float, words: str) -> None:
        """Report progress, and note the time spent for a later resume."""
        self.report(stage, share, words)
        if time.monotonic() - self._ticked > 5.0:
            self._ticked = time.monotonic()
            self.folder.write_json("clock.json", {"spent_s": self.clock.spent_s})

    # --- data -------------------------------------------------------------------------------------------------------

    def books(self) -> tuple[str, ClipSet, dict[str, Any]]:
        """Load the working set once and keep it in the run's folder for the workers."""
        facts = self.folder.read_json("data.json")
        paths = {split: str(self.folder.path / f"clips_{split}") for split in ("train", "val")}
        if facts is None:
            collection = find_audio(self.audio, where=self.where, purpose="learn", seed=self.seed)
            facts = {"found": collection.describe(), "skipped": [str(item.path) for item in collection.skipped]}
            for split, minutes in (("train", self.recipe.max_minutes), ("val", 10.0)):
                clips = load_clips(
                    collection, split, sample_rate=self.recipe.sample_rate, max_minutes=minutes, seed=self.seed
                )
                facts[split] = {
                    "minutes": round(clips.minutes, 2),
                    "clips": len(clips.clips),
                    "speakers": len({clip.speaker for clip in clips.clips}),
                }
                facts["skipped"] += [str(item.path) for item in clips.skipped]
                write_clip_book(paths[split], clips)
            self.folder.write_json("data.json", facts)
        return paths["train"], read_clip_book(paths["val"]), facts

    def make_pairs(self, plan: StepPlan, book: str) -> Examples:
        """Make the shards of training pairs that are not there yet."""
        todo = [k for k in range(plan.shards) if not self.folder.shard_path(k).exists()]
        jobs = [self.pair_job(plan.shard_clips, book, k) for k in todo]
        done = plan.shards - len(todo)
        per_job = self.recipe.settings * 2 * plan.shard_clips
        # In groups: a farm call returns at its end, and a kill must not lose more than a minute's work.
        group = max(self.farm.n_jobs * 4, 8)
        for start in range(0, len(jobs), group):
            # A machine slower than its calibration still gets something to learn from.
            if start and self.clock.over("pairs", self.reserve_after_pairs()):
                break
            for result in self.farm.run_iter(jobs[start : start + group]):
                if result.failure is None:
                    self.folder.write_shard(todo[start + result.index], result.value)
                else:
                    self.lost_pairs += per_job
                    self.folder.log(stage="pairs", lost=per_job, why=result.failure.message)
                done += 1
                self.tick("pairs", done / plan.shards, f"{done * per_job} training pairs")
        shards = [shard for k in range(plan.shards) if (shard := self.folder.read_shard(k)) is not None]
        if not shards:
            why = self.farm.events[-1] if self.farm.events else "no shard was finished in time"
            raise UsageError(f"no training pairs were made ({why}); give more --minutes, or probe the plugin again")
        return Examples.join(shards)

    def pair_job(self, clips: int, book: str, index: int) -> CallJob:
        """Describe the job that makes one shard."""
        recipe = self.recipe
        seconds = recipe.segment / recipe.sample_rate
        cost = clips * (2 * recipe.settings * (self.spec.cost_s(seconds) + 0.004) + 0.08)
        seed = step_seed(self.seed, "pairs", index)
        return CallJob(
            function=make_pairs,
            args=(self.spec, book, seed, clips, recipe.settings, recipe.segment, recipe.corrupted),
            spec=self.spec,
            cost=cost,
            finite=False,
        )

    def reserve_after_pairs(self) -> float:
        """Seconds that the stages after the pairs need at least."""
        return (self.recipe.shares.proxy + self.recipe.shares.controller) * 0.5 * self.clock.budget_s

    # --- stages -----------------------------------------------------------------------------------------------------

    def progress(self, stage: str, steps: int) -> Callable[[int, float], None]:
        """Make the progress callback of a stage."""
        best = min((score.total for score in self.scores.values()), default=None)
        tail = f", best score {best:.3f}" if best is not None else ""
        return lambda step, loss: self.tick(stage, step / steps, f"step {step} of {steps}, loss {loss:.3f}{tail}")

    def judge_stage(self, name: str, judge: Judge) -> Scores:
        """Score the network on held-out pairs, and keep it if none before was better."""
        kept = self.folder.read_json("scores.json") or {}
        scores = judge.score(self.network)
        self.scores[name] = scores
        best = min((row["total"] for row in kept.values()), default=np.inf)
        if scores.total < best:
            self.folder.save_tensors("best.safetensors", self.network.state_dict(), {"stage": name})
        kept[name] = {"ratio": scores.ratio, "pairs": scores.pairs, "total": scores.total}
        self.folder.write_json("scores.json", kept)
        self.folder.log(stage=name, seconds=round(self.clock.spent_s, 1), **kept[name])
        self.tick(name, 1.0, f"held-out score {scores.total:.3f}: {scores.text()}")
        return scores

    def warm_start(self, plan: StepPlan, examples: Examples) -> None:
        """Train the feature proxy, then the controller through it."""
        recipe = self.recipe
        torch.manual_seed(step_seed(self.seed, "proxy", -1))
        proxy = FeatureProxy(len(self.spec.space))
        fit_proxy(proxy, examples, self.seed)
        left = END_RESERVE_S + recipe.shares.controller * 0.5 * self.clock.budget_s
        stage = Stage(name="proxy", steps=plan.proxy_steps, learning_rate=recipe.proxy_rate, reserve_s=left)
        self.train(stage, proxy, proxy_loss(proxy, examples, self.seed, plan.batch))
        fit_controller(self.network, examples, self.seed)
        stage = Stage(
            name="controller",
            steps=plan.warm_steps,
            learning_rate=recipe.controller_rate,
            weight_decay=0.05,
            reserve_s=END_RESERVE_S + 2 * plan.score_s,
        )
        loss = controller_loss(
            self.network,
            proxy,
            examples,
            seed=self.seed,
            batch=plan.batch,
            foreign=recipe.foreign,
            regression=recipe.regression,
            continuous=self.spec.space.continuous,
        )
        self.train(stage, self.network, loss)

    def audio_loss(self, book: str) -> AudioLoss:
        """Assemble the audio loss with the method's estimator."""
        space = self.spec.space
        repeatability = max(profile.repeatability for profile in self.spec.profiles)
        steps = step_sizes(space.resolution, repeatability, self.method.base_step)
        steps = np.where(space.continuous, steps, np.nan)
        estimator = make_estimator(self.method.estimator, **self.method.options)
        return AudioLoss(
            self.network,
            BlackBoxEffect(self.effect, estimator, steps, snap=space.snap),
            self.farm,
            self.spec,
            book,
            batch=self.recipe.audio_batch,
            segment=self.recipe.segment,
            hold=self.recipe.hold,
            seed_of=lambda step: step_seed(self.seed, "audio-pairs", step),
        )

    def audio_stage(self, plan: StepPlan, book: str) -> None:
        """Train on the audio loss through the plugin."""
        stage = Stage(
            name="audio",
            steps=plan.audio_steps,
            learning_rate=self.recipe.audio_rate,
            warm_up=5,
            average=0.9,
            reserve_s=END_RESERVE_S + plan.score_s,
        )
        self.train(stage, self.network, self.audio_loss(book))

    def train(self, stage: Stage, network: torch.nn.Module, loss: Callable[[int], torch.Tensor | None]) -> None:
        """Run one stage with this run's seed, folder, clock and progress."""
        run_stage(
            stage,
            network,
            loss,
            seed=self.seed,
            folder=self.folder,
            clock=self.clock,
            progress=self.progress(stage.name, stage.steps),
        )

    # --- all of it --------------------------------------------------------------------------------------------------

    def run(self) -> Learned:
        """Go through the stages; each is skipped as far as an earlier sitting finished it."""
        try:
            with self.farm:
                return self._run()
        except KeyboardInterrupt:
            self.folder.write_json("clock.json", {"spent_s": self.clock.spent_s})
            raise

    def _run(self) -> Learned:
        self.tick("data", 0.0, "reading recordings")
        book, held_out, facts = self.books()
        self.tick("data", 1.0, facts["found"])
        judge = Judge(
            self.effect,
            held_out,
            pairs=self.recipe.held_out,
            segment=self.recipe.segment,
            seed=self.seed,
            network=self.network,
        )
        plan = self.plan(book, judge)
        examples = self.make_pairs(plan, book)
        self.warm_start(plan, examples)
        del examples
        self.judge_stage("warm start", judge)
        if plan.audio_steps and self.method.estimator:
            self.audio_stage(plan, book)
            self.judge_stage("audio", judge)
        return self.finish(plan, facts)

    def plan(self, book: str, judge: Judge) -> StepPlan:
        """Read the stored step plan, or calibrate and store one."""
        stored = self.folder.read_json("plan.json")
        if stored is not None:
            plan = msgspec.convert(stored, StepPlan)
            torch.set_num_threads(plan.threads)
            return plan
        self.tick("calibrate", 0.0, "measuring what a pair and a step cost here")
        plan = calibrate(self, book, judge)
        self.folder.write_json("plan.json", msgspec.to_builtins(plan))
        return plan

    def finish(self, plan: StepPlan, facts: dict[str, Any]) -> Learned:
        """Take the best stage's weights and write the controller."""
        found = self.folder.load_tensors("best.safetensors")
        chosen = "warm start"
        if found is not None:
            self.network.load_state_dict(found[0])
            chosen = found[1]["stage"]
        kept = self.folder.read_json("scores.json") or {}
        card = ControllerCard(
            profiles=self.spec.profiles,
            network=self.network_options,
            sample_rate=self.recipe.sample_rate,
            segment=self.recipe.segment,
            input_peak_dbfs=INPUT_PEAK_DBFS,
            method=self.recipe.method,
            seed=self.seed,
            minutes=self.minutes,
            recipe=msgspec.to_builtins(self.recipe),
            plan=msgspec.to_builtins(plan),
            scores={"held_out": kept, "chosen": chosen, "cut": self.clock.cut, "lost_pairs": self.lost_pairs},
            versions=versions(),
            data={key: facts[key] for key in ("found", "train", "val")},
        )
        save_controller(self.folder.out, self.network.eval(), card)
        seconds = self.clock.spent_s
        self.folder.clear()
        return Learned(
            path=self.folder.out,
            card=card,
            scores=self.scores,
            chosen=chosen,
            cut=tuple(self.clock.cut),
            seconds=seconds,
        )


def versions() -> dict[str, str]:
    """Versions of what a controller depends on."""
    from importlib.metadata import version

    names = ("blackbox-afx", "numpy", "torch", "pedalboard", "dawdreamer")
    return {name: version(name) for name in names}


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
    resume: bool = False,
    force: bool = False,
    report: Report = lambda stage, share, words: None,
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
    resume, force : bool
        Go on with an unfinished run, or start afresh and replace `out`.
    report : callable
        Told (stage, share done, words) as work goes on.

    Returns
    -------
    Learned

    Raises
    ------
    AudioError, PluginError, OutputError, UsageError, FarmError
    """
    if not minutes > 0:
        raise UsageError(f"minutes is {minutes:g}; expected more than 0, for example 20")
    run = Run(
        profiles,
        audio,
        out=out,
        where=where,
        minutes=minutes,
        recipe=recipe or Recipe(),
        seed=seed,
        jobs=jobs,
        resume=resume,
        force=force,
        report=report,
    )
    return run.run()
