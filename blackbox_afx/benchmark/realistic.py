"""The table of realistic transfer: recordings in five styles, to the style of another voice saying other things.

There is no target to compare with, so the result is measured against the reference by what does not need the same
words or notes: mel spectrum (MSD), spectral centroid, RMS and loudness. Even a perfect result differs from the
reference there, as another speaker does; so no method reaches zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.benchmark.match import RefinedMethod
from blackbox_afx.benchmark.methods import AnyMethod, DefaultSettings, SelfRendering, load_methods, make_baseline
from blackbox_afx.benchmark.pairs import Pair
from blackbox_afx.benchmark.report import draw_table, summarise_errors, versions
from blackbox_afx.benchmark.report import markdown as tables
from blackbox_afx.benchmark.style_files import LEAD, clip_seconds, make_style_files, unpaired
from blackbox_afx.benchmark.styles import STYLES
from blackbox_afx.benchmark.synthetic import PORTION, Errors, render, stop_if_hopeless
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.errors import UsageError
from blackbox_afx.metrics import score_pair
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.transfer.refine import MATCH_PULL, MATCH_REACH, REFINE_PULL, REFINE_REACH, Refinement
from blackbox_afx.transfer.style_controller import StyleController

METRICS = ("msd", "sce_hz", "rms_db", "lufs_db")
SEGMENT_S = 131072 / 24000
"""Length of a file, seconds: the paper's."""
MAX_MINUTES = 120.0


def run_realistic(
    *,
    audio: str | Path,
    controllers: Sequence[Path] = (),
    chains: Sequence[ChainSpec] = (),
    where: str | None = None,
    baselines: Sequence[str] = (),
    each: int = 10,
    refine: int = 0,
    renders: int = 40,
    spectrum: float = 1.0,
    seed: int = 42,
    segment: int | None = None,
    sample_rate: int | None = None,
    jobs: int | None = None,
    allow_version: bool = False,
    command: str = "",
    warn: Callable[[str], None] = lambda text: None,
    progress: Callable[[float, float, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Bring inputs of five styles to references of five styles, and measure against the references.

    Parameters
    ----------
    audio : str or Path
        As `find_audio`; the split test.
    controllers : sequence of Path
    chains : sequence of ChainSpec
        Set with no controller, by the search behind `afx match`.
    where : str, optional
        As `find_audio`.
    baselines : sequence of str
        As `make_baseline`.
    each : int > 0
        Pairs of each of the 25 combinations.
    refine : int >= 0
        Renders a pair with which each controller's setting is refined, by the search behind `afx transfer --refine`,
        in rows of their own; 0 for none. Controllers that set no plugin have none.
    renders : int >= 2
        Renders a pair that the search on `chains` has.
    spectrum : float, 0.1 to 100
        How much the mean spectrum counts in that search; see `Refinement`.
    seed : int
        Deals recordings to styles, and draws settings and pairs.
    segment : int, optional
        Samples of a file at the most; 5.46 s by default.
    sample_rate : int, optional
        Hertz that everything runs at; the controllers' own by default. They hear at their own in any case.
    jobs : int, optional
        Worker processes.
    allow_version : bool
    command : str
        What the report says it was made by.
    warn, progress : callable
        Told what is odd; how much is done, of how much, and what.

    Returns
    -------
    dict
        As the JSON file holds it; beside what the other benchmarks have, ``styles``: mean errors by the reference's
        style.

    Raises
    ------
    UsageError, AudioError, ControllerError, PluginError, FarmError
    """
    began = time.perf_counter()
    progress(0, 25 * each, "loading")
    learned = load_methods(controllers)
    for method in learned:
        for text in StyleController(method.network, method.card).check_installed(allow_version=allow_version):
            warn(f"{method.name}: {text}")
    for spec in chains:
        if not len(spec.space):
            raise UsageError(f"{spec.label} has no control to set; expected one")
    chain = learned[0].spec if learned else next(iter(chains), None)
    methods: list[AnyMethod] = [*learned, *(make_baseline(name, chain, seed) for name in baselines)]
    rate = sample_rate or (learned[0].card.sample_rate if learned else 24000)
    segment = segment or round(SEGMENT_S * rate)
    collection = find_audio(audio, where=where, purpose="benchmark", seed=seed)
    clips = load_clips(
        collection,
        "test",
        sample_rate=rate,
        max_minutes=MAX_MINUTES,
        clip_seconds=clip_seconds(segment, rate),
        seed=seed,
    )
    for item in (*collection.skipped, *clips.skipped):
        warn(f"{item.path} was left out: {item.reason}")
    files = make_style_files(clips, segment=segment, seed=seed)
    drawn = unpaired(files, each=each, seed=seed)
    known = [method.spec for method in methods if method.spec is not None] + list(chains)
    trusted = all(spec.trusted for spec in known)
    with Farm(jobs if jobs is not None or not trusted else 1) as farm:
        if refine:
            options = Refinement(renders=refine, seed=seed, pull=REFINE_PULL, reach=REFINE_REACH)
            setting = [method for method in learned if not isinstance(method, SelfRendering)]
            if not setting:
                warn("nothing is refined, as no controller sets a plugin")
            methods += [RefinedMethod(method, farm, options, name=f"{method.name} refined") for method in setting]
        search = Refinement(renders=renders, seed=seed, pull=MATCH_PULL, reach=MATCH_REACH, spectrum=spectrum)
        for number, spec in enumerate(chains, 1):
            name = f"{spec.label} matched"
            name += f"-{number}" if name in {method.name for method in methods} else ""
            methods.append(RefinedMethod(DefaultSettings(spec), farm, search, name=name))
        errors = _measure([pair for _, _, pair in drawn], methods, farm, rate, progress)
    return {
        "protocol": "realistic",
        "pairs": len(drawn),
        "seed": seed,
        "command": command,
        "versions": versions(known),
        "audio": {"folder": str(audio), "where": where, "split": "test", "clips": len(clips.clips)},
        "sample_rate": rate,
        "segment": segment,
        "files": {style: sum(file.style == style for file in files) for style in STYLES},
        "each": each,
        "refine": refine,
        "renders": renders if chains else 0,
        "spectrum": spectrum if chains else 1.0,
        "chains": {method.name: method.spec.label for method in methods if method.spec is not None},
        "seconds": round(time.perf_counter() - began, 1),
        **summarise_errors(errors, seed),
        "styles": _by_style([style for _, style, _ in drawn], errors),
    }


def _measure(
    pairs: Sequence[Pair],
    methods: Sequence[AnyMethod],
    farm: Farm,
    rate: int,
    progress: Callable[[float, float, str], None],
) -> Errors:
    """Render and score all pairs, a portion at a time; the lead-in of every file is heard by methods, not scored."""
    before: list[list[float]] = []
    after: dict[str, list[list[float]]] = {method.name: [] for method in methods}
    failed = dict.fromkeys(after, 0)
    last = ""

    def one(pair: Pair, estimate: np.ndarray | None) -> list[float]:
        if estimate is None:
            return [np.nan] * len(METRICS)
        # The first moments of a render are the plugin's settling, not its style.
        skip = min(LEAD, len(estimate) // 4)
        scores = score_pair(pair.reference[skip:], estimate[skip:], rate, METRICS)
        return [scores[name] for name in METRICS]

    with ThreadPoolExecutor(farm.n_jobs) as pool:
        for at in range(0, len(pairs), PORTION):
            portion = pairs[at : at + PORTION]
            before += pool.map(one, portion, [pair.source for pair in portion])
            for method in methods:
                rendered, failures = render(method, portion, rate, farm)
                after[method.name] += pool.map(one, portion, rendered)
                failed[method.name] += len(failures)
                last = failures[-1] if failures else last
            stop_if_hopeless(failed, at + len(portion), len(pairs), last)
            done = at + len(portion)
            progress(done, len(pairs), f"{done} of {len(pairs)} pairs")
    return Errors(
        metrics=METRICS,
        speakers=tuple(pair.speaker for pair in pairs),
        input=np.array(before, np.float64),
        methods={name: np.array(rows, np.float64) for name, rows in after.items()},
        failed=failed,
        last_failure=last,
    )


def _by_style(styles: Sequence[str], errors: Errors) -> dict[str, dict[str, dict[str, float]]]:
    """Average errors by the reference's style; over pairs, so that they can be compared within a style alone."""
    rows = {"input": errors.input, **errors.methods}
    return {
        style: {
            name: {
                metric: float(np.nanmean(found[[s == style for s in styles], m])) for m, metric in enumerate(METRICS)
            }
            for name, found in rows.items()
        }
        for style in STYLES
    }


def markdown(report: dict[str, Any]) -> str:
    """Draw the tables: ratios, mean errors, and the mel spectral distance by the reference's style."""
    names = ["input", *report["methods"]]
    rows = {name: [f"{report['styles'][style][name]['msd']:.2f}" for style in STYLES] for name in names}
    return "\n".join([tables(report), "", "MSD by the reference's style:", "", *draw_table(["method", *STYLES], rows)])
