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
    baseline: Annotated[list[Literal["defaults", "random"]], Parameter(consume_multiple=True, negative="")]
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
        Also score the plugins' default settings, or random ones.
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
