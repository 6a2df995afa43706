"""The warm start's feature proxy as the guide of the audio stage, and the estimator that goes with it.

How far the guide is wrong, control by control, is measured at a few examples by full differences. A pair of probes an
example, to either side along the direction that is least known, then corrects it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from blackbox_afx.grads.differences import Differences
from blackbox_afx.grads.guided import Guided
from blackbox_afx.grads.posterior import as_tuple, error_of, suffix_costs, table
from blackbox_afx.grads.protocol import Estimator
from blackbox_afx.grads.steps import chain_step_sizes
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.proxies.feature_guide import FeatureGuide
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.audio_stage import AudioLoss
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.guide import Case, last_gain
from blackbox_afx.train.linear_parts import LinearParts
from blackbox_afx.train.run_folder import load_tensors, save_tensors

STEP = 5e-3
"""Of probes and impulses: far enough that a plugin which takes frequencies in steps is heard to move."""
CLIP = 4.0
"""Deviations; see `blackbox_afx.grads.guided.Guided`. For losses that break within a step; a choice."""
AT_ONCE, LEAST, MOST = 8, 16, 48
"""Examples that tell how far a guide is to be trusted: measured together, needed, and wanted."""


class ByFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """Do for a feature proxy what `blackbox_afx.train.guide.Guide` does for a tangent proxy.

    Parameters
    ----------
    direction : FeatureGuide
        What `blackbox_afx.grads.bridge.BlackBoxEffect` takes as its guide.
    slope, covariance : float64 [P] and [P, P], or None
        See `blackbox_afx.grads.posterior.error_of`; without them the guide is taken as it is, and no probe is made.
    """

    direction: FeatureGuide
    slope: np.ndarray | None = None
    covariance: np.ndarray | None = None

    def probe_steps(self, spec: ChainSpec) -> np.ndarray:
        """Say how far probes move each control, float64 [P]; NaN for toggles and choices."""
        return chain_step_sizes(spec, STEP)

    def estimator(self, spec: ChainSpec, calls: float, samples: int, **options: Any) -> Estimator:
        """Make the estimator that spends `calls` where this guide errs most; a gain at the chain's end is exact.

        A probe costs a call at the most, however many `samples` a render has. Probes come in pairs, to either side, so
        that less than two calls may buy none: a filter that is shifted turns phases, which a loss on quiet bins answers
        to in the second order, often by more than in the first, and one-sided differences take that for a derivative.
        """
        gain, gain_slope = last_gain(spec)
        sizes = [len(profile.active) for profile in spec.profiles]
        # Not trusted at all: taken as it is.
        given: dict[str, Any] = {"clip": CLIP, "one_sided": False, "calls": 0.0}
        if self.slope is not None and self.covariance is not None:
            given |= {"calls": calls, "slope": as_tuple(self.slope), "covariance": table(self.covariance)}
        return Guided(
            costs=as_tuple(suffix_costs(spec.shares, sizes)),
            gain=gain,
            gain_slope=gain_slope,
            **(given | options),
        )

    def save(self, path: Path) -> None:
        """Write how far it is trusted beside its place, and rename it there."""
        kept = {"slope": self.slope, "covariance": self.covariance}
        tensors = {name: torch.from_numpy(rows) for name, rows in kept.items() if rows is not None}
        # A file without any tensor can't be read.
        save_tensors(path, {"measured": torch.tensor([bool(tensors)])} | tensors, {})

    def load(self, path: Path) -> ByFeatures:
        """Give a copy that is trusted as `save` wrote."""
        tensors, _ = load_tensors(path)
        kept = {name: rows.numpy() for name, rows in tensors.items() if name != "measured"}
        return msgspec.structs.replace(self, **kept)


def by_features(effect: FarmEffect, proxy: FeatureProxy) -> ByFeatures:
    """Take a feature proxy as the guide, with impulses where they were found to tell what becomes of recordings."""
    parts = impulses(effect) if proxy.knows_response else None
    return ByFeatures(direction=FeatureGuide(proxy, effect.sample_rate, parts))


def trial_guide(effect: FarmEffect, proxy: FeatureProxy) -> ByFeatures:
    """Make a guide that costs what a trained one does: impulses, and probes."""
    controls = len(effect.spec.space)
    direction = FeatureGuide(proxy, effect.sample_rate, impulses(effect))
    return ByFeatures(direction=direction, slope=np.ones(controls), covariance=np.eye(controls))


def impulses(effect: FarmEffect) -> LinearParts:
    """Make what measures the chain's linear parts; no probe is spared for them."""
    return LinearParts(effect, chain_step_sizes(effect.spec, STEP), np.zeros(len(effect.spec.space), bool))


def trust_examples(examples: int) -> int:
    """Say at how many examples trust is measured for a stage that hears so many: none, if that cost a tenth of it."""
    return next((count for count in (MOST, LEAST) if examples >= 10 * count), 0)


def measure_trust(guide: ByFeatures, effect: FarmEffect, loss: AudioLoss, count: int) -> ByFeatures:
    """Measure how far a guide is to be trusted where the network stands.

    Parameters
    ----------
    guide : ByFeatures
    effect : FarmEffect
    loss : AudioLoss
        Makes the pairs, and says the loss and the network.
    count : int
        Examples to measure at; with fewer than `LEAST` that could be rendered the guide is given as it came.
    """
    expected, truths = [], []
    steps = chain_step_sizes(effect.spec, STEP)
    for turn in range(-(-count // AT_ONCE)):
        case = draw_case(effect, loss, -1000 - turn)
        if case is not None:
            found = guide.direction(list(case.inputs), case.positions, case.cotangents, list(case.outputs))
            # Toggles and choices have no part in it.
            expected.append(np.where(np.isfinite(steps), found, 0.0))
            truths.append(case.gradient(effect, Differences(), steps)[0])
    if sum(map(len, expected)) < LEAST:
        return guide
    slope, covariance = error_of(np.concatenate(expected), np.concatenate(truths))
    return msgspec.structs.replace(guide, slope=slope, covariance=covariance)


def draw_case(effect: FarmEffect, loss: AudioLoss, step: int) -> Case | None:
    """Render a step's pairs as the network has them, and differentiate the loss at the plugins' audio.

    As many batches of the audio stage are drawn as make `AT_ONCE` examples. None where no render came back.
    """
    batches = [loss.pairs(step * 100 - k) for k in range(-(-AT_ONCE // loss.batch))]
    batch = {name: torch.cat([part[name] for part in batches])[:AT_ONCE] for name in batches[0]}
    with torch.no_grad():
        positions = loss.network(batch["source"], batch["reference"]).double().cpu().numpy()
    positions = np.asarray(effect.spec.space.snap(positions), np.float64)
    inputs, targets = (batch[name][:, None].cpu().numpy() for name in ("input", "target"))
    rendered, good = effect.render(list(inputs), positions)
    kept = np.flatnonzero(good)
    if not len(kept):
        return None
    outputs = np.stack([rendered[k] for k in kept])
    return Case.of(inputs[kept], positions[kept], outputs, targets[kept], loss.loss)
