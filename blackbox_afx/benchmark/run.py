"""Run the synthetic benchmark from folder and files to its reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from blackbox_afx.benchmark.methods import (
    ORACLE,
    AnyMethod,
    ControllerMethod,
    SelfRendering,
    common_chain,
    load_methods,
    make_baseline,
)
from blackbox_afx.benchmark.oracle import Oracle
from blackbox_afx.benchmark.pairs import PairMaker
from blackbox_afx.benchmark.report import summarise_errors, versions
from blackbox_afx.benchmark.synthetic import run_synthetic
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.errors import UsageError
from blackbox_afx.metrics import ALWAYS
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.transfer.style_controller import StyleController

SPLIT = "test"
MAX_MINUTES = 120.0


def run_protocols(
    protocols: Sequence[str],
    *,
    audio: Path,
    controllers: Sequence[Path],
    where: str | None = None,
    baselines: Sequence[str] = (),
    pairs: int = 200,
    seed: int = 42,
    segment: int | None = None,
    sample_rate: int | None = None,
    pesq: bool = False,
    oracle: int = 0,
    jobs: int | None = None,
    allow_version: bool = False,
    on_plugins: bool = False,
    command: str = "",
    warn: Callable[[str], None] = lambda text: None,
    progress: Callable[[float, float, str], None] = lambda done, total, text: None,
) -> list[dict[str, Any]]:
    """Score controllers under one or both protocols.

    Parameters
    ----------
    protocols : sequence of {"self", "paper"}
    audio : Path
        Folder of recordings; a manifest's split "test", or all where there is no manifest.
    controllers : sequence of Path
    where : str, optional
        As `find_audio`.
    baselines : sequence of str
        As `make_baseline`.
    pairs, seed : int
    segment : int, optional
        Samples of a half; by default as many seconds as the first controller was learned with.
    sample_rate : int, optional
        Hertz that plugins render and metrics compare at; the controllers' own by default. They hear at their own
        in any case.
    pesq : bool
    oracle : int >= 0
        Renders a pair with which the best setting is searched; 0 for none.
    jobs : int, optional
        Worker processes.
    allow_version : bool
    on_plugins : bool
        Let the plugins render also what controllers of NP and AD set.
    command : str
        What the reports say they were made by.
    warn : callable
        Told what is odd, in a line each.
    progress : callable
        Told how much is done, of how much, and what.

    Returns
    -------
    list of dict
        One a protocol, as the JSON files hold them.

    Raises
    ------
    UsageError
        No controllers, or some that can't be compared.
    AudioError, ControllerError, PluginError, FarmError
    """
    if not controllers:
        raise UsageError("no controller was given; expected at least one")
    progress(0, pairs * len(protocols), "loading")
    learned = load_methods(controllers, on_plugins="also" if on_plugins else "")
    # Needed for "self" alone, but wrong combinations should be refused before the first protocol has run.
    target_chain = common_chain(learned) if "self" in protocols else None
    for method in learned:
        # What makes its audio itself needs no plugin, unless the plugin makes the targets.
        if isinstance(method, SelfRendering) and target_chain is None:
            continue
        for text in StyleController(method.network, method.card).check_installed(allow_version=allow_version):
            warn(f"{method.name}: {text}")
    methods: list[AnyMethod] = [*learned, *(make_baseline(name, learned[0].spec, seed) for name in baselines)]
    learned_at = learned[0].card.sample_rate
    rate = sample_rate or learned_at
    segment = segment or round(learned[0].card.segment * rate / learned_at)
    collection = find_audio(audio, where=where, purpose="benchmark", seed=seed)
    clips = load_clips(collection, SPLIT, sample_rate=rate, max_minutes=MAX_MINUTES, seed=seed)
    for item in (*collection.skipped, *clips.skipped):
        warn(f"{item.path} was left out: {item.reason}")
    chains = {method.name: method.spec for method in methods if method.spec is not None}
    trusted = all(spec.trusted for spec in chains.values())
    reports = []
    # A search is worth the start of workers even where the effects are built in.
    with Farm(jobs if jobs is not None or not trusted or oracle else 1) as farm:
        for number, protocol in enumerate(protocols):
            began = time.perf_counter()
            oracles = _oracles(
                learned,
                farm,
                oracle,
                seed,
                lambda done, n=number, p=protocol: progress(
                    (n + done / pairs) * pairs, pairs * len(protocols), f"{p}: searched for {done} of {pairs} pairs"
                ),
            )
            maker = PairMaker(clips, protocol, target_chain, seed=seed, segment=segment)
            errors = run_synthetic(
                maker,
                [*methods, *oracles],
                farm,
                pairs=pairs,
                metrics=(*ALWAYS, "pesq") if pesq else ALWAYS,
                threads=farm.n_jobs,
                progress=lambda done, total, n=number, p=protocol: progress(
                    n * total + done, total * len(protocols), f"{p}: {done} of {total} pairs"
                ),
            )
            reports.append(
                {
                    "protocol": protocol,
                    "pairs": len(errors.speakers),
                    "seed": seed,
                    "command": command,
                    "versions": versions(list(chains.values())),
                    "audio": {"folder": str(audio), "where": where, "split": SPLIT, "clips": len(clips.clips)},
                    "sample_rate": clips.sample_rate,
                    "segment": segment,
                    "chains": {name: spec.label for name, spec in chains.items()},
                    "seconds": round(time.perf_counter() - began, 1),
                    **_searched(oracles),
                    **summarise_errors(errors, seed),
                }
            )
    return reports


def _oracles(
    learned: Sequence[ControllerMethod], farm: Farm, renders: int, seed: int, tell: Callable[[int], None]
) -> list[Oracle]:
    """Make an oracle for each chain."""
    chains = {method.spec.fingerprint(): method.spec for method in learned} if renders else {}
    return [
        Oracle(
            ORACLE if len(chains) == 1 else f"{ORACLE} ({spec.label})",
            spec,
            farm,
            renders=renders,
            seed=seed,
            tell=tell,
        )
        for spec in chains.values()
    ]


def _searched(oracles: Sequence[Oracle]) -> dict[str, Any]:
    """Say what the searches took."""
    if not oracles:
        return {}
    return {
        "oracle": {
            "search": "CMA-ES",
            "objective": "stft",
            "renders_a_pair": oracles[0].renders,
            "renders": {oracle.name: oracle.spent for oracle in oracles},
        }
    }
