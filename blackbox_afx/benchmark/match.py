"""The table of searching on the plugin: how near does it come to a reference's style, and after how many renders?

A random setting of the chain turns the second half of a clip into the reference; the first half is the input. What is
compared is the style distance that `afx match` minimises, after ever more renders, with that of plain CMA-ES after ten
times as many. With a controller, the setting it gives is refined, and both are scored against the true target, which
the search never sees.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.benchmark.bootstrap import bootstrap_ratio
from blackbox_afx.benchmark.methods import ControllerMethod, Method, load_methods
from blackbox_afx.benchmark.pairs import Pair, PairMaker
from blackbox_afx.benchmark.report import draw_table, summarise_errors, versions
from blackbox_afx.benchmark.report import markdown as paired_tables
from blackbox_afx.benchmark.synthetic import run_synthetic
from blackbox_afx.data import ClipSet, find_audio, load_clips
from blackbox_afx.errors import FarmError
from blackbox_afx.features.statistics import statistics
from blackbox_afx.features.style import style_of
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import AudioRef
from blackbox_afx.transfer.objective import Objective
from blackbox_afx.transfer.refine import MATCH_PULL, REFINE_PULL, REFINE_REACH, Refinement, Trial, drive, make_trial
from blackbox_afx.transfer.style_controller import StyleController

PORTION = 8
"""Pairs that are searched for at a time."""
CHECKPOINTS = (20, 40, 80)
SAMPLE_RATE, SEGMENT = 24000, 65536
MAX_MINUTES = 120.0
FAILURES_ALLOWED = 0.05

Progress = Callable[[float, float, str], None]


def search_pairs(
    spec: ChainSpec,
    farm: Farm,
    pairs: Sequence[Pair],
    starts: np.ndarray,
    sample_rate: int,
    options: Refinement,
    truths: list[float] | None = None,
) -> list[Trial]:
    """Search for all pairs side by side.

    Parameters
    ----------
    spec : ChainSpec
    farm : Farm
    pairs : sequence of Pair
    starts : float64 [pairs, controls]
        Positions.
    sample_rate : int
    options : Refinement
        A pair's seed is `options.seed` plus its index.
    truths : list, optional
        Is given the style distances of the settings that made the references; NaN where that render failed.

    Returns
    -------
    list of Trial
        Done.
    """
    trials = []
    with tempfile.TemporaryDirectory(prefix="afx-") as folder:
        for pair, start in zip(pairs, starts, strict=True):
            path = Path(folder, f"{pair.index}.npy")
            np.save(path, pair.source[None])
            target = style_of(statistics(pair.reference, sample_rate))
            objective = Objective(spec.space, target, start, options.pull, spectrum=options.spectrum)
            audio = AudioRef(path=str(path))
            trials.append(make_trial(objective, options, spec, audio, sample_rate, seed=options.seed + pair.index))
        drive(trials, farm)
        if truths is not None:
            made = [pair.positions for pair in pairs if pair.positions is not None]
            heard = farm.run([trial.job(position) for trial, position in zip(trials, made, strict=True)])
            truths += [
                np.nan if result.failure else trial.distance_of(result.value)
                for trial, result in zip(trials, heard, strict=True)
            ]
    return trials


class RefinedMethod:
    """Settings of a controller, or defaults, refined on the plugin by the unpaired reference.

    Parameters
    ----------
    inner : Method
        What the search begins with.
    farm : Farm
    options : Refinement
    name : str
    """

    def __init__(self, inner: Method, farm: Farm, options: Refinement, *, name: str = "refined") -> None:
        self.name, self.spec = name, inner.spec
        self.inner, self.farm, self.options = inner, farm, options

    def predict(self, pairs: Sequence[Pair], sample_rate: int) -> np.ndarray:
        """Give positions float64 [pairs, controls]; the controller's own where every render failed."""
        found = self.inner.predict(pairs, sample_rate)
        for at in range(0, len(pairs), PORTION):
            some = slice(at, at + PORTION)
            trials = search_pairs(self.spec, self.farm, pairs[some], found[some], sample_rate, self.options)
            for row, trial in zip(found[some], trials, strict=True):
                if np.isfinite(trial.distances).any():
                    row[:] = trial.points[trial.best()]
        return found


def run_match(
    chains: Sequence[ChainSpec],
    *,
    audio: Path,
    where: str | None = None,
    split: str = "test",
    pairs: int = 50,
    renders: int = 80,
    against: int = 800,
    controller: Path | None = None,
    refine: int = 48,
    pull: float = REFINE_PULL,
    seed: int = 42,
    segment: int = SEGMENT,
    jobs: int | None = None,
    allow_version: bool = False,
    command: str = "",
    warn: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total, text: None,
) -> dict[str, Any]:
    """Search on chains, and refine what a controller says.

    Parameters
    ----------
    chains : sequence of ChainSpec
    audio : Path
        Folder of recordings; of one with a manifest the split `split`.
    where : str, optional
        As `find_audio`.
    split : str
        "test" to report; "val" to choose settings by.
    pairs : int
        For each chain, and for each protocol of the controller.
    renders, against : int
        Most renders of our search, and of plain CMA-ES; 0 leaves that out.
    controller : Path, optional
    refine : int
        Most renders of refining.
    pull : float
        Of refining, towards the controller's setting.
    seed, segment : int
    jobs : int, optional
        Worker processes.
    command : str
        What the report says it was made by.
    allow_version : bool
        Take a controller of another plugin version.
    warn, progress : callable

    Returns
    -------
    dict
        As the JSON file holds it.

    Raises
    ------
    AudioError, ControllerError, PluginError, FarmError
    """
    began = time.perf_counter()
    # Refined settings are the plugins', so what they are compared with has to be.
    learned = load_methods([controller], on_plugins="instead") if controller is not None else []
    for method in learned:
        for text in StyleController(method.network, method.card).check_installed(allow_version=allow_version):
            warn(f"{method.name}: {text}")
    rate = learned[0].card.sample_rate if learned else SAMPLE_RATE
    collection = find_audio(audio, where=where, purpose="benchmark", split=split, seed=seed)
    clips = load_clips(collection, split, sample_rate=rate, max_minutes=MAX_MINUTES, seed=seed)
    for item in (*collection.skipped, *clips.skipped):
        warn(f"{item.path} was left out: {item.reason}")
    report: dict[str, Any] = {
        "protocol": "match",
        "seed": seed,
        "command": command,
        "versions": versions([*chains, *(method.spec for method in learned)]),
        "audio": {"folder": str(audio), "where": where, "split": split, "clips": len(clips.clips)},
        "sample_rate": rate,
        "segment": segment,
        "renders": renders,
        "against": against,
        "chains": {},
        "controller": {},
    }
    trusted = all(spec.trusted for spec in (*chains, *(method.spec for method in learned)))
    total = pairs * (len(chains) + 2 * len(learned))
    with Farm(jobs if jobs is not None or not trusted else 1) as farm:
        for number, spec in enumerate(chains):
            report["chains"][spec.label] = _search_chain(
                spec,
                farm,
                PairMaker(clips, "self", spec, seed=seed, segment=segment),
                pairs,
                Refinement(renders=renders, seed=seed, pull=MATCH_PULL),
                Refinement(renders=against, seed=seed, pull=0.0, method="cma") if against else None,
                lambda done, n=number, label=spec.label: progress(n * pairs + done, total, f"{label}: {done} pairs"),
            )
        for method in learned:
            options = Refinement(renders=refine, seed=seed, pull=pull, reach=REFINE_REACH)
            for number, protocol in enumerate(("self", "paper"), len(chains)):
                report["controller"][protocol] = _refine_controller(
                    method,
                    farm,
                    clips,
                    protocol,
                    pairs=pairs,
                    options=options,
                    segment=round(method.card.segment),
                    progress=lambda done, n=number, p=protocol: progress(n * pairs + done, total, f"{p}: {done} pairs"),
                )
    return {**report, "seconds": round(time.perf_counter() - began, 1)}


def _search_chain(
    spec: ChainSpec,
    farm: Farm,
    maker: PairMaker,
    pairs: int,
    ours: Refinement,
    plain: Refinement | None,
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """Search for each pair by both methods."""
    marks = [count for count in CHECKPOINTS if count < ours.renders] + [ours.renders]
    speakers: list[str] = []
    rows: list[list[float]] = []
    spent: list[int] = []
    for at in range(0, pairs, PORTION):
        portion = maker.draw(farm, at, min(PORTION, pairs - at))
        starts = np.tile(spec.space.snap(spec.space.defaults), (len(portion), 1))
        known: list[float] = []
        found = search_pairs(spec, farm, portion, starts, maker.sample_rate, ours, known)
        others = search_pairs(spec, farm, portion, starts, maker.sample_rate, plain) if plain else [None] * len(portion)
        for pair, trial, other, truth in zip(portion, found, others, known, strict=True):
            curve = trial.curve()
            speakers.append(pair.speaker)
            spent.append(len(curve))
            rows.append(
                [
                    curve[0],
                    *(curve[min(count, len(curve)) - 1] for count in marks),
                    other.curve()[-1] if other else np.nan,
                    truth,
                ]
            )
        progress(min(at + PORTION, pairs))
    if len(maker.failures) > FAILURES_ALLOWED * pairs or not rows:
        raise FarmError(f"{len(maker.failures)} of {pairs} pairs failed; the last: {maker.failures[-1]}")
    table = np.array(rows)
    table[~np.isfinite(table)] = np.nan
    names = ["start", *(str(count) for count in marks), "cma", "truth"]
    result = _summarise(table, names, speakers, ours.seed)
    return {"controls": len(spec.space), "mean_renders": float(np.mean(spent)), **result}


def _summarise(table: np.ndarray, names: list[str], speakers: list[str], seed: int) -> dict[str, Any]:
    """Average by speaker, and compare our last column with CMA-ES's."""

    def compare(method: np.ndarray, base: np.ndarray) -> dict[str, Any]:
        ratio = bootstrap_ratio(method, base, speakers, np.random.default_rng([seed, 0x424F]))
        return {"mean": ratio.ratio, "interval": ratio.interval}

    columns = dict(zip(names, table.T, strict=True))
    ones = np.ones(len(table))
    ours, cma = columns[names[-3]], columns["cma"]
    better = np.where(np.isfinite(cma), (ours <= cma).astype(float), np.nan)
    return {
        "pairs": len(table),
        "speakers": len(set(speakers)),
        "distance": {name: compare(column, ones) for name, column in columns.items()},
        "ratio": compare(ours, cma),
        "pair_ratio": compare(ours / cma, ones),
        "share": compare(better, ones),
    }


def _refine_controller(
    method: ControllerMethod,
    farm: Farm,
    clips: ClipSet,
    protocol: str,
    *,
    pairs: int,
    options: Refinement,
    segment: int,
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """Score a controller with and without refining, by paired metrics."""
    maker = PairMaker(clips, protocol, method.spec, seed=options.seed, segment=segment)
    refined = RefinedMethod(method, farm, options)
    errors = run_synthetic(
        maker, [method, refined], farm, pairs=pairs, threads=farm.n_jobs, progress=lambda done, total: progress(done)
    )
    summary = summarise_errors(errors, options.seed)
    ratios, intervals = {}, {}
    for m, metric in enumerate(errors.metrics):
        after, before = (errors.methods[name][:, m] for name in ("refined", method.name))
        ratio = bootstrap_ratio(after, before, errors.speakers, np.random.default_rng([options.seed, 0x424F]))
        ratios[metric], intervals[metric] = ratio.ratio, ratio.interval
    return {
        "protocol": protocol,
        "pairs": len(errors.speakers),
        "seed": options.seed,
        "renders": options.renders,
        "pull": options.pull,
        **summary,
        "refined_over_controller": {**ratios, "interval": intervals},
    }


def markdown(report: dict[str, Any]) -> str:
    """Draw the tables."""
    lines = []
    if report["chains"]:
        first = next(iter(report["chains"].values()))
        last = str(report["renders"])
        heads = [name if not name.isdigit() else f"{name} renders" for name in first["distance"]]
        heads[heads.index("cma")] = f"CMA-ES, {report['against']}"
        rows = {
            label: [
                *(_figure(cell["mean"]) for cell in found["distance"].values()),
                _between(found["ratio"]),
                _between(found["share"]),
            ]
            for label, found in report["chains"].items()
        }
        lines += [
            f"Style distance, {first['pairs']} pairs a chain, {first['speakers']} speakers or artists, seed "
            f"{report['seed']}, split {report['audio']['split']}; truth is the setting that made the reference.",
            "",
            *draw_table(["chain", *heads, f"{last} over CMA-ES", "pairs where not worse"], rows),
        ]
    for found in report["controller"].values():
        lines += ["", f"Refined with at most {found['renders']} renders, pull {found['pull']:g}:", paired_tables(found)]
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _between(cell: dict[str, Any]) -> str:
    low, high = cell["interval"] or (None, None)
    return f"{_figure(cell['mean'])} ({_figure(low)} to {_figure(high)})"
