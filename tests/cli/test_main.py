"""The frame of the command line, run as a program: exit statuses, one-line errors, help with its example."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import blackbox_afx
from blackbox_afx.cli import main as cli
from blackbox_afx.cli.console import one_line

ROOT = Path(blackbox_afx.__file__).resolve().parent.parent
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from blackbox_afx.cli import main as cli; "


def afx(*arguments: str, extra: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `afx` in a process of its own, after `extra` code."""
    code = START + extra + "\ncli.main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment, "COLUMNS": "100"},
    )


def with_command(body: str) -> str:
    """Code that registers a command `trial` whose body is given."""
    return (
        "import types\nfrom blackbox_afx import errors\nmodule = types.ModuleType('trial')\n"
        f"def trial(*, number: int = 0):\n    'Try something.'\n    {body}\n"
        "module.trial = trial; sys.modules['trial'] = module\n"
        "cli.COMMANDS['trial'] = ('trial:trial', 'Try something.')"
    )


def test_version() -> None:
    assert afx("version").stdout.strip() == afx("--version").stdout.strip() == blackbox_afx.__version__


def test_no_arguments_show_help() -> None:
    done = afx()
    assert done.returncode == 0
    assert "Usage: afx COMMAND" in done.stdout
    assert "$ afx demo" in done.stdout


@pytest.mark.parametrize("arguments", [["list", "--help"], ["copy", "-h"]])
def test_help_ends_in_an_example(arguments: list[str]) -> None:
    done = afx(*arguments)
    assert done.returncode == 0, done.stderr
    head, _, tail = done.stdout.partition("Example\n")
    assert f"Usage: afx {arguments[0]}" in head
    assert tail.startswith(f"  $ afx {arguments[0]} ")


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("learn", "PLUGIN... --audio PATH --out PATH [OPTIONS]"),
        ("match", "INPUT REFERENCE PLUGIN... --out PATH [OPTIONS]"),
        ("transfer", "INPUT REFERENCE... --controller STR --out PATH [OPTIONS]"),
        ("export", "RESULT --to STR --out PATH [OPTIONS]"),
        ("probe", "PLUGIN [OPTIONS]"),
        ("scan", "[PATH...] [OPTIONS]"),
        ("proxy train", "PLUGIN --audio PATH --out PATH [OPTIONS]"),
        ("benchmark complexity", "[PLUGIN...] --out PATH [OPTIONS]"),
        ("benchmark synthetic", "--audio PATH --controller STR... --out PATH [OPTIONS]"),
    ],
)
def test_usage_names_the_arguments_first(command: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*command.split(), "--help"]) == 0
    lines = capsys.readouterr().out.partition("\n\n")[0]
    assert one_line(lines) == f"Usage: afx {command} {usage}"


def test_help_of_a_command_is_its_whole_docstring() -> None:
    assert "AFX_SHELF" in afx("list", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lst"], "no command is called 'lst'; did you mean 'list'?"),
        (["xyzzy", "--help"], "no command is called 'xyzzy'; known: "),
        (["list"], "requires an argument"),
        (["list", "plugns"], 'Did you mean "plugins"'),
        (["list", "plugins", "--jsn"], "--jsn"),
        (["copy", "plugins", "no such", "x"], "no plugin profile is called 'no such'"),
        (["copy", "plug", "no such", "x"], "there is no kind 'plug'"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(arguments: list[str], told: str) -> None:
    done = afx(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("afx: error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert told in done.stderr


def test_failure_is_one_line_and_status_1() -> None:
    done = afx("trial", extra=with_command("raise errors.AudioError('x.wav: empty;\\n expected sound')"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "afx: error: x.wav: empty; expected sound\n"


def test_unexpected_exception_is_one_line_unless_debugging() -> None:
    extra = with_command("raise ZeroDivisionError('oh')")
    done = afx("trial", extra=extra)
    assert done.returncode == 1
    assert done.stderr.startswith("afx: error: internal error, ZeroDivisionError: oh (please report")
    assert done.stderr.count("\n") == 1
    assert "Traceback" in afx("trial", extra=extra, AFX_DEBUG="1").stderr


def test_bad_value_of_an_option() -> None:
    done = afx("trial", "--number", "many", extra=with_command("pass"))
    assert done.returncode == 2
    assert "many" in done.stderr
    assert "see `afx trial --help`" in done.stderr


def test_returned_number_is_the_exit_status() -> None:
    assert afx("trial", extra=with_command("return 1")).returncode == 1
    assert afx("trial", extra=with_command("return None")).returncode == 0


def test_interrupt() -> None:
    code = START + with_command("print('up', flush=True); import time; time.sleep(30)") + "\ncli.main(['trial'])"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err == "afx: interrupted\n"


def test_reader_that_goes_away_is_no_error() -> None:
    code = START + with_command("[print('line') for _ in range(200000)]") + "\ncli.main(['trial'])"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=120) == 141


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_can_be_imported_and_has_an_example(name: str) -> None:
    done = afx(name, "--help")
    assert done.returncode == 0, one_line(done.stderr)
    assert "Example\n  $ afx " in done.stdout


@pytest.mark.parametrize("kind", ["plugins", "proxies", "train", "controllers", "methods"])
def test_list_as_json(kind: str) -> None:
    done = afx("list", kind, "--json")
    assert done.returncode == 0, done.stderr
    names = [row["name"] for row in json.loads(done.stdout)]
    plain = afx("list", kind).stdout
    assert all(name in plain for name in names)


def test_copy_then_list(tmp_path: Path) -> None:
    source = tmp_path / "shelf/plugins/warm"
    source.mkdir(parents=True)
    (source / "profile.toml").write_text("")
    shelf = str(tmp_path / "shelf")
    done = afx("copy", "plugins", "warm", str(tmp_path / "mine"), AFX_SHELF=shelf)
    assert done.stdout.strip() == str(tmp_path / "mine")
    again = afx("copy", "plugins", "warm", str(tmp_path / "mine" / ".." / "mine"), AFX_SHELF=shelf)
    assert again.returncode == 0, "into a folder that exists a folder of that name is made"
    third = afx("copy", "plugins", "warm", str(tmp_path / "mine"), AFX_SHELF=shelf)
    assert third.returncode == 1
    assert "--force" in third.stderr
    assert "warm" in afx("list", "plugins", AFX_SHELF=shelf).stdout
