"""Teach a network the plugin's measured responses: the first stage of proxies, of waveforms and of features alike."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from blackbox_afx.errors import FarmError
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.proxies.curve import LARGEST_DB, Curve
from blackbox_afx.proxies.filter_gain import TAPS
from blackbox_afx.train.budget import Clock
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.loop import Stage, run_stage, step_seed
from blackbox_afx.train.patches import SettingPlan
from blackbox_afx.train.responses import measure_responses
from blackbox_afx.train.run_folder import RunFolder

EPOCHS = 60
"""How often each measured response is learned from."""
BATCH = 256
RATE = 2e-3
CHUNK = 200
"""Responses measured by one job."""
LEAST, MOST = 512, 120_000
HELD = 0.04
"""Share of them that only tells how good the network is."""
KIND, USED = "responses", "responses_used.json"
DONE, SCORES = "response_done.safetensors", "response_scores.json"


class ResponseStage:
    """Measure responses, and fit a curve to them.

    Parameters
    ----------
    curve : Curve
        Trained in place.
    spec : ChainSpec
    farm : Farm
    plan : SettingPlan
        Says how settings are drawn.
    frequencies : array, shape [knots], optional
        Where the curve's knots lie, as `blackbox_afx.features.responses.response_db` takes them; by default in the
        bands of the statistics.
    rate : int
        Hertz.
    seed : int
    folder : RunFolder
    clock : Clock
    reserve_s : float
        Seconds of the budget that later work needs.
    tell : callable
        Told the share done, and words.
    """

    def __init__(
        self,
        curve: Curve,
        spec: ChainSpec,
        farm: Farm,
        plan: SettingPlan,
        *,
        frequencies: np.ndarray | None = None,
        rate: int,
        seed: int,
        folder: RunFolder,
        clock: Clock,
        reserve_s: float = 0.0,
        tell: Callable[[float, str], None] = lambda share, words: None,
    ) -> None:
        self.curve, self.spec, self.farm, self.plan, self.frequencies = curve, spec, farm, plan, frequencies
        self.rate, self.seed, self.folder, self.clock, self.reserve_s = rate, seed, folder, clock, reserve_s
        self.tell = tell
        self.device = next(curve.parameters()).device
        self.count_failures = FarmEffect(farm, spec, rate).count

    def run(self, wanted: int) -> tuple[int, float]:
        """Measure and learn, or take what an earlier sitting learned.

        Parameters
        ----------
        wanted : int
            Responses to measure.

        Returns
        -------
        int
            Responses measured.
        float
            Mean absolute error in dB on those held out.

        Raises
        ------
        FarmError
            None could be measured, or too many renders failed.
        """
        found, scores = self.folder.load_tensors(DONE), self.folder.read_json(SCORES)
        if found is None or scores is None:
            scores = self.learn(wanted)
            self.folder.save_tensors(DONE, self.curve.state_dict(), {})
            self.folder.write_json(SCORES, scores)
        else:
            self.curve.load_state_dict(found[0])
        self.tell(1.0, f"response known to {scores['error_db']:.2f} dB on held-out settings")
        return int(scores["responses"]), float(scores["error_db"])

    def learn(self, wanted: int) -> dict[str, float]:
        """Measure and learn; the number of responses, and the error in dB on those held out."""
        settings, decibels = self.measured(wanted)
        held = max(1, int(HELD * len(settings)))
        learned = len(settings) - held

        def loss(step: int) -> Tensor:
            rows = torch.randint(learned, (BATCH,)).to(self.device)
            return torch.nn.functional.smooth_l1_loss(self.curve.knots_db(settings[rows]), decibels[rows])

        # A proxy of which it is a part keeps it frozen.
        frozen = not any(weight.requires_grad for weight in self.curve.parameters())
        self.curve.requires_grad_(True)
        stage = Stage(
            name="response",
            steps=max(1, EPOCHS * learned // BATCH),
            learning_rate=RATE,
            weight_decay=0.0,
            average=0.995,
            reserve_s=self.reserve_s,
        )

        def told(step: int, value: float) -> None:
            if step % 50 == 0:
                self.tell(step / stage.steps, f"response: step {step} of {stage.steps}")

        run_stage(stage, self.curve, loss, seed=self.seed, folder=self.folder, clock=self.clock, progress=told)
        self.curve.requires_grad_(not frozen)
        with torch.no_grad():
            error = float((self.curve.knots_db(settings[learned:]) - decibels[learned:]).abs().mean())
        return {"responses": len(settings), "error_db": error}

    def measured(self, wanted: int) -> tuple[Tensor, Tensor]:
        """Give settings and responses; what an earlier sitting measured is not measured again.

        Returns
        -------
        Tensor [settings, controls]
        Tensor [settings, knots]
            In dB.
        """
        used = self.folder.read_json(USED)
        if used is None:
            used = self._measure(wanted)
            # What the curve began to learn it must find again after a resume; nothing is no beginning.
            if used:
                self.folder.write_json(USED, used)
        shards = [shard for k in used if (shard := self.folder.read_shard(k, KIND)) is not None]
        if not shards:
            raise FarmError(f"no response of {self.spec.label} could be measured; probe the plugin again")
        settings = torch.from_numpy(np.concatenate([shard["values"] for shard in shards]))
        decibels = torch.from_numpy(np.concatenate([shard["decibels"] for shard in shards]))
        return settings.to(self.device), decibels.clamp(-LARGEST_DB, LARGEST_DB).to(self.device)

    def _measure(self, wanted: int) -> list[int]:
        """Measure what is missing of so many responses; the numbers of all chunks that are there."""
        chunks = -(-wanted // CHUNK)
        missing = [k for k in range(chunks) if not self.folder.has_shard(k, KIND)]
        # Between groups the clock is looked at.
        group = 2 * max(2, self.farm.n_jobs)
        for first in range(0, len(missing), group):
            # A machine slower than its calibration still gets something to learn from.
            if (first or len(missing) < chunks) and self.clock.over("response", self.reserve_s):
                break
            numbers = missing[first : first + group]
            self.tell(0.0, f"response: {CHUNK * numbers[0]} of {wanted} measured")
            results = self.farm.run([self.job(k, CHUNK) for k in numbers])
            self.count_failures(results)
            for k, result in zip(numbers, results, strict=True):
                if result.value is not None:
                    self.folder.write_shard(k, result.value, KIND)
        return [k for k in range(chunks) if self.folder.has_shard(k, KIND)]

    def cost_s(self) -> float:
        """Give the seconds that measuring a response and learning from it take, from a few of them."""
        workers = max(2, self.farm.n_jobs)
        # The first turn loads the plugin, in every worker.
        self.farm.run([self.job(-1 - k, 8) for k in range(2 * workers)])
        began = time.monotonic()
        self.farm.run([self.job(-100 - k, 32) for k in range(workers)])
        measuring = (time.monotonic() - began) / (32 * workers)
        settings = torch.rand(BATCH, self.curve.controls, device=self.device)
        trial = copy.deepcopy(self.curve).requires_grad_(True)
        times = []
        for _ in range(5):
            began = time.monotonic()
            trial.knots_db(settings).square().mean().backward()
            times.append(time.monotonic() - began)
        # The optimiser and the average cost about as much as half a step.
        return measuring + EPOCHS / BATCH * 1.5 * min(times)

    def affordable(self, seconds: float) -> int:
        """Say how many responses can be measured and learned from in a time."""
        return int(min(seconds / self.cost_s(), MOST))

    def job(self, number: int, count: int) -> CallJob:
        """Describe one job; what it measures depends on its number alone."""
        seed = step_seed(self.seed, "response settings", number)
        return CallJob(
            function=measure_responses,
            args=(self.spec, seed, count, self.plan, self.rate, TAPS, self.frequencies),
            spec=self.spec,
            cost=count * (self.spec.cost_s(TAPS / self.rate) + 0.0005),
            finite=False,
        )
