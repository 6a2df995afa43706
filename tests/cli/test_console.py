"""Printing: JSON that always parses, columns that line up, progress in a pipe and on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
from pathlib import Path

import msgspec
import numpy as np
import pytest

from blackbox_afx.cli import console


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A record to print."""

    where: Path
    value: float


def test_json_takes_records_arrays_and_what_json_has_no_word_for(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit_json(
        {
            "record": Point(where=Path("a/b"), value=0.5),
            "array": np.arange(3, dtype=np.float32),
            "scalar": np.float64("nan"),
            "infinite": float("inf"),
            "names": ("Größe", 1),
            3: True,
        }
    )
    assert json.loads(capsys.readouterr().out) == {
        "record": {"where": "a/b", "value": 0.5},
        "array": [0.0, 1.0, 2.0],
        "scalar": None,
        "infinite": None,
        "names": ["Größe", 1],
        "3": True,
    }


def test_table_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(["A", "NAME"], [["1", "x"], ["long", "y"]])
    assert capsys.readouterr().out == "A     NAME\n1     x\nlong  y\n"


def test_notes_and_results_go_apart(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("result", 1)
    console.warn("two\nlines")
    out, err = capsys.readouterr()
    assert (out, err) == ("result 1\n", "afx: warning: two lines\n")


def test_progress_in_a_pipe_is_few_lines_and_always_the_last() -> None:
    stream = io.StringIO()
    with console.progress("learning", total=1000, stream=stream, every=60) as meter:
        for step in range(1001):
            meter.update(step, text=f"best {step}")
    assert stream.getvalue().splitlines() == ["learning: 0 % best 0", "learning: 100 % best 1000"]


def test_progress_says_the_last_line_before_an_error() -> None:
    stream = io.StringIO()

    def work() -> None:
        with console.progress("work", stream=stream, every=60) as meter:
            meter.advance(text="one")
            meter.advance(text="two")
            raise RuntimeError("oh")

    with pytest.raises(RuntimeError, match="oh"):
        work()
    assert stream.getvalue().splitlines() == ["work: one", "work: two"]


def test_progress_without_a_total_or_text() -> None:
    stream = io.StringIO()
    with console.progress("scan", stream=stream, every=0) as meter:
        meter.advance()
        meter.update(total=4)
    assert stream.getvalue().splitlines() == ["scan", "scan: 25 %"]


def test_progress_on_a_terminal_is_a_bar() -> None:
    """On a real pseudo-terminal: control codes, the title, the text."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, console.progress("learning", total=2, stream=terminal) as meter:
        meter.update(2, text="best 0.43")
    shown = b""
    with contextlib.suppress(OSError):  # Linux ends the stream of a closed terminal with EIO
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert b"\x1b[" in shown
    assert b"learning" in shown
    assert b"best 0.43" in shown


def test_example_gives_the_function_back() -> None:
    def command() -> None: ...

    assert console.example("$ afx x")(command) is command
