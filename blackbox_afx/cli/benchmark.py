"""Measure controllers on recordings that nothing was learned from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.console import emit_json, example, note, progress, say, warn
from blackbox_afx.errors import UsageError

app = App(name="benchmark")
"""One command a table."""

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
    pairs: int = 200,
    seed: int = 42,
    segment: int | None = None,
    sample_rate: int | None = None,
    baseline: Annotated[list[Literal["defaults", "random", "rb-dsp"]], Parameter(consume_multiple=True, negative="")]
    | None = None,
    pesq: Annotated[bool, Flag] = False,
    markdown: Path | None = None,
    allow_version: Annotated[bool, Flag] = False,
    jobs: int | None = None,
    force: Annotated[bool, Flag] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
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
        both: one after the other; NAME.json becomes NAME.self.json and NAME.paper.json.
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
        spectrum, then compress until as loud), which uses no plugin.
    pesq
        Also score by PESQ (slow; speech only; larger is better).
    markdown
        Also write the tables there.
    allow_version
        Use plugins of another version than a controller was learned on.
    jobs
        Worker processes; by default as many as there are cores.
    force
        Replace what is there.
    as_json
        Print the JSON instead of the tables; a list for both protocols.
    """
    names = ["self", "paper"] if protocol == "both" else [protocol]
    outs = [out.with_name(f"{out.stem}.{name}{out.suffix}") if len(names) > 1 else out for name in names]
    places = [*outs, *([markdown] if markdown else [])]
    _check(places, force, pairs=pairs, segment=segment, sample_rate=sample_rate, jobs=jobs)
    paths = [shelf.find("controllers", item) for item in controller]
    if pesq:
        from blackbox_afx.metrics.pesq import available

        if not available():
            raise UsageError("PESQ is not installed; expected the extra 'metrics'; pip install 'blackbox-afx[metrics]'")

    from blackbox_afx.benchmark.report import command_line
    from blackbox_afx.benchmark.report import markdown as tables
    from blackbox_afx.benchmark.run import run_protocols
    from blackbox_afx.transfer.staging import publish_text

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
            jobs=jobs,
            allow_version=allow_version,
            command=command_line(sys.argv[1:]),
            warn=warn,
            progress=lambda done, total, text: meter.update(done, text, total),
        )
    text = "\n\n".join(tables(report) for report in reports)
    content: dict[Path, Any] = dict(zip(outs, reports, strict=True))
    if markdown:
        content[markdown] = text + "\n"
    publish_text(content, force=force)
    if as_json:
        emit_json(reports if len(reports) > 1 else reports[0])
    else:
        say(text)
    for place in places:
        note(f"wrote {place}")


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
    items: int = 60,
    seed: int = 42,
    smooth: float | None = None,
    markdown: Path | None = None,
    allow_version: Annotated[bool, Flag] = False,
    jobs: int | None = None,
    force: Annotated[bool, Flag] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
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
    markdown
        Also write the table there.
    allow_version
        Use plugins of another version than the controller was learned on.
    jobs
        Worker processes; by default as many as there are cores.
    force
        Replace what is there.
    as_json
        Print the JSON instead of the table.
    """
    places = [out, *([markdown] if markdown else [])]
    if items < 1:
        raise UsageError(f"--items {items}; expected at least 1")
    _check(places, force, pairs=1, segment=None, sample_rate=None, jobs=jobs)
    path = shelf.find("controllers", controller)

    from blackbox_afx.benchmark.automation import markdown as table
    from blackbox_afx.benchmark.automation import run_automation
    from blackbox_afx.benchmark.report import command_line
    from blackbox_afx.transfer.staging import publish_text
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
    text = table(report)
    content: dict[Path, Any] = {out: report}
    if markdown:
        content[markdown] = text + "\n"
    publish_text(content, force=force)
    if as_json:
        emit_json(report)
    else:
        say(text)
    for place in places:
        note(f"wrote {place}")


@app.command
@example("""
$ afx benchmark complexity zam_eq2 zam_comp --out complexity.json
ZamEQ2 > ZamComp, 17 controls, encoder efficientnet_b2, 4 x 5.46 s at 24000 Hz, cpu, 2 threads, ...

| method   | encoder | effect ...
...
wrote complexity.json
""")
def complexity(
    *plugins: Annotated[str, Parameter(name="PLUGIN")],
    out: Path,
    method: Annotated[list[str], Parameter(consume_multiple=True, negative="")] | None = None,
    encoder: str = "efficientnet_b2",
    batch: int = 4,
    segment: int = 131072,
    sample_rate: int = 24000,
    repeats: int = 5,
    threads: int | None = None,
    device: str = "cpu",
    markdown: Path | None = None,
    allow_version: Annotated[bool, Flag] = False,
    jobs: int | None = None,
    force: Annotated[bool, Flag] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Time a training step of each method in its parts, rendering against real time, and count parameters.

    Parameters
    ----------
    plugins
        The chain that is controlled, as for `afx learn`; channel_strip by default.
    out
        The JSON file to write.
    method
        Rows of the table: autodiff, autodiff_paper, spsa, orthogonal, rb-dsp, ...; all that suit by default.
    encoder
        efficientnet_b2, as in the paper, or statistics.
    batch
        Examples of a step.
    segment
        Samples of an example.
    sample_rate
        Hertz.
    repeats
        Timed steps of each method; the median is reported.
    threads
        That torch computes with; as it chooses by default.
    device
        cpu or cuda; plugins run on the CPU in any case.
    markdown
        Also write the table there.
    allow_version
        Use plugins of another version than their profile was made on.
    jobs
        Render workers; by default as many as there are cores.
    force
        Replace what is there.
    as_json
        Print the JSON instead of the table.
    """
    for name, number in (("batch", batch), ("repeats", repeats), ("threads", threads)):
        if number is not None and number < 1:
            raise UsageError(f"--{name} {number}; expected at least 1")
    places = [out, *([markdown] if markdown else [])]
    _check(places, force, pairs=1, segment=segment, sample_rate=sample_rate, jobs=jobs)

    from blackbox_afx.benchmark.complexity import markdown as table
    from blackbox_afx.benchmark.complexity import measure
    from blackbox_afx.benchmark.report import command_line
    from blackbox_afx.plugins.chain import ChainSpec
    from blackbox_afx.plugins.resolve import resolve_plugin
    from blackbox_afx.transfer.staging import publish_text

    tokens = plugins or ("channel_strip",)
    profiles = [resolve_plugin(token, allow_version=allow_version, note=note) for token in tokens]
    with progress("benchmark", total=1) as meter:
        report = measure(
            ChainSpec(profiles=tuple(profiles)),
            methods=method,
            encoder=encoder,
            batch=batch,
            segment=segment,
            sample_rate=sample_rate,
            repeats=repeats,
            threads=threads,
            jobs=jobs,
            device=device,
            command=command_line(sys.argv[1:]),
            warn=warn,
            progress=lambda done, total, text: meter.update(done, text, total),
        )
    text = table(report)
    content: dict[Path, Any] = {out: report}
    if markdown:
        content[markdown] = text + "\n"
    publish_text(content, force=force)
    if as_json:
        emit_json(report)
    else:
        say(text)
    for place in places:
        note(f"wrote {place}")


def _check(
    places: list[Path], force: bool, *, pairs: int, segment: int | None, sample_rate: int | None, jobs: int | None
) -> None:
    """Refuse wrong requests before anything heavy is imported."""
    from blackbox_afx.transfer.staging import check_place

    if pairs < 1:
        raise UsageError(f"--pairs {pairs}; expected at least 1")
    if segment is not None and segment < 16384:
        raise UsageError(f"--segment {segment}; expected at least 16384 samples, so that loudness can be measured")
    if sample_rate is not None and not 8000 <= sample_rate <= 192000:
        raise UsageError(f"--sample-rate {sample_rate}; expected 8000 to 192000 Hz")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs}; expected at least 1")
    for place in places:
        check_place(place, force=force)
