"""Measure controllers on recordings that nothing was learned from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.checks import Whole, check_audio
from blackbox_afx.cli.console import example, progress, warn
from blackbox_afx.cli.reports import DEFAULTS, ReportOptions, check_numbers
from blackbox_afx.errors import UsageError

app = App(name="benchmark")
"""One command a table."""

# Each of these has a file of its own, imported when it is called.
for _name, _help in (
    ("realistic", "Score transfers to the style of another's recording, where no target is known."),
    ("styles", "Tell five styles of production apart with one linear layer on frozen embeddings."),
    ("listen", "Write a page to listen to pairs and what each method made of them."),
    ("match", "Compare searching on the plugin with plain CMA-ES, and controllers with what refining makes of them."),
    ("gradients", "Compare estimators of a chain's derivative with central differences, by the calls they cost."),
    ("complexity", "Time a training step of each method in its parts, rendering, and count parameters."),
):
    app.command(f"blackbox_afx.cli.benchmark_{_name}:{_name}", name=_name, help=_help)

Flag = Parameter(negative="")


@app.command
@example("""
$ afx benchmark synthetic --audio recordings/ --where type=speech --controller voice.safetensors --out self.json
Protocol self, 200 pairs, 45 speakers or artists, seed 42.

Mean error as a share of the input's (95 % interval):

| method | STFT                  | MSD ...
...
wrote self.json
""")
def synthetic(
    *,
    audio: Path,
    controller: Annotated[list[str], Parameter(consume_multiple=True, negative="")],
    out: Path,
    where: str | None = None,
    protocol: Literal["self", "paper", "both"] = "self",
    pairs: Whole = 200,
    seed: Whole = 42,
    segment: Whole | None = None,
    sample_rate: Whole | None = None,
    baseline: Annotated[
        list[Literal["defaults", "random", "rb-dsp", "matchering"]] | None,
        Parameter(consume_multiple=True, negative=""),
    ] = None,
    source: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    oracle: Whole = 0,
    pesq: Annotated[bool, Flag] = False,
    plot: Path | None = None,
    on_plugins: Annotated[bool, Flag] = False,
    allow_version: Annotated[bool, Flag] = False,
    jobs: Whole | None = None,
    options: ReportOptions = DEFAULTS,
) -> None:
    """Score controllers on pairs whose target is known, made of the two halves of one clip.

    Errors are averaged by speaker or artist, and printed as a share of the error that the unprocessed input has.
    STFT, MSD, spectral centroid (SCE), RMS and LUFS differences; less is better.

    Parameters
    ----------
    audio
        A folder of recordings. Of one with a MANIFEST.csv the split test is used, of any other all.
    controller
        Files that `afx learn` made, or names that `afx list controllers` shows; several are compared on the same pairs.
    out
        The JSON file to write.
    where
        Keep recordings whose manifest columns have these values, such as type=speech,source=a|b.
    protocol
        self: a random setting of the controllers' own chain makes the target.
        paper: input and target are corrupted by other effects, as in the style-transfer paper.
        both: one after the other; NAME.json becomes NAME.self.json and NAME.paper.json, and --json prints a list.
    pairs
        How many; the speakers take turns.
    seed
        Decides every pair.
    segment
        Samples of a half; by default what the first controller was learned with.
    sample_rate
        Hertz that the plugins render at; by default the rate the controllers were learned at, at which they listen in
        any case.
    baseline
        Also score the plugins' default settings, random ones, or the rule-based baseline (rb-dsp: match the average
        spectrum, then compress until as loud) or Matchering (the extra `matchering`), which use no plugin.
    source
        Keep recordings of these sources (column `source`), and show each in a table of its own. --where "source!=a"
        leaves one out.
    oracle
        Also search, with the target in hand, the best of so many settings for each pair, such as 1200 (slow).
    on_plugins
        Add rows in which the plugins render the settings of controllers that were learned for the audio of a proxy or
        of an autodiff effect (methods np and ad; NP-HH is np on the plugins).
    pesq
        Also score by PESQ (slow; speech only; larger is better).
    plot
        Also draw the ratios: .png, .svg or .pdf; of both protocols NAME.self.png and NAME.paper.png.
    allow_version
        Use plugins of another version than a controller was learned on.
    jobs
        Worker processes; by default as many as there are cores.
    """
    names = ["self", "paper"] if protocol == "both" else [protocol]
    outs = [out.with_name(f"{out.stem}.{name}{out.suffix}") if len(names) > 1 else out for name in names]
    plots = (
        [plot.with_name(f"{plot.stem}.{name}{plot.suffix}") if len(names) > 1 else plot for name in names]
        if plot
        else []
    )
    check_numbers(pairs=pairs, segment=segment, sample_rate=sample_rate, jobs=jobs, seed=seed)
    check_audio(audio, where)
    options.check(outs, plots)
    if oracle < 0 or 0 < oracle < 20:
        raise UsageError(f"--oracle {oracle}; expected at least 20 renders a pair, such as 1200, or 0 for none")
    if source:
        where = ",".join([*([where] if where else []), f"source={'|'.join(source)}"])
    paths = [shelf.find("controllers", item) for item in controller]
    if pesq:
        from blackbox_afx.metrics.pesq import available

        if not available():
            raise UsageError("PESQ is not installed; expected the extra 'metrics'; pip install 'blackbox-afx[metrics]'")

    from blackbox_afx.benchmark.report import command_line
    from blackbox_afx.benchmark.report import markdown as tables
    from blackbox_afx.benchmark.run import run_protocols

    with progress("benchmark", total=1) as meter:
        reports = run_protocols(
            names,
            audio=audio,
            where=where,
            controllers=paths,
            baselines=baseline or [],
            pairs=pairs,
            seed=seed,
            segment=segment,
            sample_rate=sample_rate,
            pesq=pesq,
            oracle=oracle,
            jobs=jobs,
            allow_version=allow_version,
            on_plugins=on_plugins,
            command=command_line(sys.argv[1:]),
            warn=warn,
            progress=lambda done, total, text: meter.update(done, text, total),
        )
    text = "\n\n".join(tables(report) for report in reports)
    options.publish(dict(zip(outs, reports, strict=True)), text, plots)


@app.command
@example("""
$ afx benchmark automation --audio recordings/ --where type=speech --controller voice.safetensors --out auto.json
Automation against one setting: ZamEQ2 > ZamComp, 60 recordings of each kind, 45 speakers or artists, seed 42, ...

| kind   | level (dB) ...
...
wrote auto.json
""")
def automation(
    *,
    audio: Path,
    controller: str,
    out: Path,
    where: str | None = None,
    split: Literal["test", "val"] = "test",
    items: Whole = 60,
    seed: Whole = 42,
    smooth: float | None = None,
    allow_version: Annotated[bool, Flag] = False,
    jobs: Whole | None = None,
    options: ReportOptions = DEFAULTS,
) -> None:
    """Compare `afx transfer --automate` with one setting, from second to second, on takes that change half-way.

    A random setting of the controller's own chain makes reference and target. Kinds: level (two takes, one 15 dB
    quieter), tone (a take twice, the second time through two shelves of 10 dB), steady (a take twice), both again
    without repeating words (tone_once, steady_once), voices (two speakers in one steady production).

    Parameters
    ----------
    audio
        A folder of recordings. Of one with a MANIFEST.csv the split is used, of any other all.
    controller
        A file that `afx learn` made, or a name that `afx list controllers` shows.
    out
        The JSON file to write.
    where
        Keep recordings whose manifest columns have these values, such as type=speech,source=a|b.
    split
        test to report; val to choose options by.
    items
        How many; each gives a recording of every kind. The speakers take turns.
    seed
        Decides every item.
    smooth
        Time constant of the lanes, seconds; as for `afx transfer` by default.
    allow_version
        Use plugins of another version than the controller was learned on.
    jobs
        Worker processes; by default as many as there are cores.
    """
    if items < 1:
        raise UsageError(f"--items {items}; expected at least 1")
    if smooth is not None and not 0 <= smooth < float("inf"):
        raise UsageError(f"--smooth {smooth:g}; expected a time constant of 0 s or more, for example 0.7")
    check_numbers(jobs=jobs, seed=seed)
    check_audio(audio, where)
    options.check([out])
    path = shelf.find("controllers", controller)

    from blackbox_afx.benchmark.automation import markdown as table
    from blackbox_afx.benchmark.automation import run_automation
    from blackbox_afx.benchmark.report import command_line
    from blackbox_afx.transfer.trajectories import SMOOTH_S, Smoothing

    with progress("benchmark", total=items) as meter:
        report = run_automation(
            Path(path),
            audio=audio,
            where=where,
            split=split,
            items=items,
            seed=seed,
            smoothing=Smoothing(seconds=SMOOTH_S if smooth is None else smooth),
            jobs=jobs,
            allow_version=allow_version,
            command=command_line(sys.argv[1:]),
            warn=warn,
            progress=lambda done, total: meter.update(done, f"{done} of {total} items", total),
        )
    options.publish({out: report}, table(report))
