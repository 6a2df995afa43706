"""`afx export`, run as a user runs it, on sessions made up for it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import blackbox_afx
from blackbox_afx.cli.main import main
from blackbox_afx.export import EXPORTERS
from blackbox_afx.session import Session, write_session
from blackbox_afx.testing.exporters import example_session

ROOT = Path(blackbox_afx.__file__).resolve().parent.parent


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def afx(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `afx` in this process, as `main` runs it."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, int(left.value.code or 0), out, err)

    return run


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save(example_session(tmp_path), tmp_path)


def save(session: Session, folder: Path) -> Path:
    return write_session(session, folder / "styled.session.json")


@pytest.mark.parametrize("to", sorted(EXPORTERS))
def test_every_format(afx: Run, saved: Path, to: str) -> None:
    out = saved.parent / f"out.{to}"
    done = afx("export", saved, "--to", to, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["format"], told["lanes"], told["plugins"], told["points"]) == (to, 3, 1, 9)
    assert all(Path(file).is_file() for file in told["files"])
    again = afx("export", saved, "--to", to, "--out", out)
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert afx("export", saved, "--to", to, "--out", out, "--force").returncode == 0


@pytest.mark.parametrize("to", ["ardour", "dawproject", "reascript", "rpp"])
def test_a_recording_that_is_gone_is_said(afx: Run, tmp_path: Path, to: str) -> None:
    session = example_session(tmp_path)
    saved = save(session, tmp_path)
    gone = session.resolve(session.tracks[-1].clips[0])
    gone.unlink()
    before = sorted(tmp_path.iterdir())
    done = afx("export", saved, "--to", to, "--out", tmp_path / f"out.{to}")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{gone}: no such file; expected an audio file; check the path" in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_what_one_sees(afx: Run, saved: Path) -> None:
    done = afx("export", saved, "--to", "rpp", "--out", saved.parent / "out.rpp")
    assert done.stdout == "3 lanes of 1 plugin, 9 points\n"
    assert "afx: warning: a REAPER project is an experimental export" in done.stderr
    assert f"wrote {saved.parent / 'out.rpp'}" in done.stderr


@pytest.mark.parametrize(("name", "made"), [("song", "song.dawproject"), ("song.v2.dawproject", "song.v2.dawproject")])
def test_a_name_without_an_ending_gets_the_formats(afx: Run, saved: Path, name: str, made: str) -> None:
    done = afx("export", saved, "--to", "dawproject", "--out", saved.parent / name)
    assert done.returncode == 0
    assert (saved.parent / made).is_file()


def test_tempo_latency_and_eps(afx: Run, tmp_path: Path) -> None:
    saved = save(example_session(tmp_path, latency=480), tmp_path)
    out = tmp_path / "out.dawproject"
    command = ("export", saved, "--to", "dawproject", "--out", out, "--force")
    done = afx(*command, "--bpm", 60, "--latency", "none", "--eps", 0.9)
    assert done.returncode == 0, done.stderr
    assert "thinned 9 points to 7, at most 0.9" in done.stdout
    assert "earlier" not in done.stderr
    with zipfile.ZipFile(out) as archive:
        project = archive.read("project.xml").decode()
    assert 'value="60"' in project
    assert '<RealPoint time="2" ' in project
    assert '<RealPoint time="4" ' not in project
    assert "480 samples earlier" in afx(*command).stderr


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--to", "midy"], 2, "no export is called 'midy'; did you mean 'midi'?"),
        (["--to", "csv", "--latency", "later"], 2, "expected shift or none"),
        (["--to", "csv", "--bpm", "0"], 2, "1 to 999"),
        (["--to", "csv", "--eps", "2"], 2, "eps = 2"),
    ],
)
def test_wrong_use(afx: Run, saved: Path, arguments: list[str], status: int, told: str) -> None:
    done = afx("export", saved, *arguments, "--out", saved.parent / "out")
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("afx: error: ")
    assert told in done.stderr
    assert not (saved.parent / "out").exists()


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"tracks": 1}', '{"plugins": 1}', "\x00"])
def test_no_result(afx: Run, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "x.session.json"
    if text is not None:
        path.write_text(text)
    done = afx("export", path, "--to", "csv", "--out", tmp_path / "out.csv")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("afx: error: ")
    assert str(path) in done.stderr


def test_a_result_is_never_replaced(afx: Run, saved: Path) -> None:
    before = saved.read_bytes()
    done = afx("export", saved, "--to", "csv", "--out", saved, "--force")
    assert done.returncode == 2
    assert saved.read_bytes() == before


def test_loads_neither_torch_nor_a_host(saved: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from blackbox_afx.cli.main import run\n"
        f"run(['export', {str(saved)!r}, '--to', 'dawproject', '--out', {str(saved.parent / 'o.dawproject')!r}])\n"
        "print([name for name in ('torch', 'pedalboard', 'dawdreamer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
