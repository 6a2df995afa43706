"""What a run learns from: the working set of clips, and the shards of training pairs that workers make of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.data.folders import find_audio
from blackbox_afx.data.segments import ClipSampler, ClipSet, load_clips
from blackbox_afx.errors import FarmError, UsageError
from blackbox_afx.features.hearing import Hears
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.train.budget import Clock, StepPlan
from blackbox_afx.train.clip_book import read_clip_book, write_clip_book
from blackbox_afx.train.effect import FAILURES_ALLOWED
from blackbox_afx.train.loop import step_seed
from blackbox_afx.train.pairs import make_pairs, shortest_half
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.run_folder import RunFolder
from blackbox_afx.train.warm_start import Examples

AUDIO_A_MINUTE, LEAST_MINUTES, MOST_VAL_MINUTES = 6.0, 4.0, 10.0
"""Minutes of recordings that are read for each minute of budget, and bounds: reading takes time as well."""
NAMED = 5
"""Recordings that could not be used and are named one by one."""
HEARD_BYTES = 1.5e9
"""Most bytes that training pairs with audio may take."""


class Material:
    """Make and keep what a run learns from, in its folder.

    Parameters
    ----------
    folder : RunFolder
    farm : Farm
    spec : ChainSpec
    recipe : Recipe
    minutes : float
        Budget; a short one reads less.
    seed : int
    hears : str
        What the encoder hears, which pairs hold.

    Attributes
    ----------
    lost : int
        Training pairs whose render failed.
    """

    def __init__(
        self,
        folder: RunFolder,
        farm: Farm,
        spec: ChainSpec,
        recipe: Recipe,
        *,
        minutes: float,
        seed: int,
        hears: Hears,
    ) -> None:
        self.folder, self.farm, self.spec, self.recipe = folder, farm, spec, recipe
        self.minutes, self.seed, self.hears = minutes, seed, hears
        self.lost = 0
        self.why = "no shard was finished in time"

    def books(self, audio: str | os.PathLike[str], where: str | None) -> tuple[str, ClipSet, dict[str, Any]]:
        """Load the working set once and keep it in the run's folder for the workers.

        Returns
        -------
        str
            Clip book of the training split.
        ClipSet
            The held-out split.
        dict
            What was found, and ``skipped``: why each file was left out.

        Raises
        ------
        AudioError
            No usable recordings, or none long enough.
        """
        facts: dict[str, Any] | None = self.folder.read_json("data.json")
        paths = {split: str(self.folder.path / f"clips_{split}") for split in ("train", "val")}
        recipe = self.recipe
        if facts is None:
            collection = find_audio(Path(audio), where=where, purpose="learn", seed=self.seed)
            skipped = {str(item.path): item.reason for item in collection.skipped}
            facts = {"found": collection.describe()}
            most = min(recipe.max_minutes, max(LEAST_MINUTES, AUDIO_A_MINUTE * self.minutes))
            for split, longest in (("train", most), ("val", min(most, MOST_VAL_MINUTES))):
                clips = load_clips(
                    collection, split, sample_rate=recipe.sample_rate, max_minutes=longest, seed=self.seed
                )
                ClipSampler(np.random.default_rng(0), clips, recipe.segment, shortest_half(recipe.segment))
                facts[split] = {
                    "minutes": round(clips.minutes, 2),
                    "clips": len(clips.clips),
                    "speakers": len({clip.speaker for clip in clips.clips}),
                }
                skipped |= {str(item.path): item.reason for item in clips.skipped}
                write_clip_book(paths[split], clips)
            facts["skipped"] = skipped
            self.folder.write_json("data.json", facts)
        return paths["train"], read_clip_book(paths["val"]), facts

    @property
    def most_clips(self) -> float:
        """Clips of pairs that memory holds."""
        if self.hears != "audio":
            return float("inf")
        return HEARD_BYTES / (2 * self.recipe.segment * 2 * (1 + 2 * self.recipe.styles + self.recipe.settings))

    def pairs(
        self, plan: StepPlan, book: str, clock: Clock, reserve_s: float, tick: Callable[[str, float, str], None]
    ) -> Examples:
        """Make the shards of training pairs that are not there yet, and join all.

        Parameters
        ----------
        plan : StepPlan
        book : str
            Clip book of the training split.
        clock : Clock
        reserve_s : float
            Seconds of the budget that later stages need at least.
        tick : callable
            Told (stage, share done, words).

        Raises
        ------
        UsageError
            Not one shard was made.
        FarmError
            More than one in twenty pairs failed.
        """
        used = self.folder.read_json("shards.json")
        if used is None:
            used = self._make(plan, book, clock, reserve_s, tick)
            # What later stages began with they must find again after a resume, however late the rest would come.
            self.folder.write_json("shards.json", used)
        if not used:
            raise UsageError(
                f"no training pairs were made ({self.why}); give more --minutes, or probe the plugin again"
            )
        shards = (shard for k in used if (shard := self.folder.read_shard(k)) is not None)
        examples = Examples.join(shards, len(used) * plan.shard_clips)
        # Also after a resume, which did not see them fail.
        self.lost = max(self.lost, len(used) * plan.shard_clips * self.recipe.settings * 2 - len(examples.index))
        return examples

    def _make(
        self, plan: StepPlan, book: str, clock: Clock, reserve_s: float, tick: Callable[[str, float, str], None]
    ) -> list[int]:
        todo = [k for k in range(plan.shards) if not self.folder.has_shard(k)]
        jobs = [self.job(plan.shard_clips, book, k) for k in todo]
        done, good = plan.shards - len(todo), 0
        per_job = self.recipe.settings * 2 * plan.shard_clips
        # In groups: a farm call returns at its end, and a deadline must not wait for all.
        group = max(self.farm.n_jobs * 2, 4) if self.farm.n_jobs > 1 else 1
        for start in range(0, len(jobs), group):
            # A machine slower than its calibration still gets something to learn from.
            if start and clock.over("pairs", reserve_s):
                break
            for result in self.farm.run_iter(jobs[start : start + group]):
                lost = per_job
                if result.failure is None:
                    self.folder.write_shard(todo[start + result.index], result.value)
                    lost = 2 * int((~result.value["valid"]).sum())
                else:
                    self.why = result.failure.message
                    self.folder.log(stage="pairs", lost=per_job, why=self.why)
                self.lost += lost
                good += per_job - lost
                done += 1
                tick("pairs", done / plan.shards, f"{done * per_job} training pairs")
            if self.lost + good >= 200 and self.lost > FAILURES_ALLOWED * (self.lost + good):
                raise FarmError(
                    f"{self.lost} of {self.lost + good} training pairs failed, more than one in twenty; the last: "
                    f"{self.why}; probe the plugin again or narrow the control's range in its profile"
                )
        return [k for k in range(plan.shards) if self.folder.has_shard(k)]

    def job(self, clips: int, book: str, index: int) -> CallJob:
        """Describe the job that makes one shard."""
        recipe = self.recipe
        seconds = recipe.segment / recipe.sample_rate
        cost = clips * (2 * recipe.settings * (self.spec.cost_s(seconds) + 0.004) + 0.04 + 0.08 * recipe.styles)
        seed = step_seed(self.seed, "pairs", index)
        return CallJob(
            function=make_pairs,
            args=(
                *(self.spec, book, seed, clips),
                *(recipe.settings, recipe.segment, recipe.corrupted, recipe.styles, self.hears),
                *(recipe.max_cents, recipe.spliced),
            ),
            spec=self.spec,
            cost=cost,
            finite=False,
        )

    def trial(self, book: str, turn: int, count: int, clips: int) -> list[dict[str, np.ndarray]]:
        """Make some shards that nobody keeps, for calibration.

        Raises
        ------
        FarmError
            None could be made.
        """
        results = self.farm.run([self.job(clips, book, -1 - k - turn * 1000) for k in range(count)])
        made = [result.value for result in results if result.failure is None]
        if not made:
            failure = results[0].failure
            raise FarmError(f"no training pair could be rendered ({failure.message if failure else ''})")
        return made


def name_skipped(skipped: dict[str, str], warn: Callable[[str], None]) -> None:
    """Say how many recordings were left out, and of the first few which and why.

    Parameters
    ----------
    skipped : dict of str
        Reason by path, as `Material.books` tells them.
    warn : callable
        Told a line at a time.
    """
    if not skipped:
        return
    noun = "recording was" if len(skipped) == 1 else "recordings were"
    warn(f"{len(skipped)} {noun} left out")
    for path, reason in list(skipped.items())[:NAMED]:
        warn(reason if path in reason else f"{path}: {reason}")
    if len(skipped) > NAMED:
        warn(f"and {len(skipped) - NAMED} more")
