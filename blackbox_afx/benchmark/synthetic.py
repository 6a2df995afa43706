"""The table of synthetic pairs: how far from the target is the input, and how far what each method makes of it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np

from blackbox_afx.benchmark.methods import AnyMethod, SelfRendering
from blackbox_afx.benchmark.pairs import Pair, PairMaker
from blackbox_afx.errors import FarmError
from blackbox_afx.metrics import ALWAYS, score_pair
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import RenderJob

PORTION = 32
"""Pairs that are in memory at a time."""
FAILURES_ALLOWED = 0.05

Progress = Callable[[int, int], None]


class Errors(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold every figure of a benchmark.

    Parameters
    ----------
    metrics : tuple of str
    speakers : tuple of str
        Of each pair.
    sources : tuple of str
        Which corpus each pair is from; empty texts where nobody says.
    input : float64 [pairs, metrics]
        NaN where it can't be measured.
    methods : dict of str to float64 [pairs, metrics]
        NaN also where a render failed.
    failed : dict of str to int
        Renders that failed, by method; ``target`` counts pairs that were not made at all.
    last_failure : str
    """

    metrics: tuple[str, ...]
    speakers: tuple[str, ...]
    input: np.ndarray
    methods: dict[str, np.ndarray]
    failed: dict[str, int]
    last_failure: str = ""
    sources: tuple[str, ...] = ()


def run_synthetic(
    maker: PairMaker,
    methods: Sequence[AnyMethod],
    farm: Farm,
    *,
    pairs: int = 200,
    metrics: Sequence[str] = ALWAYS,
    threads: int = 2,
    progress: Progress = lambda done, total: None,
) -> Errors:
    """Make pairs, let each method set its chain, render and score.

    Parameters
    ----------
    maker : PairMaker
    methods : sequence of Method or SelfRendering
        The farm renders for those that set a chain.
    farm : Farm
        Renders.
    pairs : int
        How many.
    metrics : sequence of str
        Keys of `blackbox_afx.metrics.METRICS`.
    threads : int
        That score.
    progress : callable
        Called with the pairs done and all.

    Returns
    -------
    Errors

    Raises
    ------
    FarmError
        More than one in twenty targets, or renders of one method, failed.
    """
    kept: list[Pair] = []
    before: list[list[float]] = []
    after: dict[str, list[list[float]]] = {method.name: [] for method in methods}
    failed = dict.fromkeys(["target", *after], 0)
    last = ""
    nothing = [np.nan] * len(metrics)
    with ThreadPoolExecutor(threads) as pool:

        def score(targets: list[np.ndarray], estimates: list[np.ndarray | None]) -> list[list[float]]:
            return list(pool.map(one, targets, estimates))

        def one(target: np.ndarray, estimate: np.ndarray | None) -> list[float]:
            if estimate is None:
                return nothing
            scores = score_pair(target, estimate, maker.sample_rate, metrics)
            return [scores[name] for name in metrics]

        for start in range(0, pairs, PORTION):
            portion = maker.draw(farm, start, min(PORTION, pairs - start))
            failed["target"] = len(maker.failures)
            last = maker.failures[-1] if maker.failures else last
            targets = [pair.target for pair in portion]
            # The audio goes with the portion, who is heard stays.
            kept += [msgspec.structs.replace(pair, source=_NONE, reference=_NONE, target=_NONE) for pair in portion]
            before += score(targets, [pair.source for pair in portion])
            for method in methods if portion else ():
                rendered, messages = render(method, portion, maker.sample_rate, farm)
                failed[method.name] += len(messages)
                last = messages[-1] if messages else last
                after[method.name] += score(targets, rendered)
            stop_if_hopeless(failed, start + len(portion), pairs, last)
            progress(min(start + PORTION, pairs), pairs)
    shape = (len(kept), len(metrics))
    return Errors(
        metrics=tuple(metrics),
        speakers=tuple(pair.speaker for pair in kept),
        input=np.array(before, np.float64).reshape(shape),
        methods={name: np.array(rows, np.float64).reshape(shape) for name, rows in after.items()},
        failed=failed,
        last_failure=last,
        sources=tuple(maker.corpus_of.get(pair.speaker, "") for pair in kept),
    )


_NONE = np.zeros(0, np.float32)


def render(
    method: AnyMethod, pairs: Sequence[Pair], sample_rate: int, farm: Farm
) -> tuple[list[np.ndarray | None], list[str]]:
    """Let a method make its audio, or the farm for it.

    Returns
    -------
    list of (float32 [samples] or None)
        One a pair; None where it failed.
    list of str
        A line for each that failed.
    """
    if isinstance(method, SelfRendering):
        audio = method.render(pairs, sample_rate)
        return audio, [
            f"{method.name} made nothing of pair {p.index}" for p, a in zip(pairs, audio, strict=True) if a is None
        ]
    return render_settings(method.spec, pairs, method.predict(pairs, sample_rate), sample_rate, farm)


def render_settings(
    spec: ChainSpec, pairs: Sequence[Pair], positions: np.ndarray, sample_rate: int, farm: Farm
) -> tuple[list[np.ndarray | None], list[str]]:
    """Let the farm render the inputs of pairs at positions [pairs, controls]; returns as `render` does."""
    jobs = [
        RenderJob(spec=spec, audio=pair.source[None], positions=row, sample_rate=sample_rate)
        for pair, row in zip(pairs, positions, strict=True)
    ]
    results = farm.run(jobs)
    failures = [result.failure for result in results if result.failure]
    return (
        [None if result.failure else result.value[0] for result in results],
        [f"{failure.plugin}: {failure.message}" for failure in failures],
    )


def stop_if_hopeless(failed: dict[str, int], done: int, pairs: int, last: str) -> None:
    """Stop as soon as more than one in twenty of all pairs failed: no later success can mend that."""
    for name, count in failed.items():
        if count > FAILURES_ALLOWED * pairs:
            what = "targets" if name == "target" else f"renders of {name}"
            raise FarmError(
                f"{count} {what} failed among the first {done} of {pairs} pairs, more than one in twenty; the last: "
                f"{last}; probe the plugin again, or narrow the control's range in its profile"
            )
