"""Teach a filter's network the plugin's measured responses: the first stage of training a proxy that has a filter."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.proxies.filter_gain import TAPS, Response
from blackbox_afx.train.budget import Clock
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.loop import Stage, run_stage, step_seed
from blackbox_afx.train.patches import PatchPlan
from blackbox_afx.train.responses import measure_responses
from blackbox_afx.train.run_folder import RunFolder

EPOCHS = 40
"""How often each measured response is learned from."""
BATCH = 256
RATE = 2e-3
CHUNK = 200
"""Responses measured by one job."""
LEAST, MOST = 512, 120_000
HELD = 0.04
"""Share of them that only tells how good the network is."""


class ResponseStage:
    """Measure responses, and fit a `Response` to them.

    Parameters
    ----------
    response : Response
        Trained in place.
    spec : ChainSpec
    farm : Farm
    plan : PatchPlan
        Says how settings are drawn.
    rate : int
        Hertz.
    seed : int
    folder : RunFolder
    clock : Clock
    tell : callable
        Told the share done, and words.
    """

    def __init__(
        self,
        response: Response,
        spec: ChainSpec,
        farm: Farm,
        plan: PatchPlan,
        *,
        rate: int,
        seed: int,
        folder: RunFolder,
        clock: Clock,
        tell: Callable[[float, str], None],
    ) -> None:
        self.response, self.spec, self.farm, self.plan = response, spec, farm, plan
        self.rate, self.seed, self.folder, self.clock, self.tell = rate, seed, folder, clock, tell
        self.device = next(response.parameters()).device
        self.count_failures = FarmEffect(farm, spec, rate).count

    def run(self, seconds: float, wanted: int = 0) -> tuple[int, float]:
        """Measure and learn.

        Parameters
        ----------
        seconds : float
            Time to plan for.
        wanted : int
            Responses to measure; 0 for as many as the seconds give.

        Returns
        -------
        int
            Responses measured.
        float
            Mean absolute error in dB on those held out.
        """
        settings, decibels = self.measured(seconds, wanted)
        held = max(1, int(HELD * len(settings)))
        learned = len(settings) - held

        def loss(step: int) -> Tensor:
            rows = torch.randint(learned, (BATCH,)).to(self.device)
            return torch.nn.functional.smooth_l1_loss(self.response.knots_db(settings[rows]), decibels[rows])

        steps = max(1, EPOCHS * learned // BATCH)
        stage = Stage(name="response", steps=steps, learning_rate=RATE, weight_decay=0.0, average=0.995)

        def told(step: int, value: float) -> None:
            if step % 50 == 0:
                self.tell(step / steps, f"response: step {step} of {steps}")

        run_stage(stage, self.response, loss, seed=self.seed, folder=self.folder, clock=self.clock, progress=told)
        with torch.no_grad():
            error = float((self.response.knots_db(settings[learned:]) - decibels[learned:]).abs().mean())
        return len(settings), error

    def measured(self, seconds: float, wanted: int) -> tuple[Tensor, Tensor]:
        """Give settings and responses, from the run's folder where they were measured already."""
        stored = self.folder.read_json("responses.json")
        if stored is None:
            stored = {"count": wanted or self.affordable(seconds)}
            self.folder.write_json("responses.json", stored)
        chunks = -(-stored["count"] // CHUNK)
        missing = [k for k in range(chunks) if not self.folder.has_shard(k)]
        group = 8 * self.farm.n_jobs
        for first in range(0, len(missing), group):
            numbers = missing[first : first + group]
            self.tell(first / max(chunks, 1), f"response: {CHUNK * numbers[0]} of {stored['count']} measured")
            results = self.farm.run([self.job(k, CHUNK) for k in numbers])
            self.count_failures(results)
            for k, result in zip(numbers, results, strict=True):
                if result.value is not None:
                    self.folder.write_shard(k, result.value)
        shards = [shard for k in range(chunks) if (shard := self.folder.read_shard(k)) is not None]
        settings = torch.from_numpy(np.concatenate([shard["values"] for shard in shards]))
        decibels = torch.from_numpy(np.concatenate([shard["decibels"] for shard in shards]))
        limit = self.response.largest_db
        return settings.to(self.device), decibels.clamp(-limit, limit).to(self.device)

    def affordable(self, seconds: float) -> int:
        """Say how many responses can be measured and learned from in a time, from what a few cost."""
        self.farm.run([self.job(-1, 8)])  # the first turn loads the plugin
        began = time.monotonic()
        self.farm.run([self.job(-2 - k, 32) for k in range(self.farm.n_jobs)])
        measuring = (time.monotonic() - began) / (32 * self.farm.n_jobs)
        settings = torch.rand(BATCH, self.response.controls, device=self.device)
        times = []
        for _ in range(5):
            began = time.monotonic()
            self.response.knots_db(settings).square().mean().backward()
            times.append(time.monotonic() - began)
        self.response.zero_grad(set_to_none=True)
        # The optimiser and the average cost about as much as half a step.
        each = measuring + EPOCHS / BATCH * 1.5 * min(times)
        return int(min(max(seconds / each, LEAST), MOST))

    def job(self, number: int, count: int) -> CallJob:
        """Describe one job; what it measures depends on its number alone."""
        frequencies = self.response.frequencies.cpu().numpy()
        seed = step_seed(self.seed, "response settings", number)
        return CallJob(
            function=measure_responses,
            args=(self.spec, seed, count, self.plan, self.rate, TAPS, frequencies),
            spec=self.spec,
            cost=count * (self.spec.cost_s(TAPS / self.rate) + 0.0005),
            finite=False,
        )
