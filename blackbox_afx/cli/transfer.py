"""`afx transfer`: give a recording the production style of a reference, through the real plugins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.checks import Whole
from blackbox_afx.cli.console import Meter, emit_json, example, note, progress, say, warn
from blackbox_afx.errors import UsageError

if TYPE_CHECKING:
    from blackbox_afx.transfer.result import TransferResult

Flag = Parameter(negative="")


@example(
    """
$ afx transfer take.wav podcast.wav --controller voice.safetensors --out styled.wav
ZamEQ2 (vst3)
  Boost/Cut 1   -3.1 dB
...
the input was brought up by 3.2 dB to the level the controller was learned at
wrote styled.wav
wrote styled.controls.json
wrote styled.session.json
wrote styled.ZamEQ2.vstpreset
wrote styled.ZamComp.vstpreset
""",
    takes="INPUT REFERENCE...",
)
def transfer(
    source: Annotated[Path, Parameter(name="INPUT")],
    /,
    *references: Annotated[Path, Parameter(name="REFERENCE")],
    controller: str,
    out: Path,
    amount: float = 1.0,
    automate: Annotated[bool, Flag] = False,
    smooth: float | None = None,
    refine: Whole | None = None,
    tail: Annotated[bool, Flag] = False,
    plot: Path | None = None,
    force: Annotated[bool, Flag] = False,
    allow_version: Annotated[bool, Flag] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Give a recording the production style of a reference.

    Parameters
    ----------
    source
        The recording to change: any sample rate, mono or stereo, a second to hours.
    references
        Recordings in the wanted style; several count as one style.
    controller
        A file that `afx learn` made, or a name that `afx list controllers` shows. One of the methods ctcn1 and ctcn2
        renders through its own network, and writes no preset and no session.
    out
        The audio file to write. NAME.controls.json, NAME.session.json (for afx export) and a .vstpreset for
        each VST3 come beside it.
    amount
        How much of the style: 0 leaves the plugins' defaults, 1 takes all of it.
    automate
        Let the controls follow where the recording's level or tone changes: lanes, which NAME.session.json carries.
    smooth
        Time constant of those lanes, seconds; 0.7 by default.
    refine
        Search on the plugins from what the controller said, with at most so many renders of an excerpt; 48 is a good
        number. The style distance before and after is printed. Ctrl-C keeps the best so far.
    tail
        Let delays and reverbs ring out after the end.
    plot
        Draw spectrum, level and controls before and after (.png, .svg or .pdf).
    force
        Replace what is there.
    allow_version
        Use a plugin of another version than the controller was learned on.
    as_json
        Print what was set, and the files, as JSON.
    """
    if not references:
        raise UsageError("no REFERENCE was given; expected INPUT and at least one recording in the wanted style")
    if not 0 <= amount <= 1:
        raise UsageError(f"amount is {amount:g}; expected 0 (the plugins' defaults) to 1 (all of the style)")
    if smooth is not None and not 0 <= smooth < float("inf"):
        raise UsageError(f"--smooth {smooth:g}; expected a time constant of 0 s or more, for example 0.7")
    if smooth is not None and not automate:
        raise UsageError(f"--smooth {smooth:g} without --automate; expected both, or neither: one setting has no lanes")
    if refine is not None and not 2 <= refine <= 100_000:
        raise UsageError(f"--refine {refine}; expected 2 to 100000 renders, for example 48")
    if plot is not None:
        from blackbox_afx.plot.before_after import check_plot

        check_plot(plot, force=force)
    path = shelf.find("controllers", controller)
    # torch takes seconds to import: what is wrong with the files should be said before.
    from blackbox_afx.transfer.request import check_files

    check_files(source, references, [out, out.with_name(f"{out.stem}.controls.json")], force=force)
    from blackbox_afx.transfer.style_controller import StyleController

    lanes = None
    if automate:
        from blackbox_afx.transfer.trajectories import SMOOTH_S, Smoothing

        lanes = Smoothing(seconds=SMOOTH_S if smooth is None else smooth)
    search = None
    if refine is not None:
        from blackbox_afx.transfer.refine import REFINE_PULL, REFINE_REACH, Refinement

        search = Refinement(renders=refine, pull=REFINE_PULL, reach=REFINE_REACH)
    with progress("transfer", total=(4 if automate else 3) + (refine + 1 if refine else 0)) as meter:
        result = StyleController.load(path).transfer(
            source,
            list(references),
            out=out,
            amount=amount,
            automation=lanes,
            refinement=search,
            tail=tail,
            plot=plot,
            force=force,
            allow_version=allow_version,
            progress=lambda doing: meter.advance(text=doing),
            refining=follow_search(meter),
        )
    tell(result, as_json=as_json)


def follow_search(meter: Meter) -> Callable[[int, float, float], None]:
    """Give what moves a meter on by the renders of a search, and shows the best distance so far."""
    told = 0

    def report(renders: int, before: float, best: float) -> None:
        nonlocal told
        meter.advance(renders - told, f"style distance {before:.3f} -> {best:.3f} after {renders} renders")
        told = renders

    return report


def tell(result: TransferResult, *, as_json: bool) -> None:
    """Say what was set, and which files there are now."""
    for text in result.warnings:
        warn(text)
    files = [
        result.audio,
        result.controls_file,
        *([result.session_file] if result.session_file else []),
        *result.presets,
        *([result.plot] if result.plot else []),
    ]
    if as_json:
        emit_json({**result.record, "files": files})
        return
    if result.plugins:
        say(result.text)
    if result.automation_text:
        say(result.automation_text)
    if result.refined:
        say(result.refined.text)
    say(result.trim_text)
    for file in files:
        note(f"wrote {file}")
