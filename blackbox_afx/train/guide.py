"""Make a guide for the derivatives of a chain: a tangent proxy, and how far it is to be trusted.

All of it is measured on the chain itself, from renders: the proxy learns from small turns of single controls, the trust
from full differences of an audio loss at a few examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from blackbox_afx.data.segments import ClipSampler
from blackbox_afx.errors import ControllerError, FarmError
from blackbox_afx.grads.differences import Differences
from blackbox_afx.grads.guided import Guided
from blackbox_afx.grads.posterior import as_tuple, error_of, table
from blackbox_afx.grads.protocol import Estimator
from blackbox_afx.grads.steps import chain_step_sizes
from blackbox_afx.losses import ReportedLoss, StyleLoss
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.proxies.tangent import TangentGuide, TangentProxy, train_tangent
from blackbox_afx.train.budget import Clock
from blackbox_afx.train.clip_book import read_clip_book
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.linear_parts import LinearParts
from blackbox_afx.train.run_folder import load_tensors, save_tensors
from blackbox_afx.train.tangents import make_tangents

Tell = Callable[[float, str], None]
"""Told (share done 0 to 1, words)."""

GUIDE_SHARE = 0.35
"""Of the audio stage's time, where its method wants a guide."""
LATE_SHARE = 0.5
"""Of the time that is left, the most that goes into a guide; a run on time is far from it."""
LEAST_EXAMPLES, MOST_EXAMPLES = 120, 8000
LEAST_CALIBRATION = 8
"""With so few, what is known of the guide's error is its size, control by control."""
JOB_EXAMPLES = 12
CONTROLS_TURNED = 4
PROBE_STEP = 1e-3
LINEAR = 1e-8
"""Of a plugin's output, the share that its response may miss at most settings for it to be left unrendered."""


class GuidePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how much goes into a guide.

    Parameters
    ----------
    examples : int
        Settings that the proxy learns from, each with four controls turned.
    segment : int
        Samples of each.
    passes : float
        How often the proxy goes over them.
    width : int
        Of the proxy.
    calibration : int
        Examples that tell how far the guide is to be trusted, by full differences.
    """

    examples: int = 3000
    segment: int = 32768
    passes: float = 40.0
    width: int = 384
    calibration: int = 64


class Guide(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a chain's tangent proxy and its calibration.

    Parameters
    ----------
    direction : TangentGuide
        What `blackbox_afx.grads.bridge.BlackBoxEffect` takes as its guide.
    slope : float64 [P]
    covariance : float64 [P, P]
        See `blackbox_afx.grads.posterior.error_of`.
    """

    direction: TangentGuide
    slope: np.ndarray
    covariance: np.ndarray

    @property
    def parts(self) -> LinearParts:
        """What measures for it."""
        parts = self.direction.parts
        assert isinstance(parts, LinearParts)
        return parts

    def probe_steps(self, spec: ChainSpec) -> np.ndarray:
        """Say how far its probes move each control, float64 [P]; NaN for those that are not differentiated.

        Shorter than those of differences: a probe lies on one side only, and all controls of an equaliser together
        make a great change of what a saturator gets.
        """
        return np.where(np.isfinite(self.parts.steps), chain_step_sizes(spec, PROBE_STEP), np.nan)

    def estimator(self, spec: ChainSpec, calls: float, samples: int, **options: Any) -> Guided:
        """Make the estimator that spends `calls`, impulses among them, where this guide errs most.

        Parameters
        ----------
        spec : ChainSpec
        calls : float
            Renders of the whole chain beyond the forward one.
        samples : int
            Of such a render; impulses cost by their share of it.
        **options
            As `Guided`.
        """
        gain, gain_slope = last_gain(spec)
        return Guided(
            calls=max(calls - self.parts.measure_calls(samples), 0.0),
            costs=as_tuple(self.parts.costs),
            slope=as_tuple(self.slope),
            covariance=table(self.covariance),
            gain=gain,
            gain_slope=gain_slope,
            **options,
        )

    def save(self, path: Path) -> None:
        """Write it beside its place and rename it there."""
        tensors = {f"proxy.{name}": value for name, value in self.direction.proxy.state_dict().items()}
        kept = {"slope": self.slope, "covariance": self.covariance, "steps": self.parts.steps}
        tensors |= {name: torch.from_numpy(rows) for name, rows in kept.items()}
        tensors["linear"] = torch.from_numpy(self.parts.linear)
        save_tensors(path, tensors, {"sample_rate": str(self.direction.sample_rate)})

    @classmethod
    def load(cls, path: Path, effect: FarmEffect) -> Guide:
        """Read what `save` wrote, for the chain and farm in use.

        Raises
        ------
        ControllerError
            The file is none, or comes from a version whose guides measured no impulses.
        """
        tensors, metadata = load_tensors(path)
        if "linear" not in tensors:
            raise ControllerError(f"{path}: a guide of an earlier version; remove it, and the run makes another")
        weights = {name[len("proxy.") :]: value for name, value in tensors.items() if name.startswith("proxy.")}
        proxy = TangentProxy(len(tensors["slope"]), width=len(weights["norm.weight"]))
        proxy.load_state_dict(weights)
        parts = LinearParts(effect, tensors["steps"].numpy(), tensors["linear"].numpy())
        return cls(
            direction=TangentGuide(proxy, int(metadata["sample_rate"]), parts),
            slope=tensors["slope"].numpy(),
            covariance=tensors["covariance"].numpy(),
        )


def guide_seconds(clock: Clock, share: float, reserve_s: float) -> float:
    """Say how long making a guide may take, and note where a late run has to hurry.

    Parameters
    ----------
    clock : Clock
    share : float
        Of the budget, planned for the audio stage.
    reserve_s : float
        Seconds that what comes after the audio stage needs.

    Returns
    -------
    float
        Seconds; negative where the run is over already.
    """
    planned, left = GUIDE_SHARE * share * clock.budget_s, LATE_SHARE * (clock.left_s - reserve_s)
    if left < planned:
        # What is learned then depends on the clock.
        clock.hurry("guide")
    return min(planned, left)


def guide_plan(spec: ChainSpec, seconds: float, jobs: int, sample_rate: int) -> GuidePlan:
    """Plan a guide that is made in about so many seconds on an idle machine, or the least one that is of use.

    Parameters
    ----------
    spec : ChainSpec
    seconds : float
        At most half of them go into measuring how far the guide is to be trusted.
    jobs : int
        Render workers.
    sample_rate : int
        Hertz.

    Returns
    -------
    GuidePlan
    """
    plan = GuidePlan()
    render_s = spec.cost_s(plan.segment / sample_rate) + 0.003
    # Measuring takes about as long as five renders; forty passes over an example 8 ms.
    example_s = ((1 + CONTROLS_TURNED) * render_s + 0.02) / max(jobs, 1) + 0.008
    measured_s = (3 + len(spec.space)) * 2 * render_s / max(jobs, 1) + 0.05
    calibration = int(np.clip(0.5 * seconds / measured_s, LEAST_CALIBRATION, plan.calibration))
    examples = int(np.clip((seconds - calibration * measured_s) / example_s, LEAST_EXAMPLES, MOST_EXAMPLES))
    return msgspec.structs.replace(plan, examples=examples, calibration=calibration)


def last_gain(spec: ChainSpec) -> tuple[int, float]:
    """Find the control that is a plain gain in dB at the end of the chain.

    Returns
    -------
    int
        Its place among the controls; -1 where there is none.
    float
        How much a unit of its position multiplies the output's logarithm by.
    """
    found = spec.last_gain
    if found is not None:
        place, travel_db = found
        return place, travel_db * math.log(10.0) / 20.0
    return -1, 0.0


def make_guide(
    farm: Farm,
    spec: ChainSpec,
    book: str,
    steps: np.ndarray,
    *,
    plan: GuidePlan | None = None,
    corrupted: float = 0.5,
    around: np.ndarray | None = None,
    seed: int = 0,
    tell: Tell = lambda share, words: None,
) -> Guide:
    """Make material, train a tangent proxy on it, and measure how far it is to be trusted.

    Parameters
    ----------
    farm : Farm
    spec : ChainSpec
    book : str
        Clip book of the training split.
    steps : float [P]
        From `blackbox_afx.grads.steps.step_sizes`; NaN: not differentiated.
    plan : GuidePlan, optional
    corrupted : float, 0 to 1
        Share of inputs that other effects coloured first.
    around : float [N, P], optional
        Settings that the chain will be differentiated at; without it they are uniform.
    seed : int
    tell : callable

    Returns
    -------
    Guide

    Raises
    ------
    FarmError
        No example could be rendered.
    """
    plan = plan or GuidePlan()
    rate = read_clip_book(book).sample_rate
    seconds = plan.segment / rate
    cost = JOB_EXAMPLES * ((1 + CONTROLS_TURNED) * (spec.cost_s(seconds) + 0.03) + 0.15)
    jobs = [
        CallJob(
            function=make_tangents,
            args=(spec, book, seed + k, JOB_EXAMPLES, CONTROLS_TURNED, plan.segment, corrupted, steps, around),
            spec=spec,
            cost=cost,
            finite=False,
        )
        for k in np.random.default_rng([seed, 1]).integers(2**30, size=-(-plan.examples // JOB_EXAMPLES)).tolist()
    ]
    found, why = {}, ""
    for done, result in enumerate(farm.run_iter(jobs), 1):
        if result.failure is None:
            found[result.index] = result.value
        else:
            why = result.failure.message
        tell(0.5 * done / len(jobs), f"{done * JOB_EXAMPLES} tangents")
    # In the order of the jobs, whichever worker was first: the same seed gives the same guide.
    shards = [found[k] for k in sorted(found)]
    made = {name: np.concatenate([shard[name] for shard in shards]) for name in (shards[0] if shards else {})}
    kept = made["valid"].any(1) if made else np.zeros(0, bool)
    if not kept.any():
        raise FarmError(f"no tangent could be rendered ({why}); probe the plugin again")
    made = {name: rows[kept] for name, rows in made.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        proxy = TangentProxy(len(spec.space), width=plan.width)
    batch = min(128, len(made["features"]))
    passes = max(20, round(plan.passes * len(made["features"]) / batch))
    train_tangent(
        proxy,
        made,
        steps=passes,
        batch=batch,
        seed=seed,
        tell=lambda step, loss: tell(0.5 + 0.4 * step / passes, f"tangent proxy, step {step}, loss {loss:.3f}"),
    )
    effect = FarmEffect(farm, spec, rate)
    direction = TangentGuide(proxy, rate, LinearParts(effect, steps, linear_controls(made, len(spec.space))))
    tell(0.9, "measuring how far the guide is to be trusted")
    guides, gradients = [], []
    for first in range(0, plan.calibration, 16):
        count = min(16, plan.calibration - first)
        case = Case.draw(effect, book, count, 2 * plan.segment, np.random.default_rng([seed, 2, first]), around)
        guides.append(direction(list(case.inputs), case.positions, case.cotangents, list(case.outputs)))
        gradients.append(case.gradient(effect, Differences(), steps)[0])
    slope, covariance = error_of(np.concatenate(guides), np.concatenate(gradients))
    return Guide(direction=direction, slope=slope, covariance=covariance)


def linear_controls(made: dict[str, np.ndarray], controls: int) -> np.ndarray:
    """Find the controls of which impulses foretell what becomes of their own plugin's output, bool [controls]."""
    found = np.zeros(controls, bool)
    for control in range(controls):
        rows = made["misfit"][(made["control"] == control) & made["valid"]]
        found[control] = len(rows) > 0 and np.quantile(rows, 0.9) < LINEAR
    return found


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Hold examples at which a derivative is wanted: renders at random settings, and the loss gradient there.

    Parameters
    ----------
    inputs, outputs, cotangents : float32 [B, 1, T]
    positions : float64 [B, P]
    base : float64 [B]
        <dL/dy, y>.
    """

    inputs: np.ndarray
    positions: np.ndarray
    outputs: np.ndarray
    cotangents: np.ndarray
    base: np.ndarray

    @classmethod
    def draw(
        cls,
        effect: FarmEffect,
        book: str,
        count: int,
        segment: int,
        rng: np.random.Generator,
        around: np.ndarray | None = None,
        *,
        balance_speakers: bool = False,
    ) -> Case:
        """Draw inputs and settings, and targets that other settings of the chain make; the loss is `StyleLoss`."""
        clips = read_clip_book(book)
        sampler = ClipSampler(rng, clips, segment, segment // 2, balance_speakers=balance_speakers)
        inputs = []
        for _ in range(count):
            clip = sampler.draw()[0]
            inputs.append(np.pad(clip, (0, segment - len(clip)))[None])
        space = effect.spec.space
        positions = space.snap(rng.random((count, len(space))))
        if around is not None:
            positions = space.snap(around[rng.integers(len(around), size=count)])
        aims = space.snap(rng.random((count, len(space))))
        rendered, good = effect.render(inputs * 2, np.concatenate([positions, aims]))
        kept = np.flatnonzero(good[:count] & good[count:])
        if not len(kept):
            raise FarmError(f"no example could be rendered ({effect.last_failure}); probe the plugin again")
        outputs = np.stack([rendered[k] for k in kept]).astype(np.float32)
        targets = np.stack([rendered[count + k] for k in kept]).astype(np.float32)
        return cls.of(np.stack([inputs[k] for k in kept]), positions[kept], outputs, targets, StyleLoss())

    @classmethod
    def of(
        cls,
        inputs: np.ndarray,
        positions: np.ndarray,
        outputs: np.ndarray,
        targets: np.ndarray,
        loss: StyleLoss | ReportedLoss,
    ) -> Case:
        """Differentiate a loss at renders; inputs, outputs and targets are float32 [B, 1, T]."""
        heard = torch.from_numpy(outputs).requires_grad_(True)
        loss.per_example(heard, torch.from_numpy(targets)).sum().backward()
        cotangents = heard.grad.numpy()  # pyrefly: ignore[missing-attribute]  (backward sets it)
        return cls(
            inputs=inputs,
            positions=np.asarray(positions, np.float64),
            outputs=outputs,
            cotangents=cotangents,
            base=np.einsum("bcn,bcn->b", cotangents, outputs, dtype=np.float64),
        )

    def gradient(
        self,
        effect: FarmEffect,
        estimator: Estimator,
        steps: np.ndarray,
        guide: np.ndarray | None = None,
        seed: int = 0,
        direction: TangentGuide | None = None,
    ) -> tuple[np.ndarray, float]:
        """Estimate dL/dp float64 [B, P], and count the calls an example, partial chains by their cost.

        With `direction`, which has just been asked about this case, its linear parts answer the probes; what measuring
        them took is not among the calls.
        """
        space, spec = effect.spec.space, effect.spec
        points, state = estimator.ask(self.positions, steps, guide, np.random.default_rng(seed), None)
        points = np.asarray(space.snap(points), np.float64)
        if direction is not None:
            responses = direction.respond(np.arange(len(points)), points, self.cotangents)
            calls = [direction.parts.calls(*row) for row in zip(self.positions, points, strict=True)]
            return estimator.tell(points, responses, self.base, guide, state)[0], float(np.mean(calls))
        responses = effect.respond(list(self.inputs), points, self.cotangents)
        gradient, _ = estimator.tell(points, responses, self.base, guide, state)
        calls = [spec.calls(rows, rows[0]) if len(rows) else 0.0 for rows in points]
        return gradient, float(np.mean(calls))


def cosines(estimates: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Cosine of each row with its truth; 0 for an estimate of 0, NaN where the truth is 0."""
    lengths = np.linalg.norm(estimates, axis=1), np.linalg.norm(truths, axis=1)
    inner = (estimates * truths).sum(1)
    found = np.divide(inner, lengths[0] * lengths[1], out=np.zeros_like(inner), where=lengths[0] * lengths[1] > 0)
    return np.where(lengths[1] > 0, found, np.nan)


def control_names(spec: ChainSpec, steps: np.ndarray) -> Sequence[str]:
    """Names of the controls that are differentiated."""
    return [name for name, step in zip(spec.names, steps, strict=True) if np.isfinite(step)]
