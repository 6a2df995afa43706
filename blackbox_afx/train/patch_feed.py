"""Rendered patches for the steps of a proxy's training, a few steps ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.train.clip_book import read_clip_book
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.loop import step_seed
from blackbox_afx.train.patches import PatchPlan, make_patches

AHEAD = 8
"""Steps whose patches are rendered at one go."""


class PatchFeed:
    """Render the patches of training steps, several steps at a time; what a step gets depends on its number alone.

    Parameters
    ----------
    farm : Farm
    spec : ChainSpec
    book : str
        Clip book.
    plan : PatchPlan
    batch : int
    seed : int
    stage : str
        Another name gives other patches.
    """

    def __init__(
        self, farm: Farm, spec: ChainSpec, book: str, plan: PatchPlan, *, batch: int, seed: int, stage: str = "patches"
    ) -> None:
        self.farm, self.spec, self.book, self.plan = farm, spec, book, plan
        self.batch, self.seed, self.stage = batch, seed, stage
        self.count = FarmEffect(farm, spec, read_clip_book(book).sample_rate).count
        self._group: int | None = None
        self._made: list[Any] = []

    def job(self, step: int) -> CallJob:
        """Describe the job that makes one step's patches."""
        cost = self.batch * (self.spec.cost_s(self.plan.segment / read_clip_book(self.book).sample_rate) + 0.005)
        seed = step_seed(self.seed, self.stage, step)
        return CallJob(
            function=make_patches,
            args=(self.spec, self.book, seed, self.batch, self.plan),
            spec=self.spec,
            cost=cost,
            finite=False,
        )

    def __call__(self, step: int) -> dict[str, Tensor] | None:
        """Give ``input``, ``target`` [patches, 1, samples] and ``values`` of a step; None where all renders failed."""
        group, place = divmod(step, AHEAD)
        if group != self._group:
            results = self.farm.run([self.job(group * AHEAD + k) for k in range(AHEAD)])
            self.count(results)
            self._group, self._made = group, [result.value for result in results]
        made = self._made[place]
        if made is None:
            return None
        tensors = {name: torch.from_numpy(np.asarray(rows)) for name, rows in made.items()}
        return {name: rows if name == "values" else rows[:, None] for name, rows in tensors.items()}
