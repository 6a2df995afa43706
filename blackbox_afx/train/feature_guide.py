"""The warm start's feature proxy as the guide of the audio stage, and the estimator that goes with it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from blackbox_afx.grads.guided import Guided
from blackbox_afx.grads.posterior import as_tuple, suffix_costs
from blackbox_afx.grads.protocol import Estimator
from blackbox_afx.grads.steps import step_sizes
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.proxies.feature_guide import FeatureGuide
from blackbox_afx.train.guide import PROBE_STEP, last_gain


class ByFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """Do for a feature proxy what `blackbox_afx.train.guide.Guide` does for a tangent proxy; nothing is made for it.

    Parameters
    ----------
    direction : FeatureGuide
        What `blackbox_afx.grads.bridge.BlackBoxEffect` takes as its guide.
    """

    direction: FeatureGuide

    def probe_steps(self, spec: ChainSpec) -> np.ndarray:
        """Say how far probes move each control, float64 [P]; NaN for toggles and choices."""
        repeatability = max(profile.repeatability for profile in spec.profiles)
        return np.where(spec.space.continuous, step_sizes(spec.space.resolution, repeatability, PROBE_STEP), np.nan)

    def estimator(self, spec: ChainSpec, calls: float, samples: int, **options: Any) -> Estimator:
        """Make the estimator that spends `calls` beside the guide; a gain at the end of the chain is known exactly."""
        gain, gain_slope = last_gain(spec)
        sizes = [len(profile.active) for profile in spec.profiles]
        return Guided(
            calls=calls,
            costs=as_tuple(suffix_costs(spec.shares, sizes)),
            gain=gain,
            gain_slope=gain_slope,
            **options,
        )
