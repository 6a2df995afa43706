"""Train a waveform proxy of one plugin: patches from the farm, the paper's loss, the one loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from blackbox_afx import shelf
from blackbox_afx.errors import AudioError, ControllerError, FarmError, OutputError, UsageError
from blackbox_afx.losses.style import StyleLoss
from blackbox_afx.networks.controller_file import load_controller
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.proxies.proxy_file import ProxyCard, save_proxy
from blackbox_afx.proxies.waveform import WaveformProxy, output_gain
from blackbox_afx.train.budget import KEPT, SAFETY, Report, Ticker
from blackbox_afx.train.clip_book import read_clip_book
from blackbox_afx.train.loop import Stage, run_stage
from blackbox_afx.train.material import Material, name_skipped
from blackbox_afx.train.patch_feed import AHEAD, PatchFeed
from blackbox_afx.train.patches import PatchPlan
from blackbox_afx.train.proxy_card import check_card
from blackbox_afx.train.proxy_check import SEGMENT, ProxyScores, measure_proxy
from blackbox_afx.train.proxy_recipe import ProxyRecipe, dump_proxy_recipe
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.response_stage import LEAST, ResponseStage
from blackbox_afx.train.run_folder import RunFolder
from blackbox_afx.train.threads import fastest_threads
from blackbox_afx.train.versions import versions
from blackbox_afx.train.visited import visited_positions

CHECK_SHARE, CHECK_S = 0.1, 60.0
"""The end of the budget is for measuring the proxy: this share, but no more than that."""
LOOKS = 5
FILES = ("weights.safetensors", "recipe.toml", "CARD.md")


def limited(audio: Tensor) -> Tensor:
    """Limit softly to +-2: a plugin that boosts by 48 dB would otherwise be all that training hears."""
    return 2 * torch.tanh(audio / 2)


class TrainedProxy(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a training made.

    Parameters
    ----------
    folder : Path
        Holds ``weights.safetensors``, ``recipe.toml`` and ``CARD.md``.
    card : ProxyCard
    scores : ProxyScores
    cut : tuple of str
        Stages that the deadline stopped early.
    seconds : float
    """

    folder: Path
    card: ProxyCard
    scores: ProxyScores
    cut: tuple[str, ...]
    seconds: float


class ProxyRun:
    """One training of a proxy; arguments as `train_proxy`."""

    def __init__(
        self,
        profile: Profile,
        audio: str | os.PathLike[str],
        *,
        out: str | os.PathLike[str],
        where: str | None,
        minutes: float,
        recipe: ProxyRecipe,
        seed: int,
        jobs: int | None,
        device: str,
        resume: bool,
        force: bool,
        report: Report,
        warn: Callable[[str], None],
        spent_s: float,
    ) -> None:
        self.out = Path(out)
        existing = [name for name in FILES if (self.out / name).exists()]
        if existing and not (force or resume):
            raise OutputError(f"{self.out / existing[0]} exists; give --force to replace it, or another folder")
        self.profile = msgspec.structs.replace(profile, folder="")
        self.spec = ChainSpec(profiles=(profile,))
        self.recipe, self.seed, self.minutes, self.warn = recipe, seed, minutes, warn
        self.device = torch.device(device)
        self.audio, self.where = audio, where
        self.folder = RunFolder(self.out / FILES[0], resume=resume, force=force)
        self.folder.check_identity(
            {
                "plugin": self.spec.fingerprint(),
                "recipe": recipe,
                "audio": str(Path(audio).resolve()),
                "where": where or "",
                "minutes": minutes,
                "seed": seed,
            }
        )
        self.ticker = Ticker(self.folder, minutes, spent_s, report)
        self.clock, self.tick = self.ticker.clock, self.ticker.tick
        self.responses: dict[str, Any] = {}
        torch.manual_seed(seed)
        self.gain = output_gain(profile)
        self.proxy = WaveformProxy(len(self.spec.space), recipe.architecture, recipe.options, self.gain)
        self.proxy.to(self.device)
        self.farm = Farm(jobs, log=str(self.folder.path / "native.log"))
        self.loss = StyleLoss(recipe.waveform)

    def run(self) -> TrainedProxy:
        """Go through data, steps and the check."""
        threads = torch.get_num_threads()
        try:
            with self.farm:
                return self._run()
        except (AudioError, UsageError):
            # What was asked can't be done; a plugin that fails leaves its log to read.
            self.folder.drop_if_nothing_was_kept()
            raise
        finally:
            if self.folder.path.exists():
                self.ticker.keep()
            torch.set_num_threads(threads)

    def _run(self) -> TrainedProxy:
        recipe = self.recipe
        self.tick("data", 0.0, "reading recordings")
        options = {"sample_rate": recipe.sample_rate, "segment": recipe.segment, "max_minutes": recipe.max_minutes}
        material = Material(
            self.folder,
            self.farm,
            self.spec,
            Recipe(**options),
            minutes=self.minutes,
            seed=self.seed,
            hears="statistics",
        )
        book, _, facts = material.books(self.audio, self.where)
        name_skipped(facts["skipped"], self.warn)
        plan = self.patch_plan(book)
        feed = PatchFeed(self.farm, self.spec, book, plan, batch=recipe.batch, seed=self.seed)
        # Few, and without noise: a score to show on the way.
        held = str(self.folder.path / "clips_val")
        quiet = msgspec.structs.replace(plan, noise=0.0, visited_share=0.0)
        glance = PatchFeed(self.farm, self.spec, held, quiet, batch=2, seed=self.seed, stage="glance")
        seen = [batch for k in range(AHEAD) if (batch := glance(k)) is not None]
        learned_filter = self.learn_responses(plan, seen)
        steps, threads = self.steps(feed)
        torch.set_num_threads(threads)
        reserve = self.reserve_s
        stage = Stage(
            name="proxy",
            steps=steps,
            learning_rate=recipe.rate,
            schedule=recipe.schedule,
            warm_up=recipe.warm_up,
            weight_decay=recipe.weight_decay,
            clip_norm=recipe.clip_norm,
            average=recipe.average,
            reserve_s=reserve,
            slow="network.response." if learned_filter else "",
        )
        best = {"score": float("inf")}

        def look(done: int, averaged: torch.nn.Module) -> bool:
            if done % max(1, steps // LOOKS) == 0:
                best["score"] = min(best["score"], self.score(averaged, seen))
            return False

        def tell(step: int, loss: float) -> None:
            tail = f", best held-out error {best['score']:.3f} of the input's" if np.isfinite(best["score"]) else ""
            share = recipe.response_share if learned_filter else 0.0
            self.tick("proxy", share + (1 - share) * step / steps, f"step {step} of {steps}, loss {loss:.3f}{tail}")

        done = run_stage(
            stage,
            self.proxy,
            lambda step: self.step_loss(feed(step)),
            seed=self.seed,
            folder=self.folder,
            clock=self.clock,
            progress=tell,
            after_step=look,
        )
        return self.finish(done, held, facts)

    def learn_responses(self, plan: PatchPlan, seen: list[dict[str, Tensor]]) -> bool:
        """Let a filter's network learn the plugin's measured responses first; say whether it now knows a filter.

        Responses that lead away from what becomes of recordings are forgotten: a gate shuts out the quiet impulse that
        they are measured with, and passes what is louder.
        """
        response = getattr(self.proxy.network, "response", None)
        recipe = self.recipe
        if response is None or recipe.response_share == 0:
            return False
        stage = ResponseStage(
            response,
            self.spec,
            self.farm,
            plan,
            frequencies=response.frequencies.cpu().numpy(),
            rate=recipe.sample_rate,
            seed=self.seed,
            folder=self.folder,
            clock=self.clock,
            reserve_s=self.reserve_s + KEPT * (1 - recipe.response_share) * self.clock.budget_s,
            tell=lambda share, words: self.tick("proxy", recipe.response_share * share, words),
        )
        stored = self.folder.read_json("responses.json")
        if stored is None:
            seconds = SAFETY * recipe.response_share * (self.clock.left_s - self.reserve_s)
            stored = {"wanted": recipe.responses or max(LEAST, stage.affordable(seconds))}
            self.folder.write_json("responses.json", stored)
        count, error_db = stage.run(stored["wanted"])
        kept = self.score(self.proxy.eval(), seen) < 1.0
        self.responses = {"responses": count, "error_db": error_db, "kept": kept}
        if not kept:
            response.forget()
        return kept

    @property
    def reserve_s(self) -> float:
        """Seconds at the end for measuring what was learned."""
        return min(CHECK_S, CHECK_SHARE * 60 * self.minutes)

    def patch_plan(self, book: str) -> PatchPlan:
        """Say how patches are drawn, with the settings that a controller visits where one is named."""
        recipe, path = self.recipe, self.folder.path / "visited.npy"
        if recipe.controller and not path.exists():
            network, card = load_controller(shelf.find("controllers", recipe.controller))
            if card.sample_rate != recipe.sample_rate:
                raise UsageError(
                    f"{recipe.controller} was learned at {card.sample_rate} Hz, the proxy is trained at "
                    f"{recipe.sample_rate} Hz; expected one rate"
                )
            if card.spec.fingerprint() != self.spec.fingerprint():
                raise ControllerError(
                    f"{recipe.controller} sets {card.spec.label}, the proxy is of {self.spec.label} with its own "
                    "controls and ranges; expected a controller of this very plugin"
                )
            np.save(path, visited_positions(network, card, self.farm, book, seed=self.seed))
        return PatchPlan(
            segment=recipe.segment,
            low_peak_dbfs=recipe.low_peak_dbfs,
            high_peak_dbfs=recipe.high_peak_dbfs,
            noise=recipe.noise,
            neutral=() if self.gain is None else ((self.gain.index, self.gain.neutral),),
            visited=str(path) if recipe.controller else "",
            visited_share=recipe.controller_share if recipe.controller else 0.0,
        )

    def step_loss(self, batch: dict[str, Tensor] | None) -> Tensor | None:
        """Compare the proxy with the plugin on a batch."""
        if batch is None:
            return None
        audio, target, values = (batch[name].to(self.device) for name in ("input", "target", "values"))
        made = self.proxy.imitate(audio, values)
        if self.recipe.limiter:
            made, target = limited(made), limited(target)
        return self.loss(made, target)

    @torch.no_grad()
    def score(self, proxy: torch.nn.Module, batches: list[dict[str, Tensor]]) -> float:
        """Give the held-out loss as a share of what leaving the input as it is would have."""
        missed = before = 0.0
        for batch in batches:
            audio, target, values = (batch[name].to(self.device) for name in ("input", "target", "values"))
            made: Any = proxy.imitate(audio, values)  # pyrefly: ignore[not-callable]
            missed += float(self.loss(limited(made), limited(target)))
            before += float(self.loss(limited(audio), limited(target)))
        return missed / before if before > 0 else float("inf")

    def steps(self, feed: PatchFeed) -> tuple[int, int]:
        """Read the stored plan, or time a few steps and make one: steps, and threads to train with."""
        stored = self.folder.read_json("plan.json")
        if stored is None:
            self.tick("calibrate", 0.0, "measuring what a step costs here")
            state = {name: tensor.clone() for name, tensor in self.proxy.state_dict().items()}
            began = time.monotonic()
            feed(-AHEAD)  # the first turn loads the plugin
            began = time.monotonic()
            batch = feed(-2 * AHEAD)
            render_s = (time.monotonic() - began) / AHEAD
            if batch is None:
                raise FarmError(f"no patch could be rendered by {self.spec.label}; probe the plugin again")
            threads, step_s = fastest_threads(lambda: self._step_s(batch))
            self.proxy.load_state_dict(state)
            left = SAFETY * (self.clock.left_s - self.reserve_s)
            steps = int(left / (render_s + 1.05 * step_s))
            if self.recipe.examples:
                steps = -(-self.recipe.examples // self.recipe.batch)
            if steps < 2:
                raise UsageError(
                    f"a step takes {render_s + step_s:.1f} s here and {self.clock.left_s:.0f} s are left; "
                    "give more --minutes"
                )
            stored = {"steps": steps, "threads": threads, "render_s": render_s, "step_s": step_s}
            self.folder.write_json("plan.json", stored)
        return int(stored["steps"]), int(stored["threads"])

    def _step_s(self, batch: dict[str, Tensor]) -> float:
        times = []
        self.proxy.train()
        for _ in range(3):
            began = time.monotonic()
            loss = self.step_loss(batch)
            assert loss is not None
            loss.backward()
            times.append(time.monotonic() - began)
        self.proxy.zero_grad(set_to_none=True)
        return min(times)

    def finish(self, steps: int, book: str, facts: dict[str, Any]) -> TrainedProxy:
        """Measure the proxy, and write weights, recipe and card."""
        self.tick("check", 0.0, "measuring it on held-out patches")
        recipe = self.recipe
        scores = measure_proxy(
            self.proxy.cpu().eval(),
            self.spec,
            self.farm,
            read_clip_book(book),
            patches=recipe.held_out,
            seed=self.seed,
            segment=min(recipe.segment, SEGMENT),
        )
        card = ProxyCard(
            profile=self.profile,
            architecture=recipe.architecture,
            options=recipe.options,
            gain=self.gain,
            sample_rate=recipe.sample_rate,
            seed=self.seed,
            minutes=self.minutes,
            steps=steps,
            examples=steps * recipe.batch,
            recipe=msgspec.to_builtins(recipe),
            versions=versions(),
            data={
                "where": self.where or "",
                **{key: facts[key] for key in ("found", "train", "val")},
                **({"responses": self.responses} if self.responses else {}),
            },
            scores=msgspec.to_builtins(scores),
        )
        self.folder.allow_replace()
        texts = {"recipe.toml": dump_proxy_recipe(recipe), "CARD.md": check_card(self.out.name, card, scores)}
        for name, text in texts.items():
            beside = self.out / (name + ".part")
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, self.out / name)
        save_proxy(self.out / FILES[0], self.proxy, card)
        seconds = self.clock.spent_s
        self.folder.clear()
        return TrainedProxy(folder=self.out, card=card, scores=scores, cut=tuple(self.clock.cut), seconds=seconds)


def train_proxy(
    profile: Profile,
    audio: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    where: str | None = None,
    minutes: float | None = None,
    recipe: ProxyRecipe | None = None,
    seed: int = 0,
    jobs: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    report: Report = lambda stage, share, words: None,
    warn: Callable[[str], None] = lambda text: None,
    spent_s: float = 0.0,
) -> TrainedProxy:
    """Train a waveform proxy of a plugin.

    Parameters
    ----------
    profile : Profile
    audio : path
        Folder of recordings; a MANIFEST.csv's train and val splits are honoured.
    out : path
        Folder for ``weights.safetensors``, ``recipe.toml`` and ``CARD.md``.
    where : str, optional
        Filter on the manifest, such as ``type=speech``.
    minutes : float > 0, optional
        Wall-clock budget; the recipe's by default.
    recipe : ProxyRecipe, optional
    seed : int
    jobs : int, optional
        Render workers.
    device : str
        Where the network trains, as torch names it.
    resume, force : bool
        Go on with an unfinished training, or start afresh and replace what is there.
    report : callable
        Told (stage, share done, words).
    warn : callable
        Told of recordings that could not be used, a line each.
    spent_s : float
        Seconds of the budget that went by before the call.

    Returns
    -------
    TrainedProxy

    Raises
    ------
    AudioError, PluginError, OutputError, UsageError, FarmError, RecipeError
    """
    recipe = recipe or ProxyRecipe()
    minutes = recipe.minutes if minutes is None else minutes
    if not 0 < minutes < float("inf"):
        raise UsageError(f"minutes is {minutes:g}; expected more than 0, for example 10")
    with torch.random.fork_rng(devices=[]):
        run = ProxyRun(
            profile,
            audio,
            out=out,
            where=where,
            minutes=minutes,
            recipe=recipe,
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
