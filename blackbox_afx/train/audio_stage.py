"""The audio stage: steps on the audio loss, through the effect module of the method.

For real plugins the loss gradient at the audio is exact, and an estimator probes the plugin for the rest. A regression
term holds the controls that the loss can't hear, where the settings behind the targets are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from blackbox_afx.errors import FarmError
from blackbox_afx.features.hearing import Hears
from blackbox_afx.grads.bridge import BlackBoxEffect
from blackbox_afx.losses.reported import ReportedLoss
from blackbox_afx.losses.style import StyleLoss
from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob, Result
from blackbox_afx.train.clip_book import read_clip_book
from blackbox_afx.train.pairs import make_audio_pair
from blackbox_afx.train.paper_pairs import make_paper_pair


class AudioLoss:
    """The loss of one audio step; a callable for `run_stage`.

    Parameters
    ----------
    network : StyleNetwork
    effect : nn.Module
        One of `blackbox_afx.train.effects.EFFECTS`: the real chain with its estimator, a proxy, a TCN.
    farm : Farm
        Makes the pairs.
    spec : ChainSpec
    book : str
        Clip book of the training split.
    batch, segment : int
    hold : float
        Weight of the regression term, for pairs whose settings are known.
    foreign : float, 0 to 1
        Share of pairs whose input and target are made by other effects, as in the 2022 paper, instead of the chain at
        random settings.
    seed_of : callable
        Step to seed.
    count : callable
        Told the farm's results, so that failures are counted where those of renders are.
    loss : nn.Module, optional
        With a method ``per_example``; `StyleLoss` by default.
    rehearsal : callable, optional
        Step to a further loss, which is added: the warm start's, so that what was learned from thousands of pairs is
        not lost to a few dozen.
    spliced : float, 0 to 1
        Share of clips that are cut into pieces and put together anew.
    """

    def __init__(
        self,
        network: StyleNetwork,
        effect: torch.nn.Module,
        farm: Farm,
        spec: ChainSpec,
        book: str,
        *,
        batch: int,
        segment: int,
        hold: float,
        foreign: float = 0.0,
        seed_of: Callable[[int], int],
        count: Callable[[Sequence[Result]], None],
        loss: StyleLoss | ReportedLoss | None = None,
        rehearsal: Callable[[int], Tensor] | None = None,
        spliced: float = 0.0,
    ) -> None:
        self.network, self.effect, self.farm, self.spec, self.book = network, effect, farm, spec, book
        self.batch, self.segment, self.hold, self.seed_of = batch, segment, hold, seed_of
        self.count, self.foreign, self.rehearsal, self.spliced = count, foreign, rehearsal, spliced
        self.loss = StyleLoss() if loss is None else loss
        self.hears: Hears = network.encoder.hears

    def pairs(self, step: int) -> dict[str, Tensor]:
        """Make a batch; a pair whose render failed is left out."""
        rng = np.random.default_rng(self.seed_of(step))
        seconds = self.segment / read_clip_book(self.book).sample_rate
        cost = 2 * self.spec.cost_s(seconds) + 0.01
        seeds = [int(seed) for seed in rng.integers(2**31, size=self.batch)]
        jobs = [
            CallJob(function=make_paper_pair, args=(self.book, seed, self.segment, self.hears, self.spliced), cost=0.05)
            if strange
            else CallJob(
                function=make_audio_pair,
                args=(self.spec, self.book, seed, self.segment, self.hears, self.spliced),
                spec=self.spec,
                cost=cost,
            )
            for seed, strange in zip(seeds, rng.random(self.batch) < self.foreign, strict=True)
        ]
        results = self.farm.run(jobs)
        self.count(results)
        unknown = {"values": np.full(len(self.spec.space), np.nan)}
        made = [unknown | result.value for result in results if result.failure is None]
        if not made:
            failure = results[0].failure
            why = failure.message if failure is not None else ""
            raise FarmError(f"no training pair of a whole batch could be rendered ({why}); probe the plugin again")
        device = next(self.network.parameters()).device
        return {name: torch.as_tensor(np.stack([pair[name] for pair in made])).float().to(device) for name in made[0]}

    def __call__(self, step: int) -> Tensor | None:
        """Render, compare, and give a loss whose backward asks the estimator."""
        batch = self.pairs(step)
        # Dropout would make the plugin's gradient answer a question that the controller never asks.
        self.network.train(has_running_statistics(self.network))
        if isinstance(self.effect, BlackBoxEffect):
            self.effect.rng = np.random.default_rng([self.seed_of(step), 1])
            self.effect.state = None
        positions = self.network(batch["source"], batch["reference"])
        audio = self.effect(batch["input"][:, None], positions)
        # Only what renders plugins can lose an example.
        ok = getattr(self.effect, "last_ok", None)
        heard = torch.ones(len(audio), dtype=torch.bool) if ok is None else torch.as_tensor(ok)
        if not heard.any():
            return None
        heard = heard.to(audio.device)
        errors = self.loss.per_example(audio[heard], batch["target"][:, None][heard])
        total = errors.mean()
        # Toggles and choices, too: the estimator has no gradient for them, so that nothing else holds them.
        known = heard & batch["values"].isfinite().all(1)
        if self.hold and known.any():
            # Chosen before they are subtracted: a NaN that is left out afterwards has a gradient of NaN all the same.
            total = total + self.hold * ((positions[known] - batch["values"][known]) ** 2).mean()
        return total if self.rehearsal is None else total + self.rehearsal(step)


def has_running_statistics(network: torch.nn.Module) -> bool:
    """Whether a network normalises by batch statistics, which have to be learned along with its weights."""
    return any(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in network.modules())
