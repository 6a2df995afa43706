"""Compare estimators of a chain's derivative."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blackbox_afx.cli.chains import find_chains
from blackbox_afx.cli.checks import Whole, check_audio
from blackbox_afx.cli.console import example, progress
from blackbox_afx.cli.reports import DEFAULTS, ReportOptions
from blackbox_afx.cli.run_options import check_seed_and_jobs
from blackbox_afx.errors import UsageError


@example("""
$ afx benchmark gradients --audio recordings/ --where type=speech --chain "zam_eq2 zam_comp" --out gradients.json
Cosine with central differences of all controls, 24 recordings of 2.7 s at 24000 Hz, split val, seed 42. ...

**ZamEQ2 > ZamComp**, 17 controls; the guide took 83 s:

| estimator | calls | mean cosine ...
...
wrote gradients.json
""")
def gradients(
    *,
    audio: Path,
    out: Path,
    chain: Annotated[list[str], Parameter(negative="")] | None = None,
    where: str | None = None,
    recordings: Whole = 24,
    examples: Whole = 3000,
    seed: Whole = 42,
    segment: Whole = 65536,
    sample_rate: Whole = 24000,
    jobs: Whole | None = None,
    options: ReportOptions = DEFAULTS,
) -> None:
    """Measure how near each estimator comes to a chain's derivative, and for how many calls of it.

    The derivative is that of the training loss by the controls; the reference central differences of all of them.
    Calls are renders beyond the forward one, those of a part of the chain by their cost, and impulses by their length.
    Toggles and choices are not differentiated. A guide is learned for each chain first.

    Parameters
    ----------
    audio
        A folder of recordings. Guides learn on the split train, all is measured on val.
    out
        The JSON file to write.
    chain
        Plugins of a chain, in one word with blanks between them; give it several times for several chains. By default
        four: equalisation with dynamics twice, a reverb, saturation.
    where
        Keep recordings whose manifest columns have these values, such as type=speech,source=a|b.
    recordings
        How many; the speakers take turns.
    examples
        Settings that each guide learns from.
    seed
        Decides everything that is drawn.
    segment
        Samples of a recording.
    sample_rate
        Hertz.
    jobs
        Worker processes; by default as many as there are cores.
    """
    for name, value, least in (
        ("recordings", recordings, 1),
        ("examples", examples, 24),
        ("segment", segment, 32769),
        ("sample-rate", sample_rate, 8000),
    ):
        if value < least:
            raise UsageError(f"--{name} {value}; expected at least {least}")
    check_seed_and_jobs(seed, jobs)
    check_audio(audio, where)
    options.check([out])

    from blackbox_afx.benchmark.gradients import CHAINS, run_gradients
    from blackbox_afx.benchmark.gradients import markdown as table
    from blackbox_afx.benchmark.report import command_line
    from blackbox_afx.train.guide import GuidePlan

    wanted = chain or [" ".join(tokens) for tokens in CHAINS]
    if not all(words.strip() for words in wanted):
        raise UsageError("--chain is empty; expected plugins, for example --chain 'zam_eq2 zam_comp'")
    specs = find_chains(wanted)
    with progress("benchmark", total=1.0) as meter:
        report = run_gradients(
            specs,
            audio=audio,
            where=where,
            recordings=recordings,
            segment=segment,
            sample_rate=sample_rate,
            plan=GuidePlan(examples=examples),
            seed=seed,
            jobs=jobs,
            command=command_line(sys.argv[1:]),
            progress=lambda share, text: meter.update(share, text),
        )
    options.publish({out: report}, table(report))
