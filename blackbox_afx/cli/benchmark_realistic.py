"""Realistic transfer: recordings in five styles, to the style of another voice."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.chains import find_chains
from blackbox_afx.cli.checks import Whole, check_audio
from blackbox_afx.cli.console import example, progress, warn
from blackbox_afx.cli.reports import DEFAULTS, ReportOptions, check_numbers
from blackbox_afx.errors import UsageError

Flag = Parameter(negative="")
Several = Parameter(consume_multiple=True, negative="")


@example("""
$ afx benchmark realistic --audio recordings/ --where type=speech --controller voice.safetensors \\
      --baseline rb-dsp matchering --out real.json --plot real.png
Protocol realistic, 250 pairs, 45 speakers or artists, seed 42.

Mean error as a share of the input's (95 % interval):

| method | MSD ...
...
wrote real.json
wrote real.png
""")
def realistic(
    *,
    audio: Path,
    out: Path,
    controller: Annotated[list[str] | None, Several] = None,
    chain: Annotated[list[str] | None, Several] = None,
    where: str | None = None,
    each: Whole = 10,
    refine: Whole = 0,
    renders: Whole = 40,
    spectrum: float = 1.0,
    seed: Whole = 42,
    segment: Whole | None = None,
    sample_rate: Whole | None = None,
    baseline: Annotated[list[Literal["rb-dsp", "matchering", "defaults", "random"]] | None, Several] = None,
    plot: Path | None = None,
    allow_version: Annotated[bool, Flag] = False,
    jobs: Whole | None = None,
    options: ReportOptions = DEFAULTS,
) -> None:
    """Score transfers to the style of another speaker's or artist's recording, where no target is known.

    Recordings are put in five styles (neutral, broadcast, telephone, bright, warm), none in two. Each style goes to
    each, from and to different speakers. Results are measured against the reference: mel spectrum (MSD), spectral
    centroid (SCE), RMS and LUFS differences; less is better, and none gets to zero.

    Parameters
    ----------
    audio
        A folder of recordings. Of one with a MANIFEST.csv, or of a corpus, the split test is used, of any other all.
    out
        The JSON file to write.
    controller
        Files that `afx learn` made, or names that `afx list controllers` shows.
    chain
        Also set these plugins with no controller, as afx match does: plugins in order, in quotes; several may follow.
    where
        Keep recordings whose columns have these values, such as type=speech,source=a|b.
    each
        Pairs of each of the 25 combinations of styles.
    refine
        Also score each controller's settings after so many renders of refining, as afx transfer --refine makes them.
    renders
        The most renders a pair of such a search.
    spectrum
        As of afx match, for chains.
    seed
        Decides styles, settings and pairs.
    segment
        Samples of a recording at the most; 5.46 s by default.
    sample_rate
        Hertz that everything runs at; by default the rate the controllers were learned at, or 24000.
    baseline
        Also score rb-dsp (equaliser and compressor set by rule), matchering (the extra of that name), the plugins'
        default settings, or random ones.
    plot
        Also draw the ratios: .png, .svg or .pdf.
    allow_version
        Use plugins of another version than a controller was learned on.
    jobs
        Worker processes; by default as many as there are cores.
    """
    if each < 1:
        raise UsageError(f"--each {each}; expected at least 1")
    if refine < 0 or refine == 1:
        raise UsageError(f"--refine {refine}; expected 0 for none, or 2 and more, for example 48")
    if not 0.1 <= spectrum <= 100:
        raise UsageError(f"--spectrum {spectrum:g}; expected 0.1 to 100, for example 5")
    if spectrum != 1.0 and not chain:
        raise UsageError("--spectrum was given, but no chain to search; expected --chain PLUGINS beside it")
    if renders < 2:
        raise UsageError(f"--renders {renders}; expected 2 or more, for example 40")
    if not controller and not baseline and not chain:
        raise UsageError(
            "neither a controller nor a chain nor a baseline was given; "
            "expected --controller FILE, --chain PLUGINS or --baseline NAME"
        )
    plots = [plot] if plot else []
    check_numbers(segment=segment, sample_rate=sample_rate, jobs=jobs, seed=seed)
    check_audio(audio, where)
    options.check([out], plots)
    paths = [Path(shelf.find("controllers", item)) for item in controller or ()]
    if "matchering" in (baseline or ()):
        from blackbox_afx.benchmark.matchering_method import check_matchering

        check_matchering()

    chains = find_chains(chain or ())
    if len(chains) < len(chain or ()):
        raise UsageError("--chain is empty; expected plugins, for example --chain 'zam_eq2 zam_comp'")

    from blackbox_afx.benchmark.realistic import markdown as tables
    from blackbox_afx.benchmark.realistic import run_realistic
    from blackbox_afx.benchmark.report import command_line

    with progress("benchmark", total=25 * each) as meter:
        report = run_realistic(
            audio=audio,
            controllers=paths,
            chains=chains,
            where=where,
            baselines=baseline or (),
            each=each,
            refine=refine,
            renders=renders,
            spectrum=spectrum,
            seed=seed,
            segment=segment,
            sample_rate=sample_rate,
            jobs=jobs,
            allow_version=allow_version,
            command=command_line(sys.argv[1:]),
            warn=warn,
            progress=lambda done, total, text: meter.update(done, text, total),
        )
    options.publish({out: report}, tables(report), plots)
