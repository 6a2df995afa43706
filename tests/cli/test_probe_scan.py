"""`afx probe` and `afx scan` as one types them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def afx(tmp_path):
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "blackbox_afx.cli.main", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "AFX_CACHE": str(tmp_path / "cache")},
        )

    return run


@pytest.mark.zam
def test_probe_as_json(afx):
    answer = afx("probe", "ZamComp.vst3", "--json", "--bases", 2)
    assert answer.returncode == 0, answer.stderr
    row = json.loads(answer.stdout)
    assert (row["format"], row["name"], row["class_id"]) == (
        "vst3",
        "ZamComp",
        "2046504473616C63504D435A00000000",
    )
    assert len(row["controls"]) == 8
    assert [meter["why"] for meter in row["meters"]] == ["hidden", "hidden", "program", "meter", "meter"]


@pytest.mark.zam
def test_probe_writes_a_profile_that_can_be_chosen_from_and_is_not_overwritten(afx, tmp_path):
    from blackbox_afx.plugins.profile import load_profile

    out = tmp_path / "mine"
    answer = afx("probe", "ZamEQ2.vst3", "--bases", 4, "--controls", "auto:2, Freq*", "--out", out)
    assert answer.returncode == 0, answer.stderr
    assert "MOVES" in answer.stdout
    profile = load_profile(out)
    assert {"Frequency 1", "Frequency 2", "Frequency L", "Frequency H"} <= {c.name for c in profile.active}
    assert len(profile.active) <= 6
    before = (out / "profile.toml").read_bytes()
    again = afx("probe", "ZamEQ2.vst3", "--out", out)
    assert (again.returncode, (out / "profile.toml").read_bytes()) == (1, before)
    assert "--force" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("probe", "/etc/hostname"), 1, "not a plugin"),
        (("probe", "gone.vst3"), 1, "not installed"),
        (("probe", "builtin:Gain", "--bases", 0), 2, "--bases"),
        (("probe", "builtin:Gain", "--timeout", 0), 2, "--timeout"),
        (("probe", "builtin:Gain", "--controls", "Gian"), 2, "no control"),
        (("probe", "builtin:Gain", "--out", "/proc/none/x.toml"), 1, "can't be written"),
        (("scan", "/nowhere"), 2, "no such file or folder"),
    ],
)
def test_what_goes_wrong_is_one_line(afx, arguments, status, words):
    answer = afx(*arguments)
    assert answer.returncode == status
    (line,) = [line for line in answer.stderr.splitlines() if line.startswith("afx: error:")]
    assert words in line
    assert "Traceback" not in answer.stderr


@pytest.mark.zam
def test_scan_as_json_and_as_a_table(afx, tmp_path):
    (tmp_path / "ZamComp.vst3").symlink_to("/usr/lib/vst3/ZamComp.vst3")
    (tmp_path / "text.vst3").write_text("no")
    rows = json.loads(afx("scan", tmp_path, "--json").stdout)
    assert [(row["name"], row["status"]) for row in rows] == [("ZamComp", "ok"), ("text", "refuses")]
    table = afx("scan", tmp_path).stdout.splitlines()
    assert table[0].split() == ["STATUS", "FORMAT", "NAME", "CHANNELS", "PLUGIN"]
    assert table[-1] == "2 plugins: 1 ok, 1 refuses"


def test_scan_can_be_interrupted(tmp_path):
    import psutil

    sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))
    from broken_plugins import compile_plugin

    compile_plugin(tmp_path, "hang")
    process = subprocess.Popen(
        [sys.executable, "-m", "blackbox_afx.cli.main", "scan", str(tmp_path), "--timeout", "50"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "AFX_CACHE": str(tmp_path / "cache")},
    )
    children: list[psutil.Process] = []
    deadline = time.monotonic() + 20
    while not children and time.monotonic() < deadline:
        time.sleep(0.1)
        children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert children
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
