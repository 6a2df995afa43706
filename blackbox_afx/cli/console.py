"""What every command prints with: results, notes, progress, JSON, and the example its `--help` ends in.

Conventions: results go to stdout, notes and progress to stderr, so that `afx ... --json | jq` works.
On a terminal progress is a bar; in a pipe or a log file it is plain lines, one every few seconds at most.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar, cast, runtime_checkable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_SECONDS = 5.0
"""Seconds between two lines of progress where there is no terminal."""

Command = TypeVar("Command", bound=Callable[..., Any])


@runtime_checkable
class Stream(Protocol):
    """What progress is shown on: stderr, an open file, a StringIO."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


def example(text: str, *, takes: str = "") -> Callable[[Command], Command]:
    """Give a command the example that its `--help` ends in.

    Parameters
    ----------
    text : str
        What one types, after ``$``, and what one then sees; a common indent is removed.
    takes : str
        The arguments in the line of usage, for a command that takes any number of them, such as ``PLUGIN...``; in
        brackets where none will do.

    Returns
    -------
    callable
        Attaches the texts to the command function and gives the same function back.
    """

    def attach(command: Command) -> Command:
        command.__afx_example__ = text  # type: ignore[attr-defined]
        command.__afx_takes__ = takes  # type: ignore[attr-defined]
        return command

    return attach


def say(*parts: object, end: str = "\n") -> None:
    """Print a result to stdout."""
    print(*parts, end=end, flush=True)


def note(*parts: object) -> None:
    """Print something worth knowing that is not the result to stderr."""
    print(*parts, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print one line that starts with ``afx: warning:`` to stderr."""
    note("afx: warning:", one_line(text))


def emit_json(obj: Any) -> None:
    """Print an object as indented JSON to stdout.

    Parameters
    ----------
    obj : Any
        Plain containers and numbers, msgspec records, paths and numpy scalars or arrays in any nesting.
        NaN and infinities, which JSON has no word for, become null.
    """
    say(json.dumps(_plain(obj), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(obj: Any) -> Any:
    """Turn records, arrays and paths into what the json module takes."""
    import math

    import msgspec

    if isinstance(obj, float) and not math.isfinite(obj):
        return None
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    if isinstance(obj, dict):
        return {str(key): _plain(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple | set | frozenset):
        return [_plain(value) for value in obj]
    if isinstance(obj, Path):
        return str(obj)
    if hasattr(obj, "tolist"):
        return _plain(obj.tolist())
    if isinstance(obj, msgspec.Struct):
        return _plain(msgspec.structs.asdict(obj))
    return _plain(msgspec.to_builtins(obj))


def one_line(text: object) -> str:
    """Join a message of several lines into one."""
    return " ".join(str(text).split())


def table(headers: list[str], rows: list[list[str]]) -> None:
    """Print rows under headers in columns of the width they need; plain text, so that `grep` and `cut` work.

    Parameters
    ----------
    headers : list of str
        One a column.
    rows : list of list of str
        As many texts in each as there are headers.
    """
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]
    for row in [headers, *rows]:
        say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


class Meter:
    """Progress of one long piece of work; made by `progress`."""

    def __init__(self, title: str, total: float | None, stream: Stream, every: float) -> None:
        self.title = title
        self.total = total
        self.done = 0.0
        self._stream = stream
        self._every = every
        self._said = float("-inf")
        self._pending = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def update(self, done: float | None = None, text: str = "", total: float | None = None) -> None:
        """Say how far the work is.

        Parameters
        ----------
        done : float, optional
            Of `total`, in the same unit; None leaves it where it is.
        text : str
            What to show beside it, such as the best score so far.
        total : float, optional
            A new total, where it only now became known.
        """
        self.done = self.done if done is None else float(done)
        self.total = self.total if total is None else total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.done, total=self.total, text=one_line(text))
            return
        line = f"{self.title}: {self._fraction()}{one_line(text)}".rstrip(" :")
        now = time.monotonic()
        if now - self._said >= self._every:
            self._write(line)
            self._said = now
        else:
            self._pending = line

    def advance(self, by: float = 1.0, text: str = "") -> None:
        """Go on by a step."""
        self.update(self.done + by, text)

    def _fraction(self) -> str:
        return f"{min(100, round(100 * self.done / self.total))} % " if self.total else ""

    def _write(self, line: str) -> None:
        self._pending = ""
        print(line, file=self._stream, flush=True)

    def _close(self) -> None:
        if self._pending:
            self._write(self._pending)


@contextmanager
def progress(
    title: str, total: float | None = None, stream: Stream | None = None, every: float = PLAIN_SECONDS
) -> Iterator[Meter]:
    """Show progress while the block runs.

    Parameters
    ----------
    title : str
        What is being done, such as ``learning``.
    total : float, optional
        How much there is to do, in any unit; None where it is not known.
    stream : file, optional
        Where to show it; stderr by default.
    every : float
        Seconds between two lines at the least, where there is no terminal; the last line always comes.

    Yields
    ------
    Meter
        Its ``update(done, text)`` and ``advance()`` move the bar.
    """
    stream = sys.stderr if stream is None else stream
    meter = Meter(title, total, stream, every)
    if not stream.isatty():
        try:
            yield meter
        finally:
            meter._close()
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=Console(file=cast(TextIO, stream))) as bar:
        meter._bar = bar
        meter._task = bar.add_task(title, total=total, text="")
        yield meter
