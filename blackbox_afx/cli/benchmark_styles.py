"""How well embeddings tell styles of production apart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.checks import Whole, check_audio
from blackbox_afx.cli.console import example, progress, warn
from blackbox_afx.cli.reports import DEFAULTS, ReportOptions, check_numbers
from blackbox_afx.errors import UsageError

Several = Parameter(consume_multiple=True, negative="")
Other = Literal["random-mel", "statistics", "mixture", "openl3", "cdpam"]


@example("""
$ afx benchmark styles --audio recordings/ --where type=speech --controller voice.safetensors --out styles.json
Styles told apart by a linear probe: 60/20/20 examples of each style to learn, choose and test on, of 82 recordings, ...

| embedding  | F1 ...
...
wrote styles.json
""")
def styles(
    *,
    audio: Path,
    out: Path,
    controller: Annotated[list[str] | None, Several] = None,
    embedding: Annotated[list[Other] | None, Several] = None,
    where: str | None = None,
    each: Whole = 100,
    repeats: Whole = 5,
    seed: Whole = 42,
    segment: Whole | None = None,
    epochs: Whole = 400,
    options: ReportOptions = DEFAULTS,
) -> None:
    """Tell five styles of production apart with one linear layer on frozen embeddings.

    Stretches of recordings are put in five styles (neutral, broadcast, telephone, bright, warm). A linear layer learns
    to name the style from the embedding, on other recordings than it is tested on.

    Parameters
    ----------
    audio
        A folder of recordings. Of one with a MANIFEST.csv, or of a corpus, the split test is used, of any other all.
    out
        The JSON file to write.
    controller
        Files that `afx learn` made, or names that `afx list controllers` shows: their encoders are probed.
    embedding
        Others to probe; random-mel and statistics by default. cdpam is the extra of that name, openl3 a package that
        you install; where one is missing its row is left out, and said to be.
    where
        Keep recordings whose columns have these values, such as type=speech,source=a|b.
    each
        Examples of each style at the most, 60 % to learn from, 20 % to choose by, 20 % to test on.
    repeats
        Deals of the recordings to these parts; the interval is over them.
    seed
        Decides styles, settings, parts and starts.
    segment
        Samples of an example at the most, at 44100 Hz; 5.46 s by default.
    epochs
        Of each probe.
    """
    for name, value, least in (("each", each, 5), ("repeats", repeats, 1), ("epochs", epochs, 1)):
        if value < least:
            raise UsageError(f"--{name} {value}; expected at least {least}")
    check_numbers(segment=segment, seed=seed)
    check_audio(audio, where)
    options.check([out])
    paths = [Path(shelf.find("controllers", item)) for item in controller or ()]

    from blackbox_afx.benchmark.report import command_line
    from blackbox_afx.benchmark.style_probe import markdown as table
    from blackbox_afx.benchmark.style_probe import run_style_probe

    with progress("benchmark", total=1) as meter:
        report = run_style_probe(
            audio=audio,
            controllers=paths,
            embeddings=embedding or ("random-mel", "statistics"),
            where=where,
            each=each,
            repeats=repeats,
            seed=seed,
            segment=segment,
            epochs=epochs,
            command=command_line(sys.argv[1:]),
            warn=warn,
            progress=lambda done, total, text: meter.update(done, text, total),
        )
    options.publish({out: report}, table(report))
