"""Static transfer: one setting for the whole recording."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.errors import AudioError, OutputError, PluginCrash, PluginError, PluginHang
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.transfer.controls_file import controls_text, describe_controls, write_bytes, write_json
from blackbox_afx.transfer.render_file import render_file
from blackbox_afx.transfer.style_controller import StyleController


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
        Samples that the file format cut off.
    warnings : tuple of str
    """

    audio: Path
    controls_file: Path
    presets: tuple[Path, ...]
    positions: np.ndarray
    plugins: list[dict[str, Any]]
    trim_db: float
    output_peak_dbfs: float
    clipped: int
    warnings: tuple[str, ...]

    @property
    def text(self) -> str:
        """The controls in words."""
        return controls_text(self.plugins)


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
    force: bool = False,
    allow_version: bool = False,
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
    force : bool
        Replace what is there.
    allow_version : bool
        Use another version of a plugin than the controller was learned on.

    Returns
    -------
    TransferResult

    Raises
    ------
    AudioError, OutputError, ControllerError, PluginError
        Nothing is left half-written.
    """
    out, spec = Path(out), controller.spec
    presets = preset_paths(out, controller)
    if out.exists() and out.resolve() in {Path(path).resolve() for path in (source, *references)}:
        raise OutputError(f"{out} is one of the inputs; give another name")
    for path in (out, companion(out, ".controls.json"), *(path for path in presets if path)):
        if path.exists() and not force:
            raise OutputError(f"{path} exists; give --force to replace it, or another name")
    warnings = controller.check_installed(allow_version=allow_version)
    heard = controller.hear(source)
    if heard.channels > 2:
        raise AudioError(f"{source}: {heard.channels} channels; expected mono or stereo; mix it down first")
    positions = controller.predict(heard, [controller.hear(path) for path in references], amount)
    trim_db = controller.trim_db(heard)
    warnings += spec.channels_note(heard.channels)
    if heard.sample_rate != controller.card.sample_rate:
        warnings.append(
            f"learned at {controller.card.sample_rate} Hz, rendered at the file's {heard.sample_rate} Hz"
        )
    tail_s = sum(profile.tail_s for profile in spec.profiles) if tail else 0.0
    made = _render(spec, heard.seconds, positions, source, out, trim_db=trim_db, tail_s=tail_s, force=force)
    if made["clipped"]:
        warnings.append(
            f"{made['clipped']} samples went over full scale (peak {made['peak_dbfs']:+.1f} dBFS) and were cut off; "
            "write a float WAV or turn the style down with --amount"
        )
    plugins = describe_controls(spec, positions)
    for plugin, path, state in zip(plugins, presets, made["states"], strict=True):
        plugin["preset"] = path.name if path and state else None
        if path and state:
            write_bytes(path, state, force=True)
    record = {
        "schema": 1,
        "input": str(source),
        "references": [str(path) for path in references],
        "output": out.name,
        "sample_rate": heard.sample_rate,
        "channels": heard.channels,
        "amount": amount,
        "trim_db": trim_db,
        "output_peak_dbfs": made["peak_dbfs"],
        "clipped_samples": made["clipped"],
        "latency_samples": made["latency"],
        "plugins": plugins,
        "warnings": warnings,
    }
    write_json(companion(out, ".controls.json"), record, force=True)
    return TransferResult(
        audio=out,
        controls_file=companion(out, ".controls.json"),
        presets=tuple(
            path for path, plugin in zip(presets, plugins, strict=True) if path and plugin["preset"]
        ),
        positions=positions,
        plugins=plugins,
        trim_db=trim_db,
        output_peak_dbfs=made["peak_dbfs"],
        clipped=made["clipped"],
        warnings=tuple(warnings),
    )


def _render(spec, seconds: float, positions: np.ndarray, source, out: Path, **options: Any) -> dict[str, Any]:
    """Render in a worker, and turn its failure into an error that names the plugin."""
    raw = spec.space.to_raw(positions)
    job = CallJob(
        function=render_file,
        args=(spec, raw, str(source), str(out)),
        kwargs=options,
        spec=spec,
        cost=spec.cost_s(seconds + options["tail_s"]) + 0.02 * seconds,
    )
    with Farm(1 if spec.trusted else 2) as farm:
        result = farm.run([job])[0]
    if result.failure is None:
        return result.value
    failure = result.failure
    kind = {"crash": PluginCrash, "hang": PluginHang}.get(failure.kind, PluginError)
    raise kind(f"{failure.plugin}: {failure.message}; nothing was written")
