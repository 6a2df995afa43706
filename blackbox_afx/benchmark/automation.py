"""The table of automation against one setting: from second to second, which comes closer to the target?"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.audio import write_audio
from blackbox_afx.benchmark.bootstrap import bootstrap_ratio
from blackbox_afx.benchmark.report import draw_table, versions
from blackbox_afx.benchmark.short import SHORT, render_along, short_errors
from blackbox_afx.benchmark.takes import KINDS, Item, make_items
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.errors import AudioError, FarmError
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob, RenderJob, Result
from blackbox_afx.plugins.trajectory import Trajectory
from blackbox_afx.transfer.automate import automate
from blackbox_afx.transfer.style_controller import StyleController
from blackbox_afx.transfer.trajectories import Smoothing

FAILURES_ALLOWED = 0.05
ROWS = ("input", "static", "automated")
HEADINGS = {"level_db": "level (dB)", "spectrum_db": "spectrum (dB)", "lufs_db": "loudness (LU)"}


class Scored(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold one recording's errors.

    Parameters
    ----------
    kind, speaker : str
    errors : dict of str to list of float
        By row (`ROWS`), in the order of `SHORT`, dB.
    sections, moved, points : int
        Of the automation.
    """

    kind: str
    speaker: str
    errors: dict[str, list[float]]
    sections: int
    moved: int
    points: int


def run_automation(
    controller: Path,
    *,
    audio: Path,
    where: str | None = None,
    split: str = "test",
    items: int = 60,
    seed: int = 42,
    smoothing: Smoothing | None = None,
    jobs: int | None = None,
    allow_version: bool = False,
    command: str = "",
    warn: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Score a controller's automation against its own static setting.

    Parameters
    ----------
    controller : Path
    audio : Path
        Folder of recordings; of one with a manifest the split `split`.
    where : str, optional
        As `find_audio`.
    split : str
        "test" to report; "val" to choose settings by.
    items : int
        Each gives a recording of every kind.
    seed : int
    smoothing : Smoothing, optional
    jobs : int, optional
        Worker processes.
    allow_version : bool
    command : str
        What the report says it was made by.
    warn, progress : callable

    Returns
    -------
    dict
        As the JSON file holds it: ``kinds`` with, for each kind, mean errors (``input``, ``static``, ``automated``)
        and ``ratio`` of automated over static errors, with 95 % intervals over speakers.

    Raises
    ------
    AudioError, ControllerError, PluginError, FarmError
    """
    began = time.perf_counter()
    smoothing = smoothing or Smoothing()
    style = StyleController.load(controller)
    for text in style.check_installed(allow_version=allow_version):
        warn(text)
    rate = style.card.sample_rate
    collection = find_audio(audio, where=where, purpose="benchmark", split=split, seed=seed)
    clips = load_clips(collection, split, sample_rate=rate)
    made = make_items(clips, len(style.spec.space), items, seed)
    scored: list[Scored] = []
    failures: list[str] = []
    with Farm(jobs if jobs is not None or not style.spec.trusted else 1) as farm:
        for item in made:
            try:
                scored += _score(style, farm, item, smoothing)
            except (AudioError, FarmError) as error:
                failures.append(str(error))
                if len(failures) > FAILURES_ALLOWED * items + 1:
                    raise FarmError(f"{len(failures)} of {items} items failed; the last: {error}") from None
            progress(item.index + 1, items)
    return {
        "protocol": "automation",
        "items": items,
        "failed": len(failures),
        "seed": seed,
        "command": command,
        "versions": versions([style.spec]),
        "audio": {"folder": str(audio), "where": where, "split": split, "clips": len(clips.clips)},
        "sample_rate": rate,
        "chain": style.spec.label,
        "smoothing": msgspec.structs.asdict(smoothing),
        "seconds": round(time.perf_counter() - began, 1),
        "kinds": {kind: _summarise([one for one in scored if one.kind == kind], seed) for kind in KINDS},
    }


def _score(style: StyleController, farm: Farm, item: Item, smoothing: Smoothing) -> list[Scored]:
    """Render and score all kinds of an item."""
    spec, rate = style.spec, style.card.sample_rate
    setting = spec.space.snap(item.draw)
    sources = [item.reference, *(item.clean[kind] for kind in KINDS)]
    jobs = [RenderJob(spec=spec, audio=clean[None], positions=setting, sample_rate=rate) for clean in sources]
    reference, *targets = (_value(result)[0] for result in farm.run(jobs))
    found, calls = [], []
    with tempfile.TemporaryDirectory(prefix="afx-") as folder:
        place = Path(folder, "reference.wav")
        write_audio(place, reference[None], rate, subtype="FLOAT")
        heard_style = style.hear(place)
        for kind in KINDS:
            place = Path(folder, f"{kind}.wav")
            write_audio(place, item.inputs[kind][None], rate, subtype="FLOAT")
            heard = style.hear(place)
            static = style.predict(heard, [heard_style])
            made = automate(style, heard, [heard_style], static, smoothing=smoothing, farm=farm)
            found.append(made)
            fed = item.inputs[kind] * np.float32(10 ** (style.trim_db(heard) / 20))
            for way in (Trajectory.constant(spec.space.to_raw(static)), made.lanes.trajectory):
                cost = 3 * spec.cost_s(len(fed) / rate, rate, 1) + 0.1
                calls.append(CallJob(function=render_along, args=(spec, fed, way, rate), spec=spec, cost=cost))
    rendered = [_value(result) for result in farm.run(calls)]
    return [
        Scored(
            kind=kind,
            speaker=item.speaker,
            errors={
                row: short_errors(targets[k], estimate, rate)
                for row, estimate in zip(ROWS, (item.inputs[kind], rendered[2 * k], rendered[2 * k + 1]), strict=True)
            },
            sections=len(made.sections),
            moved=len(made.moved),
            points=made.lanes.points_after,
        )
        for k, (kind, made) in enumerate(zip(KINDS, found, strict=True))
    ]


def _value(result: Result) -> np.ndarray:
    if result.failure is not None:
        raise FarmError(f"{result.failure.plugin}: {result.failure.message}")
    return result.value


def _summarise(scored: Sequence[Scored], seed: int) -> dict[str, Any]:
    groups = [one.speaker for one in scored]

    def compare(row: str, against: str | None) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        intervals: dict[str, Any] = {}
        for m, metric in enumerate(SHORT):
            method = [one.errors[row][m] for one in scored]
            base = [1.0] * len(scored) if against is None else [one.errors[against][m] for one in scored]
            ratio = bootstrap_ratio(method, base, groups, np.random.default_rng([seed, 0x424F]))
            figures[metric], intervals[metric] = ratio.ratio, ratio.interval
        return {**figures, "interval": intervals}

    return {
        "recordings": len(scored),
        "speakers": len(set(groups)),
        "cut": float(np.mean([one.sections > 1 for one in scored])),
        "moved": float(np.mean([one.moved for one in scored])),
        "points": float(np.mean([one.points for one in scored])),
        **{row: compare(row, None) for row in ROWS},
        "ratio": compare("automated", "static"),
    }


def markdown(report: dict[str, Any]) -> str:
    """Draw the table: errors over time of one setting and of automation, and their ratio with its interval."""
    rows: dict[str, list[str]] = {}
    for kind, found in report["kinds"].items():
        cells = []
        for metric in SHORT:
            low, high = found["ratio"]["interval"][metric] or (float("nan"), float("nan"))
            cells.append(
                f"{found['static'][metric]:.2f} -> {found['automated'][metric]:.2f}: "
                f"{found['ratio'][metric]:.3f} ({low:.3f} to {high:.3f})"
            )
        rows[kind] = [*cells, f"{100 * found['cut']:.0f} %", f"{found['moved']:.1f}"]
    heads = [*(HEADINGS[metric] for metric in SHORT), "cut", "controls moved"]
    first = next(iter(report["kinds"].values()))
    return "\n".join(
        [
            f"Automation against one setting: {report['chain']}, {first['recordings']} recordings of each kind, "
            f"{first['speakers']} speakers or artists, seed {report['seed']}, split {report['audio']['split']}, "
            f"time constant {report['smoothing']['seconds']:g} s.",
            "",
            "Mean error in windows of 1 s, one setting -> automation: ratio (95 % interval); recordings that were cut "
            "into sections.",
            "",
            *draw_table(["kind", *heads], rows),
        ]
    )
