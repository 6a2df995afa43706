"""From a benchmark's errors to its JSON and its tables."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from blackbox_afx import __version__
from blackbox_afx.benchmark.bootstrap import bootstrap_ratio
from blackbox_afx.benchmark.synthetic import Errors
from blackbox_afx.plugins.chain import ChainSpec

HEADINGS = {
    "pesq": "PESQ",
    "stft": "STFT",
    "msd": "MSD",
    "sce_hz": "SCE (Hz)",
    "rms_db": "RMS (dB)",
    "lufs_db": "LUFS (dB)",
}
DIGITS = {"sce_hz": 1}
LIBRARIES = ("torch", "pedalboard", "dawdreamer", "numpy", "scipy", "auraloss", "pyloudnorm", "pesq")


def versions(chains: Sequence[ChainSpec]) -> dict[str, str]:
    """List what a figure may depend on: this package, Python, libraries and plugins."""
    found = {"blackbox_afx": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for spec in chains:
        for profile in spec.profiles:
            if profile.identity.version:
                found[profile.label] = profile.identity.version
    return found


def summarise_errors(errors: Errors, seed: int) -> dict[str, Any]:
    """Average by speaker, compare with the input, and draw the intervals.

    Parameters
    ----------
    errors : Errors
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``input`` and, by method, ``methods`` and ``ratio``: each metric's figure, and under ``interval`` its 95 %
        bootstrap interval over speakers (None for a single speaker). Where there are several methods, ``first_over``
        has the first one's figures as a share of each other one's, on the same pairs. Also ``speakers``, ``failed`` and
        ``unmeasured`` (pairs a metric could not be measured on). The input's row covers all pairs; a ratio those where
        both were measured.

    Notes
    -----
    ``pesq`` is larger for better results, and so is its ratio.
    """
    ones = np.ones(len(errors.speakers))
    summary: dict[str, Any] = {
        "speakers": {name: errors.speakers.count(name) for name in sorted(set(errors.speakers))},
        "failed": errors.failed,
        "unmeasured": {
            name: {metric: int(np.isnan(rows[:, m]).sum()) for m, metric in enumerate(errors.metrics)}
            for name, rows in {"input": errors.input, **errors.methods}.items()
        },
    }

    def figures(method: np.ndarray, base: np.ndarray | None) -> dict[str, Any]:
        row: dict[str, Any] = {}
        intervals: dict[str, Any] = {}
        for m, metric in enumerate(errors.metrics):
            against = ones if base is None else base[:, m]
            # The same draws of speakers for every figure, so that rows of a table can be compared.
            result = bootstrap_ratio(method[:, m], against, errors.speakers, np.random.default_rng([seed, 0x424F]))
            row[metric], intervals[metric] = result.ratio, result.interval
        return {**row, "interval": intervals}

    summary["input"] = figures(errors.input, None)
    summary["methods"] = {name: figures(rows, None) for name, rows in errors.methods.items()}
    summary["ratio"] = {name: figures(rows, errors.input) for name, rows in errors.methods.items()}
    names = list(errors.methods)
    if len(names) > 1:
        summary["first_over"] = {name: figures(errors.methods[names[0]], errors.methods[name]) for name in names[1:]}
    corpora = sorted(set(errors.sources) - {""})
    if len(corpora) > 1:
        summary["sources"] = {corpus: _of_source(errors, corpus, seed) for corpus in corpora}
    return summary


def _of_source(errors: Errors, corpus: str, seed: int) -> dict[str, Any]:
    """Summarise the pairs of one corpus."""
    rows = [k for k, source in enumerate(errors.sources) if source == corpus]
    part = summarise_errors(
        Errors(
            metrics=errors.metrics,
            speakers=tuple(errors.speakers[k] for k in rows),
            input=errors.input[rows],
            methods={name: found[rows] for name, found in errors.methods.items()},
            failed={},
        ),
        seed,
    )
    return {
        "pairs": len(rows),
        "speakers": len(part["speakers"]),
        **{k: part[k] for k in ("input", "methods", "ratio")},
    }


def command_line(arguments: Sequence[str]) -> str:
    """Word a call so that it can be typed again."""
    return shlex.join(["afx", *arguments])


def markdown(report: dict[str, Any]) -> str:
    """Draw the tables: ratios with their intervals, then the mean errors.

    Parameters
    ----------
    report : dict
        What goes into the JSON file.
    """
    metrics = [name for name in report["input"] if name != "interval"]
    people = len(report["speakers"])
    lines = [
        f"Protocol {report['protocol']}, {report['pairs']} pairs, {people} speakers or artists, seed {report['seed']}.",
        "",
        "Mean error as a share of the input's (95 % interval):",
        "",
        *_table(metrics, {name: [_ratio(row, m) for m in metrics] for name, row in report["ratio"].items()}),
        "",
        "Mean error:",
        "",
        *_table(
            metrics,
            {
                name: [_figure(row[m], DIGITS.get(m, 3)) for m in metrics]
                for name, row in {"input": report["input"], **report["methods"]}.items()
            },
        ),
    ]
    if "first_over" in report:
        over = {name: [_ratio(row, m) for m in metrics] for name, row in report["first_over"].items()}
        lines += [
            "",
            f"Mean error of {next(iter(report['methods']))} as a share of each other method's, on the same pairs:",
            "",
            *_table(metrics, over),
        ]
    # A render that is all but silent has no loudness, and must not look good for it.
    for name, counts in report["unmeasured"].items():
        for metric, count in counts.items():
            if count:
                lines += [
                    "",
                    f"{HEADINGS[metric]} could not be measured on {count} of {report['pairs']} pairs of {name}.",
                ]
    for corpus, part in report.get("sources", {}).items():
        lines += [
            "",
            f"Of these from {corpus}, {part['pairs']} pairs, {part['speakers']} speakers or artists, share of the "
            "input's error:",
            "",
            *_table(metrics, {name: [_ratio(row, m) for m in metrics] for name, row in part["ratio"].items()}),
        ]
    if "oracle" in report:
        lines += [
            "",
            f"The oracle knows the target: per pair the best of {report['oracle']['renders_a_pair']} settings by STFT "
            f"distance, found by CMA-ES ({sum(report['oracle']['renders'].values())} renders in all).",
        ]
    if "pesq" in metrics:
        lines += ["", "PESQ is a score, not an error: larger is better."]
    return "\n".join(lines)


def _table(metrics: Sequence[str], rows: dict[str, list[str]]) -> list[str]:
    return draw_table(["method", *(HEADINGS[name] for name in metrics)], rows)


def draw_table(heads: Sequence[str], rows: dict[str, list[str]]) -> list[str]:
    """Draw rows of cells as lines of markdown, columns aligned."""
    body = [list(heads), *([name, *cells] for name, cells in rows.items())]
    widths = [max(len(row[k]) for row in body) for k in range(len(body[0]))]
    drawn = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in body
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [drawn[0], rule, *drawn[1:]]


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _ratio(row: dict[str, Any], metric: str) -> str:
    interval = row["interval"][metric]
    between = "" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})"
    return _figure(row[metric], 3) + between
