"""The before/after picture: spectrum, level over time and the controls of one transfer."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.audio import read_audio
from blackbox_afx.errors import OutputError, UsageError

SECONDS = 30.0
RATE = 24000
COLOURS = {"input": "#8a8f98", "reference": "#d97706", "output": "#0f766e"}


def check_plot(path: str | Path, *, force: bool = False) -> Path:
    """Raise unless a picture can be drawn there; so that it can be asked before the work.

    Raises
    ------
    UsageError
        matplotlib is not installed, or the extension is not a picture's.
    OutputError
        The file exists.
    """
    path = Path(path)
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{path}: can't draw a '{path.suffix}'; expected .png, .svg or .pdf")
    if path.exists() and not force:
        raise OutputError(f"{path} exists; give --force to replace it, or another name")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("drawing needs matplotlib, which is not installed; pip install 'blackbox-afx[plot]'")
    return path


def plot_transfer(
    source: str | Path,
    reference: str | Path,
    output: str | Path,
    plugins: Sequence[dict[str, Any]],
    path: str | Path,
    *,
    title: str = "",
    force: bool = False,
) -> Path:
    """Draw input, reference and output beside the controls that were set.

    Parameters
    ----------
    source, reference, output : path
        Audio files; their first half minute is drawn.
    plugins : sequence of dict
        As `describe_controls` gives them.
    path : path
        Picture to write (.png, .svg or .pdf).
    title : str
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

    sounds = {"input": source, "reference": reference, "output": output}
    rows = [(plugin["name"], control) for plugin in plugins for control in plugin["controls"]]
    height = max(5.6, 1.2 + 0.24 * len(rows))
    figure = Figure(figsize=(12, height))
    axes = figure.subplot_mosaic([["spectrum", "controls"], ["level", "controls"]], width_ratios=(1.35, 1))
    for name, file in sounds.items():
        audio, rate = read_audio(file, sample_rate=RATE, mono=True, frames=_frames(file))
        frequencies, spectrum = long_term_spectrum(audio[0], rate)
        axes["spectrum"].semilogx(frequencies, spectrum, label=name, color=COLOURS[name], linewidth=1.8)
        times, level = short_term_level(audio[0], rate)
        axes["level"].plot(times, level, color=COLOURS[name], linewidth=1.3)
    axes["spectrum"].set(
        xlim=(40, RATE / 2), xlabel="frequency (Hz)", ylabel="dB", title="long-term spectrum (1/6 octave)"
    )
    axes["spectrum"].legend(frameon=False)
    axes["level"].set(xlabel="time (s)", ylabel="dBFS", title="level (100 ms RMS)", ylim=(-75, 0))
    for name in ("spectrum", "level"):
        axes[name].grid(alpha=0.25)
    _draw_controls(axes["controls"], rows)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    figure.tight_layout()
    beside = path.with_name(path.stem + ".part" + path.suffix)
    try:
        figure.savefig(beside, dpi=110)
        beside.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}); choose another folder") from None
    return path


def _frames(file: str | Path) -> int:
    from blackbox_afx.audio import info

    return round(SECONDS * info(file).sample_rate)


def _draw_controls(axes: Any, rows: list[tuple[str, dict[str, Any]]]) -> None:
    names = [
        control["name"] if len({row[0] for row in rows}) == 1 else f"{plugin}: {control['name']}"
        for plugin, control in rows
    ]
    positions = [control["position"] for _, control in rows]
    lines = np.arange(len(rows))[::-1]
    axes.hlines(lines, 0, 1, color="#d4d7dc", linewidth=3)
    axes.scatter(positions, lines, color=COLOURS["output"], s=36, zorder=3)
    for line, (_, control) in zip(lines, rows, strict=True):
        axes.text(1.04, line, control["text"], va="center", fontsize=9)
    axes.set_yticks(lines, names, fontsize=9)
    axes.set(xlim=(-0.03, 1.35), ylim=(-0.7, len(rows) - 0.3), title="controls")
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
    axes.tick_params(left=False)


def long_term_spectrum(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Average the power spectrum in sixth-octave bands from 40 Hz.

    Parameters
    ----------
    audio : float32 [samples]
    sample_rate : int

    Returns
    -------
    float64 [bands], float64 [bands]
        Centres in Hz, levels in dB.
    """
    from scipy.signal import welch

    bins, power = welch(audio, sample_rate, nperseg=min(8192, len(audio)))
    centres = 40.0 * 2.0 ** (np.arange(0, np.log2(sample_rate / 2 / 40), 1 / 6))
    levels = []
    for centre in centres:
        inside = (bins >= centre * 2 ** (-1 / 12)) & (bins < centre * 2 ** (1 / 12))
        levels.append(power[inside].mean() if inside.any() else np.interp(centre, bins, power))
    return centres, 10 * np.log10(np.maximum(levels, 1e-14))


def short_term_level(audio: np.ndarray, sample_rate: int, window_s: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Measure the RMS level of short windows.

    Returns
    -------
    float64 [windows], float64 [windows]
        Window centres in seconds, levels in dBFS (floor -90).
    """
    length = max(1, round(window_s * sample_rate))
    count = max(1, len(audio) // length)
    power = np.square(audio[: count * length], dtype=np.float64).reshape(count, -1).mean(axis=1)
    return (np.arange(count) + 0.5) * window_s, 10 * np.log10(np.maximum(power, 1e-9))
