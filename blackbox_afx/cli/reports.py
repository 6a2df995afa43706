"""What the benchmark commands share: what they refuse before the work, and where its report goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from blackbox_afx.cli.console import emit_json, note, say
from blackbox_afx.cli.run_options import check_seed_and_jobs
from blackbox_afx.errors import UsageError

Flag = Parameter(negative="")


# A dataclass, as cyclopts knows no msgspec records; "*" leaves the name of the whole out of its options.
@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of a command that writes a report.

    Parameters
    ----------
    markdown
        Also write the tables there.
    force
        Replace what is there.
    as_json
        Print the JSON instead of the tables.
    """

    markdown: Path | None = None
    force: Annotated[bool, Flag] = False
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False

    def check(self, outs: Sequence[Path], plots: Sequence[Path] = ()) -> None:
        """Raise where a file of the report can't be written: asked before hours of work.

        Parameters
        ----------
        outs, plots : sequence of Path
            JSON files and pictures to be.

        Raises
        ------
        OutputError
            Something is in the way, or the folder is not there or can't be written to.
        """
        from blackbox_afx.transfer.staging import check_place

        for place in [*outs, *([self.markdown] if self.markdown else [])]:
            check_place(place, force=self.force)
        for place in plots:
            from blackbox_afx.plot.before_after import check_plot

            check_plot(place, force=self.force)

    def publish(self, reports: dict[Path, Any], text: str, plots: Sequence[Path] = ()) -> None:
        """Write reports, print them, and say which files there are now.

        Parameters
        ----------
        reports : dict of Path to dict
            What goes into each JSON file.
        text : str
            The tables of all of them.
        plots : sequence of Path
            Where to draw the ratios of each, in the same order; none by default.

        Raises
        ------
        OutputError
            A file came into the way meanwhile, or can't be written.
        """
        from blackbox_afx.transfer.staging import publish_text

        content = dict(reports)
        if self.markdown:
            content[self.markdown] = text + "\n"
        publish_text(content, force=self.force)
        places = list(content)
        if plots:
            from blackbox_afx.plot.ratios import plot_ratios

            drawn = zip(reports.values(), plots, strict=True)
            places += [plot_ratios(report, place, force=self.force) for report, place in drawn]
        if self.as_json:
            several = list(reports.values())
            emit_json(several if len(several) > 1 else several[0])
        else:
            say(text)
        for place in places:
            note(f"wrote {place}")


DEFAULTS = ReportOptions()
"""Of a command that was given none of these options."""


def check_numbers(
    *,
    pairs: int = 1,
    segment: int | None = None,
    sample_rate: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
) -> None:
    """Refuse numbers that no benchmark can do with, before anything heavy is imported.

    Raises
    ------
    UsageError
        One is out of its range.
    """
    if pairs < 1:
        raise UsageError(f"--pairs {pairs}; expected at least 1")
    if segment is not None and segment < 16384:
        raise UsageError(f"--segment {segment}; expected at least 16384 samples, so that loudness can be measured")
    if sample_rate is not None and not 8000 <= sample_rate <= 192000:
        raise UsageError(f"--sample-rate {sample_rate}; expected 8000 to 192000 Hz")
    check_seed_and_jobs(seed, jobs)
