"""What options may be, refused at once: before torch is imported, a plugin probed or a recording read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from blackbox_afx.errors import UsageError

LEAST_MINUTES, MOST_MINUTES = 0.2, 1e6
"""A run that has less than this ends before it has learned anything: starting and judging alone take seconds."""


def whole(type_: Any, tokens: Sequence[Any]) -> int:
    """Read a whole number; 80.0 is one, 1.5 is none, where cyclopts would round it.

    Raises
    ------
    ValueError
        cyclopts puts the option's name before it.
    """
    text = tokens[0].value
    try:
        number = float(text) if "." in text and "_" not in text else int(text) if text.isdecimal() else int(text, 0)
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"'{text}' is no whole number")


Whole = Annotated[int, Parameter(converter=whole)]
"""The type of options that count something."""


def check_minutes(minutes: float | None, what: str = "--minutes") -> None:
    """Refuse a budget that nothing can be learned in, or that is none; None is the recipe's.

    Raises
    ------
    UsageError
    """
    if minutes is not None and not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise UsageError(
            f"{what} is {minutes:g}; expected at least {LEAST_MINUTES:g} and at most {MOST_MINUTES:.0f}, for example 20"
        )


def check_audio(folder: Path, where: str | None = None) -> None:
    """Refuse a folder of recordings that is not there, and a filter that is none.

    Raises
    ------
    AudioError, UsageError
    """
    from blackbox_afx.data.folders import check_folder

    check_folder(folder, where)


def check_making(path: Path) -> None:
    """Refuse a file to write, in a folder that may have to be made, where none can be made.

    Raises
    ------
    OutputError
    """
    from blackbox_afx.transfer.staging import check_makeable

    check_makeable(path)


def check_run(out: Path, *, resume: bool, force: bool) -> None:
    """Refuse the output of a training that is in the way, or can't be written.

    Raises
    ------
    OutputError
    """
    from blackbox_afx.train.run_place import check_run_place

    check_making(out)
    check_run_place(out, resume=resume, force=force)


def check_is_file(path: Path | None, what: str) -> None:
    """Refuse a file to read that is not there.

    Raises
    ------
    UsageError
    """
    if path is not None and not path.expanduser().is_file():
        raise UsageError(f"{path}: no such file; expected {what}")
