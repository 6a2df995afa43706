"""The picture of a benchmark: what is left of the input's error, by metric and method, with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blackbox_afx.errors import OutputError
from blackbox_afx.plot.before_after import check_plot

TITLES = {
    "pesq": "PESQ (more is better)",
    "stft": "STFT",
    "msd": "MSD",
    "sce_hz": "spectral centroid",
    "rms_db": "RMS",
    "lufs_db": "LUFS",
}
COLOURS = ("#0f766e", "#d97706", "#1d4ed8", "#9d174d", "#4d7c0f", "#6d28d9", "#8a8f98")


def plot_ratios(report: dict[str, Any], path: str | Path, *, force: bool = False) -> Path:
    """Draw each method's share of the input's error, a panel a metric.

    Parameters
    ----------
    report : dict
        As the JSON files of `afx benchmark synthetic` and `realistic` hold it.
    path : path
        Picture to write (.png, .svg or .pdf).
    force : bool
        Replace what is there.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        matplotlib is not installed, or the extension is not a picture's.
    OutputError
        The file exists, or can't be written.
    """
    path = check_plot(path, force=force)
    # Not pyplot: choosing a backend would change the one of the notebook that this may run in.
    from matplotlib.figure import Figure

    methods = list(report["ratio"])
    metrics = [name for name in report["input"] if name != "interval"]
    columns = 2 if len(metrics) == 4 else min(3, len(metrics))
    lines = -(-len(metrics) // columns)
    figure = Figure(figsize=(3.9 * columns, 1.0 + lines * (1.1 + 0.34 * len(methods))))
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for number, (axes, metric) in enumerate(zip(panels, metrics, strict=False)):
        rows = list(range(len(methods)))[::-1]
        for row, method, colour in zip(rows, methods, COLOURS * len(methods), strict=False):
            ratio = report["ratio"][method]
            value, interval = ratio[metric], ratio["interval"][metric]
            if value is None:
                continue
            if interval is not None:
                axes.plot(interval, [row, row], color=colour, linewidth=3, alpha=0.35, solid_capstyle="butt")
            axes.plot([value], [row], "o", color=colour, markersize=6)
            axes.annotate(
                f"{value:.2f}", (value, row), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8
            )
        axes.axvline(1.0, color="#8a8f98", linewidth=1, linestyle="--")
        axes.set_title(TITLES.get(metric, metric), fontsize=10, loc="left")
        axes.set_yticks(rows, methods if number % columns == 0 else [""] * len(methods), fontsize=9)
        axes.set_ylim(-0.6, len(methods) - 0.2)
        axes.set_xlim(left=0.0, right=max(1.1, 1.05 * axes.get_xlim()[1]))
        axes.tick_params(axis="x", labelsize=8)
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    # Few columns make a narrow picture.
    gap = " " if columns > 2 else "\n"
    figure.suptitle(
        f"Protocol {report['protocol']}: share of the input's error, {report['pairs']} pairs, "
        f"{len(report['speakers'])} speakers or artists{gap}(bars: 95 % intervals; dashed: the input)",
        x=0.01,
        ha="left",
        fontsize=10,
    )
    figure.tight_layout()
    beside = path.with_name(path.stem + ".part" + path.suffix)
    try:
        figure.savefig(beside, dpi=110)
        beside.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}); choose another folder") from None
    return path
