"""A chain of real plugins as the black box that the torch bridge asks: renders and probes on the farm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_afx.errors import FarmError
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import ProbeJob, RenderJob, Result

FAILURES_ALLOWED = 0.05
"""Share of examples whose render may fail before a run stops."""


class FarmEffect:
    """Render and probe a chain on a farm, counting what failed.

    Parameters
    ----------
    farm : Farm
    spec : ChainSpec
    sample_rate : int
        Hertz.
    """

    def __init__(self, farm: Farm, spec: ChainSpec, sample_rate: int) -> None:
        self.farm, self.spec, self.sample_rate = farm, spec, sample_rate
        self.examples = self.failed = 0
        self.last_failure = ""

    def render(self, audio: Sequence[np.ndarray], positions: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Render one example a row.

        Parameters
        ----------
        audio : sequence of float32 [channels, samples]
        positions : float64 [batch, controls]

        Returns
        -------
        list of float32 [channels, samples], bool [batch]
            Silence and False where a render failed.

        Raises
        ------
        FarmError
            When more than one in twenty examples failed.
        """
        jobs = [
            RenderJob(spec=self.spec, audio=clip, positions=row, sample_rate=self.sample_rate)
            for clip, row in zip(audio, positions, strict=True)
        ]
        results = self.farm.run(jobs)
        good = np.array([result.failure is None for result in results])
        self.count(results)
        rendered = [
            result.value if ok else np.zeros_like(clip) for result, ok, clip in zip(results, good, audio, strict=True)
        ]
        return rendered, good

    def respond(self, audio: Sequence[np.ndarray], points: np.ndarray, cotangents: np.ndarray) -> np.ndarray:
        """Measure `<dL/dy, y(point)>` for all points of each example, one job an example.

        Parameters
        ----------
        audio : sequence of float32 [channels, samples]
        points : float64 [batch, points, controls]
        cotangents : float32 [batch, channels, samples]
            The loss gradient at the rendered audio.

        Returns
        -------
        float64 [batch, points]
            NaN where a render failed.
        """
        if points.shape[1] == 0:
            return np.zeros(points.shape[:2])
        jobs = [
            ProbeJob(
                spec=self.spec,
                audio=clip,
                base=rows[0],
                points=rows,
                cotangent=cotangent,
                sample_rate=self.sample_rate,
            )
            for clip, rows, cotangent in zip(audio, points, cotangents, strict=True)
        ]
        nothing = np.full(points.shape[1], np.nan)
        return np.stack([nothing if r.failure else r.value for r in self.farm.run(jobs)])

    def count(self, results: Sequence[Result]) -> None:
        """Count examples and failures of farm results.

        Raises
        ------
        FarmError
            When more than one in twenty of a hundred examples or more failed.
        """
        self.examples += len(results)
        for result in results:
            if result.failure is not None:
                self.failed += 1
                self.last_failure = result.failure.message
        if self.examples >= 100 and self.failed > FAILURES_ALLOWED * self.examples:
            raise FarmError(
                f"{self.failed} of {self.examples} renders failed, more than one in twenty; the last: "
                f"{self.last_failure}; probe the plugin again or narrow the control's range in its profile"
            )
