"""The oracle: the best setting of the chain that a search finds with the target in hand.

It tells how near the chain itself can come, which no controller that hears only the reference can pass for long. The
search is CMA-ES on the multi-resolution STFT distance; the other metrics are measured on what that found, and a
controller may pass the oracle there.

Nothing here imports torch: render workers load it.

References
----------
Hansen, "The CMA evolution strategy: a tutorial", 2016, arXiv:1604.00772.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from blackbox_afx.benchmark.pairs import Pair
from blackbox_afx.metrics.stft_numpy import StftTarget
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob, RenderJob, audio_flaw

SCREEN = 0.15
"""Share of the renders that look around at random before the search begins from the best of them."""
SIGMA = 0.2
STFT_S = 4e-7
"""Seconds a sample that the distance takes, for the farm's time-outs."""


def search_setting(
    worker: Any,
    spec: ChainSpec,
    source: np.ndarray,
    target: np.ndarray,
    sample_rate: int,
    renders: int,
    seed: Sequence[int],
) -> np.ndarray:
    """Search the setting that brings a source nearest to a target; runs in a farm worker.

    Parameters
    ----------
    worker : Worker
    spec : ChainSpec
    source, target : float32 [samples]
    sample_rate : int
    renders : int > 0
        Settings that are tried.
    seed : sequence of int

    Returns
    -------
    float64 [controls + 2]
        The best positions, their distance, and the renders that were spent.
    """
    rng = np.random.default_rng(seed)
    space = spec.space
    goal = StftTarget(target)
    chain = worker.chain(spec)
    best = (math.inf, space.snap(space.defaults))
    spent = 0

    def cost(point: np.ndarray) -> float:
        nonlocal best, spent
        spent += 1
        point = space.snap(np.clip(point, 0.0, 1.0))
        audio = chain.render(source[None], point, sample_rate)
        found = math.inf if audio_flaw(audio) else goal.distance(audio[0])
        if found < best[0]:
            best = (found, point)
        return found

    controls = len(space)
    looks = max(1, round(SCREEN * renders))
    starts = [space.defaults, *rng.random((looks - 1, controls))]
    tried = sorted(((cost(point), k) for k, point in enumerate(starts)), key=lambda pair: pair[0])
    # Each time the search settles before the renders are used up, it starts again from the next best look, with a
    # larger population.
    restart = 0
    while spent < renders:
        start = starts[tried[min(restart, len(tried) - 1)][1]]
        _search(cost, np.asarray(start, float), rng, lambda: renders - spent, 2**restart)
        restart += 1
    return np.array([*best[1], best[0], spent])


def _search(
    cost: Callable[[np.ndarray], float], start: np.ndarray, rng: np.random.Generator, left: Callable[[], int], grow: int
) -> None:
    """Run CMA-ES once, until it settles or no renders are left."""
    import cma

    if len(start) == 1:
        # CMA-ES wants two dimensions; a grid is as good in one.
        for value in np.linspace(0.0, 1.0, left()):
            cost(np.array([value]))
        return
    size = grow * (4 + int(3 * math.log(len(start))))
    options = {
        "bounds": [0.0, 1.0],
        "popsize": size,
        "verbose": -9,
        "seed": math.nan,
        "randn": lambda *shape: rng.standard_normal(shape),
        "tolfun": 1e-4,
        "tolx": 1e-3,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = cma.CMAEvolutionStrategy(np.clip(start, 0.02, 0.98), SIGMA, options)
        while left() > 0 and not search.stop():
            points = search.ask()
            if left() < len(points):
                # A last generation that is not whole still counts for the best point.
                for point in points[: left()]:
                    cost(np.asarray(point))
                return
            values = [cost(np.asarray(point)) for point in points]
            # It can't rank infinities.
            search.tell(points, [value if math.isfinite(value) else 1e6 for value in values])


class Oracle:
    """The best setting for each pair, searched with its target.

    Parameters
    ----------
    name : str
    spec : ChainSpec
    farm : Farm
        One job a pair.
    renders : int > 0
        For each pair.
    seed : int
    tell : callable
        Told how many pairs are done in all.

    Attributes
    ----------
    spent : int
        Renders so far.
    """

    def __init__(
        self,
        name: str,
        spec: ChainSpec,
        farm: Farm,
        *,
        renders: int,
        seed: int,
        tell: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.name, self.farm, self.chain = name, farm, spec
        self.spec: ChainSpec | None = spec
        self.renders, self.seed, self.tell = renders, seed, tell
        self.spent = 0
        self.done = 0

    def render(self, pairs: Sequence[Pair], sample_rate: int) -> list[np.ndarray | None]:
        """Search and render each pair's best setting; float32 [samples], None where the plugins failed twice."""
        jobs = []
        for pair in pairs:
            samples = len(pair.source)
            one = self.chain.cost_s(samples / sample_rate, sample_rate, 1) + STFT_S * samples
            seed = (self.seed, pair.index, 0x4F52)
            args = (self.chain, pair.source, pair.target, sample_rate, self.renders, seed)
            jobs.append(CallJob(function=search_setting, args=args, spec=self.chain, cost=self.renders * one))
        found: dict[int, np.ndarray] = {}
        for result in self.farm.run_iter(jobs):
            if result.failure is None:
                found[result.index] = result.value[:-2]
                self.spent += int(result.value[-1])
            self.done += 1
            self.tell(self.done)
        rendered: list[np.ndarray | None] = [None] * len(pairs)
        last = [
            RenderJob(spec=self.chain, audio=pairs[k].source[None], positions=best, sample_rate=sample_rate)
            for k, best in found.items()
        ]
        for k, result in zip(found, self.farm.run(last), strict=True):
            rendered[k] = None if result.failure else result.value[0]
        return rendered
