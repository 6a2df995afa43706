"""What the commands that train share: the options that say how, not what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from blackbox_afx.cli.checks import Whole
from blackbox_afx.errors import UsageError

Flag = Parameter(negative="")


# A dataclass, as cyclopts knows no msgspec records; "*" leaves the name of the whole out of its options.
@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a command that trains.

    Parameters
    ----------
    seed
        The same seed and step plan give the same network on one machine.
    jobs
        Render workers; as many as there are cores by default.
    device
        Where networks train: cpu, or cuda on a machine that has it.
    resume
        Go on with an unfinished run.
    force
        Start afresh, and replace what is there.
    allow_version
        Use a plugin of another version than its profile was made on.
    as_json
        Print what was made, with its scores, as JSON.
    """

    seed: Whole = 0
    jobs: Whole | None = None
    device: str = "cpu"
    resume: Annotated[bool, Flag] = False
    force: Annotated[bool, Flag] = False
    allow_version: Annotated[bool, Flag] = False
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False

    def check(self) -> None:
        """Refuse numbers that no training can do with, and a device that is not there.

        Raises
        ------
        UsageError
            One is out of its range.
        """
        check_seed_and_jobs(self.seed, self.jobs)
        if self.device != "cpu":
            from blackbox_afx.train.recipes import check_device

            check_device(self.device)


def check_seed_and_jobs(seed: int, jobs: int | None) -> None:
    """Refuse a seed or a number of workers that nothing can do with.

    Raises
    ------
    UsageError
        One is out of its range.
    """
    if not 0 <= seed < 2**32 - 1:
        raise UsageError(f"--seed {seed}; expected 0 to {2**32 - 2}")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs}; expected at least 1")


DEFAULTS = RunOptions()
"""Of a command that was given none of these options."""
