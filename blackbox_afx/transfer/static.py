"""Static transfer: one setting for the whole recording."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.audio import info
from blackbox_afx.errors import AudioError, OutputError, PluginCrash, PluginError, PluginHang, UsageError
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.transfer.controls_file import controls_text, describe_controls, json_bytes
from blackbox_afx.transfer.listen import Heard
from blackbox_afx.transfer.render_file import render_file
from blackbox_afx.transfer.staging import check_container, publish, refuse_existing, staging
from blackbox_afx.transfer.style_controller import StyleController

Progress = Callable[[str], None]


class TransferResult(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a transfer made.

    Parameters
    ----------
    audio : Path
        The rendered file.
    controls_file : Path
        `NAME.controls.json`.
    presets : tuple of Path
        A `.vstpreset` for each VST3.
    positions : float64 [controls]
    plugins : list of dict
        As `describe_controls`.
    trim_db : float
        Gain applied before the first plugin, dB.
    output_peak_dbfs : float
    clipped : int
        Samples beyond full scale.
    record : dict
        What `NAME.controls.json` holds.
    warnings : tuple of str
    plot : Path or None
        The before/after picture.
    """

    audio: Path
    controls_file: Path
    presets: tuple[Path, ...]
    positions: np.ndarray
    plugins: list[dict[str, Any]]
    trim_db: float
    output_peak_dbfs: float
    clipped: int
    record: dict[str, Any]
    warnings: tuple[str, ...]
    plot: Path | None = None

    @property
    def text(self) -> str:
        """The controls in words."""
        return controls_text(self.plugins)

    @property
    def trim_text(self) -> str:
        """What was done to the input's level, in words."""
        way = "up" if self.trim_db > 0 else "down"
        return f"the input was brought {way} by {abs(self.trim_db):.1f} dB to the level the controller was learned at"


def companion(out: Path, suffix: str) -> Path:
    """Name a file beside the audio: `NAME` without its extension, plus a suffix."""
    return out.with_name(out.stem + suffix)


def preset_paths(out: Path, controller: StyleController) -> list[Path | None]:
    """Name the preset of each plugin of the chain; None where the format has none."""
    labels = [re.sub(r"[^\w.-]+", "_", profile.label) for profile in controller.spec.profiles]
    paths: list[Path | None] = []
    for k, profile in enumerate(controller.spec.profiles):
        if profile.identity.format != "vst3":
            paths.append(None)
            continue
        number = f"-{labels[: k + 1].count(labels[k])}" if labels.count(labels[k]) > 1 else ""
        paths.append(companion(out, f".{labels[k]}{number}.vstpreset"))
    return paths


def transfer(
    controller: StyleController,
    source: str | os.PathLike[str],
    references: Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    amount: float = 1.0,
    tail: bool = False,
    plot: str | os.PathLike[str] | None = None,
    force: bool = False,
    allow_version: bool = False,
    progress: Progress = lambda doing: None,
) -> TransferResult:
    """Set the controls once for the whole recording and render it through the real plugins.

    Parameters
    ----------
    controller : StyleController
    source : path
        Input recording: any rate, mono or stereo, a second to hours.
    references : sequence of path
        Recordings in the wanted style; several count as one style.
    out : path
        Audio to write; `NAME.controls.json` and a `.vstpreset` for each VST3 come beside it.
    amount : float, 0 to 1
        How much of the style.
    tail : bool
        Let delays and reverbs ring out after the end.
    plot : path, optional
        Draw the before/after picture there.
    force : bool
        Replace what is there.
    allow_version : bool
        Use another version of a plugin than the controller was learned on.
    progress : callable
        Called with a word for what comes next.

    Returns
    -------
    TransferResult

    Raises
    ------
    AudioError, OutputError, ControllerError, PluginError, UsageError
        Nothing is left half-written.
    """
    out, spec = Path(out), controller.spec
    source, references = Path(source), [Path(path) for path in references]
    plot = Path(plot) if plot is not None else None
    if not 0 <= amount <= 1:
        raise UsageError(f"amount is {amount:g}; expected 0 (the plugins' defaults) to 1 (all of the style)")
    about = info(source)
    for path in references:
        info(path)
    if not references:
        raise UsageError("no reference was given; expected at least one recording in the wanted style")
    if about.channels > 2:
        raise AudioError(f"{source}: {about.channels} channels; expected mono or stereo; mix it down first")
    presets = preset_paths(out, controller)
    controls_file = companion(out, ".controls.json")
    places = [out, controls_file, *(path for path in presets if path), *([plot] if plot else [])]
    heard_files = {path.resolve() for path in (source, *references)}
    for place in places:
        if place.resolve() in heard_files:
            raise OutputError(f"{place} is one of the inputs; give another name")
    refuse_existing(places, force)
    with staging(out) as stage:
        check_container(stage, out, about)
        warnings = controller.check_installed(allow_version=allow_version)
        progress("listening")
        heard = controller.hear(source)
        positions = controller.predict(heard, [controller.hear(path) for path in references], amount)
        trim_db = controller.trim_db(heard)
        warnings += spec.channels_note(heard.channels)
        if heard.sample_rate != controller.card.sample_rate:
            warnings.append(
                f"learned at {controller.card.sample_rate} Hz, rendered at the file's {heard.sample_rate} Hz"
            )
        tail_s = sum(profile.tail_s for profile in spec.profiles) if tail else 0.0
        progress("rendering")
        made = _render(spec, heard, positions, stage / out.name, trim_db, tail_s)
        if made["clipped"]:
            warnings.append(_clipping(made))
        moves = {stage / out.name: out}
        plugins = describe_controls(spec, positions)
        for plugin, path, state in zip(plugins, presets, made["states"], strict=True):
            plugin["preset"] = path.name if path and state else None
            if path and state:
                moves[_staged(stage, path, state)] = path
        record = {
            "schema": 1,
            "input": str(source),
            "references": [str(path) for path in references],
            "output": out.name,
            "sample_rate": heard.sample_rate,
            "channels": heard.channels,
            "subtype": made["subtype"],
            "amount": amount,
            "trim_db": trim_db,
            "tail_s": tail_s,
            "output_peak_dbfs": made["peak_dbfs"],
            "clipped_samples": made["clipped"],
            "latency_samples": made["latency"],
            "plugins": plugins,
            "warnings": warnings,
        }
        moves[_staged(stage, controls_file, json_bytes(record))] = controls_file
        if plot:
            from blackbox_afx.plot.before_after import plot_transfer

            progress("drawing")
            plot_transfer(source, references[0], stage / out.name, plugins, plot, title=spec.label, force=force)
        publish(moves)
    return TransferResult(
        audio=out,
        controls_file=controls_file,
        presets=tuple(path for path in moves.values() if path in presets),
        positions=positions,
        plugins=plugins,
        trim_db=trim_db,
        output_peak_dbfs=made["peak_dbfs"],
        clipped=made["clipped"],
        record=record,
        warnings=tuple(warnings),
        plot=plot,
    )


def _clipping(made: dict[str, Any]) -> str:
    """Say what became of samples beyond full scale."""
    kept = made["subtype"] in ("FLOAT", "DOUBLE")
    end = "the float file keeps them" if kept else "and were cut off; write a float WAV or turn --amount down"
    return f"{made['clipped']} samples went over full scale (peak {made['peak_dbfs']:+.1f} dBFS); {end}".replace(
        "; and", " and"
    )


def _staged(stage: Path, place: Path, content: bytes) -> Path:
    """Write the content of a file to be."""
    staged = stage / place.name
    try:
        staged.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{place}: can't be written ({error.strerror}); is the disk full?") from None
    return staged


def _render(
    spec: ChainSpec, heard: Heard, positions: np.ndarray, out: Path, trim_db: float, tail_s: float
) -> dict[str, Any]:
    """Render in a worker, and turn its failure into an error that names the plugin."""
    seconds = heard.seconds + tail_s
    job = CallJob(
        function=render_file,
        args=(spec, spec.space.to_raw(positions), heard.path, str(out), trim_db, tail_s),
        spec=spec,
        cost=spec.cost_s(seconds, heard.sample_rate, heard.channels) + 0.02 * seconds,
    )
    with Farm(1 if spec.trusted else 2) as farm:
        result = farm.run([job])[0]
    if result.failure is None:
        return result.value
    failure = result.failure
    if failure.message.startswith("OutputError: "):
        raise OutputError(failure.message.removeprefix("OutputError: "))
    kind = {"crash": PluginCrash, "hang": PluginHang}.get(failure.kind, PluginError)
    raise kind(f"{failure.plugin}: {failure.message}; nothing was written")
