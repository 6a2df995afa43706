"""`afx match`: any plugin, no controller, no training; search its settings on the plugin itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from blackbox_afx.cli.checks import Whole
from blackbox_afx.cli.console import example, note, progress
from blackbox_afx.cli.transfer import follow_search, tell
from blackbox_afx.errors import UsageError

Flag = Parameter(negative="")


@example(
    """
$ afx match take.wav song.wav zam_eq2 zam_comp --out matched.wav
match: 62 % style distance 2.874 -> 0.412 after 49 renders
ZamEQ2 (vst3)
  Boost/Cut 1   -3.1 dB
...
style distance 2.874 -> 0.397 after 80 renders
the input was brought up by 3.2 dB to a peak of -12 dBFS
wrote matched.wav
wrote matched.controls.json
wrote matched.session.json
wrote matched.ZamEQ2.vstpreset
wrote matched.ZamComp.vstpreset
""",
    takes="INPUT REFERENCE PLUGIN...",
)
def match(
    source: Annotated[Path, Parameter(name="INPUT")],
    reference: Annotated[Path, Parameter(name="REFERENCE")],
    /,
    *plugins: Annotated[str, Parameter(name="PLUGIN")],
    out: Path,
    also: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    controls: str | None = None,
    renders: Whole = 80,
    seconds: float = 8.0,
    seed: Whole = 0,
    method: Literal["guided", "surrogate", "cma"] = "guided",
    spectrum: float = 1.0,
    amount: float = 1.0,
    tail: Annotated[bool, Flag] = False,
    plot: Path | None = None,
    force: Annotated[bool, Flag] = False,
    allow_version: Annotated[bool, Flag] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Give a recording the sound of a reference with any plugin: no controller, no training.

    The plugin's settings are searched by rendering an excerpt of the recording again and again. Ctrl-C ends the search
    and writes the best so far.

    Parameters
    ----------
    source
        The recording to change: any sample rate, mono or stereo, a second to hours.
    reference
        A recording in the wanted style.
    plugins
        One or several, in the order that audio goes through them: a shipped profile, a profile.toml, a path, an LV2
        URI, or builtin:Compressor. One without a profile is probed first.
    out
        The audio file to write. NAME.controls.json, NAME.session.json (for afx export) and a .vstpreset for
        each VST3 come beside it.
    also
        More recordings in the wanted style; all count as one style.
    controls
        Which controls to set: names or patterns, separated by commas, or auto:24 for those that move the sound most.
    renders
        The most renders of the excerpt; the search stops earlier where it no longer pays.
    seconds
        Length of the excerpt, and of the stretches of the references that are listened to.
    seed
        The same seed gives the same settings, where the plugin repeats.
    method
        guided begins where quiet impulses through the plugins lead, and predicts what they can't tell from the renders
        it heard; surrogate predicts alone; cma is CMA-ES, which needs ten times as many.
    spectrum
        How many times as much as usual the mean spectrum counts beside loudness, dynamics and all else: 5 for a chain
        with many bands, whose average spectrum is to be the reference's.
    amount
        How much of the way from the plugins' defaults: 0 none, 1 all.
    tail
        Let delays and reverbs ring out after the end.
    plot
        Draw spectrum, level and controls before and after (.png, .svg or .pdf).
    force
        Replace what is there.
    allow_version
        Use a plugin of another version than its profile was made on.
    as_json
        Print what was set, and the files, as JSON.
    """
    if not plugins:
        raise UsageError("no PLUGIN was given; expected INPUT, REFERENCE and at least one, for example zam_eq2")
    if not 0 <= amount <= 1:
        raise UsageError(f"amount is {amount:g}; expected 0 (the plugins' defaults) to 1 (all of the style)")
    from blackbox_afx.transfer.refine import Refinement

    refinement = Refinement(renders=renders, seconds=seconds, seed=seed, method=method, spectrum=spectrum)
    if plot is not None:
        from blackbox_afx.plot.before_after import check_plot

        check_plot(plot, force=force)
    from blackbox_afx.transfer.request import check_recordings

    references = [reference, *(also or [])]
    check_recordings([source, *references])
    from blackbox_afx.transfer.match import match as run

    with progress("match", total=3 + renders) as meter:
        result = run(
            source,
            references,
            plugins,
            out=out,
            refinement=refinement,
            controls=controls,
            amount=amount,
            tail=tail,
            plot=plot,
            force=force,
            allow_version=allow_version,
            note=note,
            progress=lambda doing: meter.advance(text=doing),
            refining=follow_search(meter),
        )
    tell(result, as_json=as_json)
