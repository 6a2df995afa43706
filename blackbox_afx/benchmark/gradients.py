"""How near each estimator comes to the derivative of a real chain, and for how many calls of it.

The reference is central differences of every control. The loss is `StyleLoss` between the render at one random setting
and the render at another; its gradient at the audio is exact for all.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.benchmark.report import versions
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.errors import UsageError
from blackbox_afx.grads import SPSA, Differences, Estimator, Guided, Orthogonal
from blackbox_afx.grads.posterior import as_tuple
from blackbox_afx.grads.steps import chain_step_sizes
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.train.clip_book import write_clip_book
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.guide import PROBE_STEP, Case, Guide, GuidePlan, cosines, last_gain, make_guide

CHAINS = (
    ("channel_strip",),
    ("zam_eq2", "zam_comp"),
    ("zam_eq2", "builtin:Reverb"),
    ("zam_eq2", "builtin:Distortion"),
)
"""Equalisation with dynamics twice, a reverb, and saturation after an equaliser."""
BASE_STEP = 5e-3
TRAIN_MINUTES = 30.0
AT_ONCE = 8


SHORT = "one-sided differences, short steps"
"""Differences at the steps that guided rows probe with, so that their part in the gain shows."""


def estimators(guide: Guide, spec: ChainSpec, controls: int, samples: int) -> list[tuple[str, Estimator, bool]]:
    """List what is compared: a name, the estimator, and whether it is given the guide."""
    gain, slope = last_gain(spec)
    left = max(4.0 - guide.parts.measure_calls(samples), 0.0)
    plain = {"costs": as_tuple(guide.parts.costs), "gain": gain, "gain_slope": slope}
    listed: list[tuple[str, Estimator, bool]] = [
        ("spsa, 1 direction (the 2022 paper's)", SPSA(directions=1), False),
        ("spsa, 8 directions", SPSA(directions=8), False),
        ("orthogonal, 8 directions", Orthogonal(directions=8), False),
        ("orthogonal, full block", Orthogonal(directions=None), False),
        ("one-sided differences", Differences(one_sided=True), False),
        (SHORT, Differences(one_sided=True), False),
        ("guide alone", Guided(calls=0.0), True),
        ("guided, error not learned, 4 calls", Guided(calls=left, **plain), True),
    ]
    for calls in sorted({0, 1, 2, 3, 4, 6, controls // 2}):
        listed.append((f"guided, {calls} calls", guide.estimator(spec, float(calls), samples), True))
    return listed


def run_gradients(
    chains: Sequence[ChainSpec],
    *,
    audio: Path,
    where: str | None = None,
    recordings: int = 24,
    segment: int = 65536,
    sample_rate: int = 24000,
    plan: GuidePlan | None = None,
    seed: int = 42,
    jobs: int | None = None,
    command: str = "",
    progress: Callable[[float, str], None] = lambda share, text: None,
) -> dict[str, Any]:
    """Compare all estimators on some chains.

    Parameters
    ----------
    chains : sequence of ChainSpec
    audio : Path
        Folder of recordings; guides learn on its split train, and all is measured on val.
    where : str, optional
        As `find_audio`.
    recordings : int
        Examples of each chain; speakers take turns.
    segment, sample_rate : int
        Samples of an example, and hertz.
    plan : GuidePlan, optional
        What goes into each chain's guide.
    seed : int
    jobs : int, optional
        Worker processes.
    command : str
        What the report says it was made by.
    progress : callable
        Told (share done, words).

    Returns
    -------
    dict
        ``chains``: by label a list of ``estimator``, ``calls`` (renders an example beyond the forward one, partial
        chains by their cost), ``cosine``, ``cosine_min``, ``length`` (of the estimate, the truth's being 1; median)
        and ``ms`` (wall-clock time an example, the guide's included). ``guides``: by label what the guide cost.
        Further what the figures depend on.

    Raises
    ------
    UsageError
        A chain without a control that can be differentiated.
    AudioError, PluginError, FarmError
    """
    plan = plan or GuidePlan()
    collection = find_audio(audio, where=where, purpose="learn", seed=seed)
    report: dict[str, Any] = {"chains": {}, "guides": {}}
    with tempfile.TemporaryDirectory() as folder:
        books = {}
        for split in ("train", "val"):
            clips = load_clips(collection, split, sample_rate=sample_rate, max_minutes=TRAIN_MINUTES, seed=seed)
            books[split] = str(Path(folder) / split)
            write_clip_book(books[split], clips)
        for number, spec in enumerate(chains):
            steps = chain_steps(spec)

            def tell(share: float, words: str, done: int = number, label: str = spec.label) -> None:
                progress((done + share) / len(chains), f"{label}: {words}")

            # Built-ins alone need no processes of their own, and are quicker without.
            with Farm(jobs if jobs is not None or not spec.trusted else 1) as farm:
                began = time.perf_counter(), time.process_time()
                guide = make_guide(
                    farm,
                    spec,
                    books["train"],
                    steps,
                    plan=plan,
                    seed=seed,
                    tell=lambda share, words, told=tell: told(0.7 * share, words),
                )
                seconds = time.perf_counter() - began[0]
                rows = compare(farm, spec, guide, steps, books["val"], recordings, segment, sample_rate, seed, tell)
            report["chains"][spec.label] = rows
            report["guides"][spec.label] = {
                "controls": int(np.isfinite(steps).sum()),
                "seconds": round(seconds, 1),
                "impulses": round(guide.parts.measure_calls(segment), 3),
                "linear": [name for name, yes in zip(spec.names, guide.parts.linear, strict=True) if yes],
                "error": round(float(np.sqrt(np.trace(guide.covariance))), 4),
            }
    return report | {
        "recordings": recordings,
        "segment": segment,
        "sample_rate": sample_rate,
        "step": BASE_STEP,
        "probe_step": PROBE_STEP,
        "seed": seed,
        "plan": {name: getattr(plan, name) for name in plan.__struct_fields__},
        "command": command,
        "audio": {"folder": str(audio), "where": where, "split": "val"},
        "versions": versions(list(chains)),
    }


def chain_steps(spec: ChainSpec) -> np.ndarray:
    """Choose each control's step; NaN for toggles and choices.

    Raises
    ------
    UsageError
        No control is left.
    """
    steps = chain_step_sizes(spec, BASE_STEP)
    if not np.isfinite(steps).any():
        raise UsageError(f"{spec.label} has only toggles and choices; expected a control that can be differentiated")
    return steps


def compare(
    farm: Farm,
    spec: ChainSpec,
    guide: Guide,
    steps: np.ndarray,
    book: str,
    recordings: int,
    segment: int,
    sample_rate: int,
    seed: int,
    tell: Callable[[float, str], None],
) -> list[dict[str, Any]]:
    """Measure every estimator on the same examples of one chain."""
    effect = FarmEffect(farm, spec, sample_rate)
    controls = int(np.isfinite(steps).sum())
    listed = estimators(guide, spec, controls, segment)
    impulses = guide.parts.measure_calls(segment)
    truths: list[np.ndarray] = []
    found: list[list[np.ndarray]] = [[] for _ in listed]
    calls: list[list[float]] = [[] for _ in listed]
    seconds = np.zeros(len(listed))
    guide_s = reference_s = 0.0
    reference: list[float] = []
    for first in range(0, recordings, AT_ONCE):
        tell(0.7 + 0.3 * first / recordings, f"{first} of {recordings} recordings")
        count = min(AT_ONCE, recordings - first)
        rng = np.random.default_rng([seed, 3, first])
        case = Case.draw(effect, book, count, segment, rng, balance_speakers=True)
        began = time.perf_counter()
        truth, cost = case.gradient(effect, Differences(), steps)
        reference_s += time.perf_counter() - began
        truths.append(truth)
        reference.append(cost)
        began = time.perf_counter()
        expected = guide.direction(list(case.inputs), case.positions, case.cotangents, list(case.outputs))
        guide_s += time.perf_counter() - began
        for k, (name, estimator, guided) in enumerate(listed):
            given: dict[str, Any] = {"guide": expected, "direction": guide.direction} if guided else {}
            reach = guide.probe_steps(spec) if guided or name == SHORT else steps
            began = time.perf_counter()
            gradient, cost = case.gradient(effect, estimator, reach, seed=seed + first, **given)
            seconds[k] += time.perf_counter() - began
            found[k].append(gradient)
            calls[k].append(cost + impulses if guided else cost)
    truth = np.concatenate(truths)
    rows = []
    for (name, _, guided), estimates, costs, spent in zip(listed, found, calls, seconds, strict=True):
        estimate = np.concatenate(estimates)
        angle = cosines(estimate, truth)
        length = np.linalg.norm(estimate, axis=1) / np.maximum(np.linalg.norm(truth, axis=1), 1e-30)
        rows.append(
            {
                "estimator": name,
                "calls": round(float(np.mean(costs)), 2),
                "cosine": round(float(np.nanmean(angle)), 4),
                "cosine_min": round(float(np.nanmin(angle)), 4),
                "length": round(float(np.median(length)), 3),
                "ms": round(1e3 * (float(spent) + (guide_s if guided else 0.0)) / len(truth), 1),
            }
        )
    central = {"estimator": "central differences", "calls": round(float(np.mean(reference)), 2)}
    perfect = {"cosine": 1.0, "cosine_min": 1.0, "length": 1.0, "ms": round(1e3 * reference_s / len(truth), 1)}
    return [*rows, central | perfect]


def markdown(report: dict[str, Any]) -> str:
    """Word a report as tables, one a chain."""
    parts = [
        f"Cosine with central differences of all controls, {report['recordings']} recordings of "
        f"{report['segment'] / report['sample_rate']:.1f} s at {report['sample_rate']} Hz, split "
        f"{report['audio']['split']}, seed {report['seed']}. Calls of guided rows hold the impulses that the guide "
        "measures at each setting, by the samples that are rendered; the last column is the clock's, an example: a "
        "short render has a fixed price beside its samples, and the guide's arithmetic counts there as well."
    ]
    for label, rows in report["chains"].items():
        guide = report["guides"][label]
        parts.append(
            f"**{label}**, {guide['controls']} controls; the guide took {guide['seconds']:.0f} s:\n\n"
            "| estimator | calls | mean cosine | least | length | ms |\n|---|---|---|---|---|---|\n"
            + "\n".join(
                f"| {row['estimator']} | {row['calls']:.2f} | {row['cosine']:.4f} | {row['cosine_min']:.3f} "
                f"| {row['length']:.2f} | {row['ms']:.0f} |"
                for row in rows
            )
        )
    return "\n\n".join(parts)
