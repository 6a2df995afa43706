"""A chain whose linear parts are known: it measures impulses, reads examples by them, and answers probes without them.

Guides ask it; what takes long is done by the farm's workers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_afx.features.reading import Reading, read
from blackbox_afx.grads.posterior import suffix_costs
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.impulses import (
    TAPS,
    Impulses,
    entries,
    impulse_calls,
    measure_impulses,
    plugin_places,
    probe_calls,
    probe_linear,
)
from blackbox_afx.train.read_example import read_example

READ_S = 0.015
"""Seconds that reading an example of a few seconds takes; a guess, by which jobs are shared out."""


class LinearParts:
    """Measure impulses, read examples and answer probes on a farm, for tangent and feature guides.

    Parameters
    ----------
    effect : FarmEffect
    steps : float [P]
        How far each control is turned to differentiate a response; NaN: never.
    linear : bool [P]
        Controls of which an impulse foretells what becomes of their own plugin's output.
    """

    def __init__(self, effect: FarmEffect, steps: np.ndarray, linear: np.ndarray) -> None:
        self.effect, self.steps, self.linear = effect, np.asarray(steps, np.float64), np.asarray(linear, bool)

    def measure(self, positions: np.ndarray) -> list[Impulses | None]:
        """Measure impulses at positions [batch, P], ``here`` spread to one row a control; None where it failed."""
        spec, rate = self.effect.spec, self.effect.sample_rate
        cost = self._impulses_s()
        jobs = [
            CallJob(function=measure_impulses, args=(spec, row, self.steps, rate), spec=spec, cost=cost, finite=False)
            for row in positions
        ]
        places = plugin_places(spec)
        return [
            None if result.failure else Impulses(here=result.value.here[places], change=result.value.change)
            for result in self.effect.farm.run(jobs)
        ]

    def read(
        self,
        audio: Sequence[np.ndarray],
        positions: np.ndarray,
        cotangents: np.ndarray,
        output: Sequence[np.ndarray],
    ) -> list[Reading]:
        """Read examples and measure impulses at their settings, one job an example.

        Where a worker could not, the example is read here, and nothing is known of impulses.

        Parameters
        ----------
        audio, output : sequence of float32 [channels, samples]
        positions : float64 [batch, P]
        cotangents : float [batch, channels, samples]

        Returns
        -------
        list of Reading
        """
        spec, rate = self.effect.spec, self.effect.sample_rate
        cost = self._impulses_s() + READ_S
        rows = list(zip(audio, output, cotangents, strict=True))
        jobs = [
            CallJob(function=read_example, args=(spec, at, self.steps, rate, *row), spec=spec, cost=cost, finite=False)
            for at, row in zip(positions, rows, strict=True)
        ]
        results = self.effect.farm.run(jobs)
        return [read(*row, rate) if found.failure else found.value for row, found in zip(rows, results, strict=True)]

    def respond(
        self,
        audio: Sequence[np.ndarray],
        positions: np.ndarray,
        points: np.ndarray,
        cotangents: np.ndarray,
        impulses: Sequence[Impulses | None],
    ) -> np.ndarray:
        """Measure ``<dL/dy, y(point)>`` float64 [batch, M], one job an example; NaN where a render failed."""
        spec, rate = self.effect.spec, self.effect.sample_rate
        found = np.full(points.shape[:2], np.nan)
        kept = {k: row for k, row in enumerate(impulses) if row is not None} if points.shape[1] else {}
        jobs = [
            CallJob(
                function=probe_linear,
                args=(spec, audio[k], positions[k], points[k], cotangents[k], rate, self.linear, row.change),
                spec=spec,
                cost=self.calls(positions[k], points[k]) * spec.cost_s(audio[k].shape[-1] / rate),
                finite=False,
            )
            for k, row in kept.items()
        ]
        for k, result in zip(kept, self.effect.farm.run(jobs), strict=True):
            if not result.failure:
                found[k] = result.value
        return found

    def calls(self, positions: np.ndarray, points: np.ndarray) -> float:
        """Count what probes [M, P] of one example cost, in renders of the whole chain."""
        return probe_calls(self.effect.spec, self.linear, positions, points)

    def measure_calls(self, samples: int) -> float:
        """Count what impulses cost at a setting, in renders of the whole chain of so many samples."""
        return impulse_calls(self.effect.spec, self.steps, samples)

    def _impulses_s(self) -> float:
        """Estimate the seconds that impulses at one setting take."""
        spec, rate = self.effect.spec, self.effect.sample_rate
        return impulse_calls(spec, self.steps, TAPS) * spec.cost_s(TAPS / rate)

    @property
    def costs(self) -> np.ndarray:
        """Cost of a probe in which this control moves [P], as a part of a render of the whole chain."""
        spec = self.effect.spec
        return suffix_costs(spec.shares, [1] * len(spec.profiles))[entries(spec, self.linear)]
