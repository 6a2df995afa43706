"""Time what methods cost: `afx benchmark complexity`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blackbox_afx.cli.checks import Whole
from blackbox_afx.cli.console import example, note, progress, warn
from blackbox_afx.cli.reports import DEFAULTS, ReportOptions, check_numbers
from blackbox_afx.errors import UsageError

Flag = Parameter(negative="")


@example(
    """
$ afx benchmark complexity zam_eq2 zam_comp --out complexity.json
ZamEQ2 > ZamComp, 17 controls, encoder efficientnet_b2, 4 x 5.46 s at 24000 Hz, cpu, 2 threads, ...

| method   | encoder | effect ...
...
wrote complexity.json
""",
    takes="[PLUGIN...]",
)
def complexity(
    *plugins: Annotated[str, Parameter(name="PLUGIN")],
    out: Path,
    method: Annotated[list[str], Parameter(consume_multiple=True, negative="")] | None = None,
    encoder: str = "efficientnet_b2",
    batch: Whole = 4,
    segment: Whole = 131072,
    sample_rate: Whole = 24000,
    repeats: Whole = 5,
    threads: Whole | None = None,
    device: str = "cpu",
    allow_version: Annotated[bool, Flag] = False,
    jobs: Whole | None = None,
    options: ReportOptions = DEFAULTS,
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
        efficientnet_b2, as in the paper, statistics or mixture.
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
    allow_version
        Use plugins of another version than their profile was made on.
    jobs
        Render workers; by default as many as there are cores.
    """
    for name, number in (("batch", batch), ("repeats", repeats), ("threads", threads)):
        if number is not None and number < 1:
            raise UsageError(f"--{name} {number}; expected at least 1")
    check_numbers(segment=segment, sample_rate=sample_rate, jobs=jobs)
    options.check([out])

    from blackbox_afx.benchmark.complexity import markdown as table
    from blackbox_afx.benchmark.complexity import measure
    from blackbox_afx.benchmark.report import command_line
    from blackbox_afx.plugins.chain import ChainSpec
    from blackbox_afx.plugins.resolve import resolve_plugin

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
    options.publish({out: report}, table(report))
