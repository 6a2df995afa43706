"""Transfer a file: one setting for the whole recording, or lanes that depart from it.

torch comes with the controller, not from here: matching needs none.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from blackbox_afx.errors import OutputError, PluginCrash, PluginError, PluginHang, UsageError
from blackbox_afx.export.build import ChainFacts, parameter_table
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob, Result
from blackbox_afx.plugins.trajectory import Trajectory
from blackbox_afx.transfer.controls_file import describe_controls, json_bytes
from blackbox_afx.transfer.listen import Heard
from blackbox_afx.transfer.render_file import render_file
from blackbox_afx.transfer.request import check_files, lost_ends
from blackbox_afx.transfer.result import TransferResult
from blackbox_afx.transfer.session_file import COMPARED_S, ask_chain, render_and_ask, session_bytes
from blackbox_afx.transfer.staging import publish, staging

if TYPE_CHECKING:
    from blackbox_afx.transfer.automate import Automation
    from blackbox_afx.transfer.match import Matcher
    from blackbox_afx.transfer.refine import Refined, Refinement
    from blackbox_afx.transfer.style_controller import StyleController
    from blackbox_afx.transfer.trajectories import Smoothing

Progress = Callable[[str], None]


def companion(out: Path, suffix: str) -> Path:
    """Name a file beside the audio: `NAME` without its extension, plus a suffix."""
    return out.with_name(out.stem + suffix)


def preset_paths(out: Path, controller: StyleController | Matcher) -> list[Path | None]:
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
    controller: StyleController | Matcher,
    source: str | os.PathLike[str],
    references: Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    amount: float = 1.0,
    tail: bool = False,
    automation: Smoothing | None = None,
    refinement: Refinement | None = None,
    plot: str | os.PathLike[str] | None = None,
    force: bool = False,
    allow_version: bool = False,
    progress: Progress = lambda doing: None,
    refining: Callable[[int, float, float], None] = lambda renders, before, best: None,
) -> TransferResult:
    """Set the controls, once or over time, and render the recording through the real plugins.

    Parameters
    ----------
    controller : StyleController or Matcher
    source : path
        Input recording: any rate, mono or stereo, a second to hours.
    references : sequence of path
        Recordings in the wanted style; several count as one style.
    out : path
        Audio to write; `NAME.controls.json`, `NAME.session.json` and a `.vstpreset` for each VST3 come beside it.
    amount : float, 0 to 1
        How much of the style.
    tail : bool
        Let delays and reverbs ring out after the end.
    automation : Smoothing, optional
        Let the controls follow where the recording's level or tone changes; one setting throughout by default.
    refinement : Refinement, optional
        Search on the plugins from what the controller said.
    plot : path, optional
        Draw the before/after picture there.
    force : bool
        Replace what is there.
    allow_version : bool
        Use another version of a plugin than the controller was learned on.
    progress : callable
        Called with a word for what comes next.
    refining : callable
        As `refine` reports.

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
    if automation is not None and controller.card is None:
        raise UsageError("automation needs a controller, which a match has not; expected one setting")
    presets = preset_paths(out, controller)
    controls_file, session_file = companion(out, ".controls.json"), companion(out, ".session.json")
    places = [out, controls_file, session_file, *(path for path in presets if path), *([plot] if plot else [])]
    check_files(source, references, places, force=force)
    with staging(out) as stage, Farm(1 if spec.trusted else 2) as farm:
        warnings = controller.check_installed(allow_version=allow_version) + list(controller.origin)
        warnings += lost_ends([source, *references])
        farm.prepare(spec)
        progress("listening")
        heard = controller.hear(source)
        styles = [controller.hear(path) for path in references]
        positions = controller.predict(heard, styles, amount if refinement is None else 1.0)
        trim_db = controller.trim_db(heard)
        refined = None
        if refinement is not None:
            from blackbox_afx.transfer.refine import refine

            progress("searching")
            refined = refine(
                spec, farm, source, references, positions, refinement, trim_db=trim_db, amount=amount, report=refining
            )
            positions = refined.positions
        made_lanes = None
        raw: np.ndarray | Trajectory = spec.space.to_raw(positions)
        if automation is not None:
            # scipy.signal takes a second to import, which one setting for the whole recording does not need.
            from blackbox_afx.transfer.automate import automate

            progress("following")
            made_lanes = automate(
                cast("StyleController", controller),
                heard,
                styles,
                positions,
                amount=amount,
                smoothing=automation,
                farm=farm,
            )
            raw = made_lanes.lanes.trajectory
            positions = spec.space.from_raw(made_lanes.lanes.start)
        warnings += spec.channels_note(heard.channels)
        if controller.card is not None and heard.sample_rate != controller.card.sample_rate:
            warnings.append(
                f"learned at {controller.card.sample_rate} Hz, rendered at the file's {heard.sample_rate} Hz"
            )
        tail_s = sum(profile.tail_s for profile in spec.profiles) if tail else 0.0
        progress("rendering")
        made, facts, error_db = _render(farm, spec, heard, raw, made_lanes, stage / out.name, trim_db, tail_s)
        if made["clipped"]:
            warnings.append(_clipping(made))
        moves = {stage / out.name: out}
        plugins = describe_controls(spec, positions)
        _mark_lanes(spec, plugins, made_lanes)
        for plugin, path, state in zip(plugins, presets, facts.states, strict=True):
            plugin["preset"] = path.name if path and state else None
            if path and state:
                moves[staged_content(stage, path, state)] = path
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
            "session": session_file.name,
            "automation": _automation_record(made_lanes, error_db),
            "refinement": _refinement_record(refined, refinement),
            "plugins": plugins,
            "warnings": warnings,
        }
        moves[staged_content(stage, controls_file, json_bytes(record))] = controls_file
        moves[
            staged_content(
                stage,
                session_file,
                session_bytes(
                    spec,
                    made_lanes.lanes if made_lanes else spec.space.to_raw(positions),
                    facts,
                    source=source,
                    staged=stage / out.name,
                    out=out,
                    trim_db=trim_db,
                    error_db=error_db,
                    warnings=warnings,
                ),
            )
        ] = session_file
        if plot:
            from blackbox_afx.plot.before_after import plot_transfer

            progress("drawing")
            plot_transfer(source, references[0], stage / out.name, plugins, plot, title=spec.label, force=force)
        publish(moves)
    return TransferResult(
        audio=out,
        controls_file=controls_file,
        session_file=session_file,
        presets=tuple(path for path in moves.values() if path in presets),
        positions=positions,
        plugins=plugins,
        trim_db=trim_db,
        output_peak_dbfs=made["peak_dbfs"],
        clipped=made["clipped"],
        record=record,
        warnings=tuple(warnings),
        plot=plot,
        automation=made_lanes,
        refined=refined,
        trim_level=controller.trim_level,
    )


def _mark_lanes(spec: ChainSpec, plugins: list[dict[str, Any]], made: Automation | None) -> None:
    """Say in each control that moves how many points its lane has."""
    rows = [control for plugin in plugins for control in plugin["controls"]]
    for row, lane in zip(rows, made.lanes.lanes if made else (None,) * len(rows), strict=True):
        row["automated"] = 0 if lane is None else len(lane[0])


def _automation_record(made: Automation | None, error_db: float | None) -> dict[str, Any] | None:
    if made is None:
        return None
    return {
        "smooth_s": made.smoothing.seconds,
        "sections": [list(section) for section in made.sections],
        "moved": len(made.moved),
        "points_before": made.lanes.points_before,
        "points": made.lanes.points_after,
        "eps": made.lanes.eps,
        "thinning_error_db": error_db,
    }


def _refinement_record(made: Refined | None, options: Refinement | None) -> dict[str, Any] | None:
    if made is None or options is None:
        return None
    return {
        "method": options.method,
        "seed": options.seed,
        "excerpt_s": options.seconds,
        "pull": options.pull,
        "spectrum": options.spectrum,
        "distance_before": made.before,
        "distance": made.after,
        "renders": made.renders,
        "failed": made.failed,
        "interrupted": made.interrupted,
    }


def _clipping(made: dict[str, Any]) -> str:
    """Say what became of samples beyond full scale."""
    kept = made["subtype"] in ("FLOAT", "DOUBLE")
    end = (
        "the float file keeps them"
        if kept
        else "and were cut off; turn --amount down, or save INPUT as a 32-bit float WAV first"
    )
    return f"{made['clipped']} samples went over full scale (peak {made['peak_dbfs']:+.1f} dBFS); {end}".replace(
        "; and", " and"
    )


def staged_content(stage: Path, place: Path, content: bytes) -> Path:
    """Write the content of a file to be."""
    staged = stage / place.name
    try:
        staged.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{place}: can't be written ({error.strerror}); is the disk full?") from None
    return staged


def _render(
    farm: Farm,
    spec: ChainSpec,
    heard: Heard,
    raw: np.ndarray | Trajectory,
    automation: Automation | None,
    out: Path,
    trim_db: float,
    tail_s: float,
) -> tuple[dict[str, Any], ChainFacts, float | None]:
    """Render in a worker, ask the plugins what a session needs, and turn failures into errors that name the plugin."""
    seconds = heard.seconds + tail_s
    start = raw.at(0.0) if isinstance(raw, Trajectory) else raw
    thinned = None
    if automation is not None and automation.moved:
        thinned = (heard.path, trim_db, automation.trajectory, automation.lanes.trajectory)
    to_render = (spec, raw, heard.path, str(out), trim_db, tail_s)
    to_ask = (spec, start, heard.sample_rate, heard.channels, thinned)
    cost = spec.cost_s(seconds, heard.sample_rate, heard.channels) + 0.02 * seconds
    if thinned is None:
        jobs = [CallJob(function=render_and_ask, args=(to_render, to_ask), spec=spec, cost=cost + 1.0)]
    else:
        # Thinning is judged by two more renders, for which a second worker is worth its start.
        more = 3 * spec.cost_s(2 * COMPARED_S, heard.sample_rate, heard.channels) + 1.0
        jobs = [
            CallJob(function=render_file, args=to_render, spec=spec, cost=cost),
            CallJob(function=ask_chain, args=to_ask, spec=spec, cost=more),
        ]
    # The session needs the plugins' tables, each read by a process of its own, for which there is time meanwhile.
    tables = threading.Thread(target=lambda: [parameter_table(profile) for profile in spec.profiles], daemon=True)
    tables.start()
    values = [_value(result) for result in farm.run(jobs)]
    tables.join()
    made, (facts, error_db) = values[0] if thinned is None else values
    return made, facts, error_db


def _value(result: Result) -> Any:
    if result.failure is None:
        return result.value
    failure = result.failure
    if failure.message.startswith("OutputError: "):
        raise OutputError(failure.message.removeprefix("OutputError: "))
    kind = {"crash": PluginCrash, "hang": PluginHang}.get(failure.kind, PluginError)
    raise kind(f"{failure.plugin}: {failure.message}; nothing was written")
