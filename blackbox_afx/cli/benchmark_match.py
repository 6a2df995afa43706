"""`afx benchmark match`: how near searching on the plugin comes, and after how many renders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from blackbox_afx.cli.chains import find_chains
from blackbox_afx.cli.checks import Whole, check_audio
from blackbox_afx.cli.console import example, progress, warn
from blackbox_afx.cli.reports import DEFAULTS, ReportOptions, check_numbers
from blackbox_afx.errors import UsageError

Flag = Parameter(negative="")
CHAINS = ("zam_eq2 zam_comp", "channel_strip", "builtin:Distortion builtin:HighShelfFilter")


@example("""
$ afx benchmark match --audio recordings/ --split val --pairs 10 --chain "zam_eq2 zam_comp" --out match.json
Style distance, 10 pairs a chain, 10 speakers or artists, seed 42, split val; truth is the setting that made ...

| chain            | start | 20 renders ...
...
wrote match.json
""")
def match(
    *,
    audio: Path,
    out: Path,
    chain: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    where: str | None = None,
    split: Literal["test", "val"] = "test",
    pairs: Whole = 50,
    renders: Whole = 80,
    against: Whole = 800,
    controller: str | None = None,
    refine: Whole = 48,
    pull: float | None = None,
    seed: Whole = 42,
    segment: Whole | None = None,
    allow_version: Annotated[bool, Flag] = False,
    jobs: Whole | None = None,
    options: ReportOptions = DEFAULTS,
) -> None:
    """Compare the search of `afx match` with plain CMA-ES, and a controller with and without refining.

    Parameters
    ----------
    audio
        A folder of recordings. Of one with a MANIFEST.csv the split is used, of any other all.
    out
        The JSON file to write.
    chain
        Plugins in order, in quotes; several may follow. By default "zam_eq2 zam_comp", "channel_strip", and
        "builtin:Distortion builtin:HighShelfFilter"; "" for none.
    where
        Keep recordings whose manifest columns have these values, such as type=speech,source=a|b.
    split
        test to report; val to choose settings by.
    pairs
        How many for each chain; the speakers take turns.
    renders
        The most renders of a search.
    against
        Renders of plain CMA-ES (population 32, sigma 0.1); 0 leaves it out.
    controller
        Also refine what this controller says, on as many pairs of each protocol, and score both against the target.
    refine
        The most renders of refining.
    pull
        How strongly refining holds on to the controller's setting; as `afx transfer --refine` does by default.
    seed
        Decides every pair.
    segment
        Samples of a half at 24 kHz; 65536 by default.
    allow_version
        Use plugins of another version than the controller was learned on.
    jobs
        Worker processes; by default as many as there are cores.
    """
    check_numbers(pairs=pairs, segment=segment, jobs=jobs, seed=seed)
    check_audio(audio, where)
    options.check([out])
    for name, value, least in (("renders", renders, 2), ("refine", refine, 2), ("against", against, 0)):
        if value < least or value == 1:
            raise UsageError(f"--{name} {value}; expected at least {max(least, 2)}" + (", or 0" if not least else ""))
    if pull is not None and not 0 <= pull < float("inf"):
        raise UsageError(f"--pull {pull:g}; expected 0 or more")
    from blackbox_afx import shelf

    path = Path(shelf.find("controllers", controller)) if controller else None
    specs = find_chains(CHAINS if chain is None else chain)
    if not specs and path is None:
        raise UsageError("neither --chain nor --controller; expected at least one of them")

    from blackbox_afx.benchmark.match import REFINE_PULL, SEGMENT, run_match
    from blackbox_afx.benchmark.match import markdown as tables
    from blackbox_afx.benchmark.report import command_line

    with progress("benchmark", total=1) as meter:
        report = run_match(
            specs,
            audio=audio,
            where=where,
            split=split,
            pairs=pairs,
            renders=renders,
            against=against,
            controller=path,
            refine=refine,
            pull=REFINE_PULL if pull is None else pull,
            seed=seed,
            segment=segment or SEGMENT,
            jobs=jobs,
            allow_version=allow_version,
            command=command_line(sys.argv[1:]),
            warn=warn,
            progress=lambda done, total, text: meter.update(done, text, total),
        )
    options.publish({out: report}, tables(report))
