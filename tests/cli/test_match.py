"""`afx match` and `afx transfer --refine` as one types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blackbox_afx.cli import main as cli
from blackbox_afx.plugins.builtins import builtin_profile
from tests.cli.test_transfer import spoil
from tests.transfer.test_static import sound, write
from tests.transfer.untrained import untrained

PLUGIN = "builtin:Gain"


@pytest.fixture
def files(tmp_path) -> Path:
    untrained(tmp_path / "c.safetensors", [builtin_profile("Gain")])
    write(tmp_path / "in.wav", sound(24000, peak=0.1), 24000)
    write(tmp_path / "reference.wav", sound(24000, seed=9), 24000)
    return tmp_path


def afx(folder: Path, capsys, *arguments: str) -> tuple[int, str, str]:
    known = {"IN": "in.wav", "REF": "reference.wav", "C": "c.safetensors", "OUT": "out.wav"}
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(folder / known[word]) if word in known else word for word in arguments])
    out, err = capsys.readouterr()
    return int(leaving.value.code or 0), out, err


def test_match_prints_the_controls_the_distance_and_the_files(files, capsys):
    words = ["match", "IN", "REF", PLUGIN, "--also", "REF", "--renders", "17", "--seconds", "2", "--out", "OUT"]
    status, out, err = afx(files, capsys, *words)
    assert status == 0, err
    assert out.startswith("Gain (builtin)\n")
    found = json.loads((files / "out.controls.json").read_text())["refinement"]
    assert f"style distance {found['distance_before']:.3f} -> {found['distance']:.3f} after" in out
    assert found["distance"] < found["distance_before"]
    assert "to a peak of -12 dBFS" in out
    assert [line for line in err.splitlines() if line.startswith("wrote ")] == [
        f"wrote {files / name}" for name in ("out.wav", "out.controls.json", "out.session.json")
    ]


def test_refine_reports_before_and_after(files, capsys):
    words = ["transfer", "IN", "REF", "--controller", "C", "--refine", "14", "--out", "OUT", "--json"]
    status, out, err = afx(files, capsys, *words)
    assert status == 0, err
    found = json.loads(out)["refinement"]
    assert found["distance"] <= found["distance_before"]
    assert 2 <= found["renders"] <= 14


BAD = {
    "no input": (["nothing.wav", "REF", PLUGIN], 1, "nothing.wav: no such file"),
    "no reference": (["IN", "nothing.wav", PLUGIN], 1, "nothing.wav: no such file"),
    "no plugin": (["IN", "REF"], 2, "no PLUGIN was given"),
    "unknown plugin": (["IN", "REF", "zam_eq22"], 2, "did you mean 'zam_eq2'"),
    "unknown built-in": (["IN", "REF", "builtin:Gian"], 2, "Gain"),
    "not a plugin": (["IN", "REF", "text.wav"], 1, "not a plugin"),
    "silent": (["silent.wav", "REF", PLUGIN], 1, "is silent"),
    "silent reference": (["IN", "silent.wav", PLUGIN], 1, "is silent"),
    "short": (["short.wav", "REF", PLUGIN], 1, "too short"),
    "three channels": (["three.wav", "REF", PLUGIN], 1, "3 channels"),
    "three channels in the reference": (["IN", "three.wav", PLUGIN], 1, "3 channels"),
    "existing output": (["IN", "REF", PLUGIN, "--out", "text.wav"], 1, "exists; give --force"),
    "existing output before the plugin": (["IN", "REF", "zam_eq22", "--out", "text.wav"], 1, "exists; give --force"),
    "extension": (["IN", "REF", PLUGIN, "--out", "out.xyz"], 1, "can't write audio as '.xyz'"),
    "renders": (["IN", "REF", PLUGIN, "--renders", "1"], 2, "1 renders; expected 2"),
    "seconds": (["IN", "REF", PLUGIN, "--seconds", "0"], 2, "expected 1 to 60 s"),
    "method": (["IN", "REF", PLUGIN, "--method", "magic"], 2, "magic"),
    "spectrum": (["IN", "REF", PLUGIN, "--spectrum", "0"], 2, "spectrum 0; expected 0.1 to 100"),
    "amount": (["IN", "REF", PLUGIN, "--amount", "2"], 2, "amount is 2"),
    "controls": (["IN", "REF", PLUGIN, "--controls", "Loudness"], 2, "Loudness"),
    "plot": (["IN", "REF", PLUGIN, "--plot", "plot.gif"], 2, "can't draw a '.gif'"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(files, capsys, monkeypatch, what):
    arguments, status, told = BAD[what]
    spoil(files)
    monkeypatch.chdir(files)
    words = ["match", *arguments, *([] if "--out" in arguments else ["--out", "OUT"])]
    before = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    left, out, err = afx(files, capsys, *words)
    assert left == status, err
    lines = [line for line in err.splitlines() if not line.startswith("match: ")]
    assert len(lines) == 1, err
    assert lines[0].startswith("afx: error: ")
    assert told in lines[0]
    assert out == ""
    assert {path: path.read_bytes() for path in files.rglob("*") if path.is_file()} == before


def test_refine_wants_renders(files, capsys):
    status, _, err = afx(files, capsys, "transfer", "IN", "REF", "--controller", "C", "--refine", "1", "--out", "OUT")
    assert status == 2
    assert "--refine 1; expected 2" in err
