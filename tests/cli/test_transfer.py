"""`afx transfer` as one types it: what it prints, and that bad input is one line and a status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from blackbox_afx.cli import main as cli
from blackbox_afx.plugins.builtins import builtin_profile
from tests.transfer.test_static import sound, write
from tests.transfer.untrained import untrained


@pytest.fixture
def files(tmp_path) -> Path:
    untrained(tmp_path / "c.safetensors", [builtin_profile("ChannelStrip")])
    write(tmp_path / "in.wav", sound(44100, channels=2, peak=0.1), 44100)
    write(tmp_path / "reference.wav", sound(24000, seed=9), 24000)
    return tmp_path


def afx(folder: Path, capsys, *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process, names in capitals standing for files in the folder."""
    known = {"IN": "in.wav", "REF": "reference.wav", "C": "c.safetensors", "OUT": "out.wav"}
    words = [str(folder / known[word]) if word in known else word for word in arguments]
    with pytest.raises(SystemExit) as leaving:
        cli.main(["transfer", *words])
    out, err = capsys.readouterr()
    return int(leaving.value.code or 0), out, err


def test_prints_the_controls_the_trim_and_the_files(files, capsys):
    plot = files / "picture.png"
    status, out, err = afx(files, capsys, "IN", "REF", "REF", "--controller", "C", "--out", "OUT", "--plot", str(plot))
    assert status == 0, err
    assert out.lower().startswith("channelstrip (builtin)\n  low shelf gain ")
    trim = json.loads((files / "out.controls.json").read_text())["trim_db"]
    assert f"the input was brought up by {trim:.1f} dB to the level the controller was learned at" in out
    assert "afx: warning: learned at 24000 Hz, rendered at the file's 44100 Hz" in err
    written = [line.removeprefix("wrote ") for line in err.splitlines() if line.startswith("wrote ")]
    made = [files / name for name in ("out.wav", "out.controls.json", "out.session.json")]
    assert written == [*map(str, made), str(plot)]
    assert plot.read_bytes()[:4] == b"\x89PNG"
    assert soundfile.info(files / "out.wav").channels == 2


def test_json_is_the_record_and_the_files(files, capsys):
    status, out, _ = afx(files, capsys, "IN", "REF", "--controller", "C", "--out", "OUT", "--json", "--amount", "0.5")
    assert status == 0
    printed = json.loads(out)
    files_made = printed.pop("files")
    record = json.loads((files / "out.controls.json").read_text())
    assert printed == record
    assert [Path(file).name for file in files_made] == ["out.wav", "out.controls.json", "out.session.json"]
    control = record["plugins"][0]["controls"][0]
    assert {"index", "param_id", "name", "unit", "normalised", "plain", "text"} <= control.keys()
    assert record["amount"] == 0.5
    # A peak of -20 dBFS, less what mixing to mono at 24 kHz takes of it.
    assert 8.0 <= record["trim_db"] < 16.0


def test_a_controller_goes_by_its_name_on_the_shelf(files, capsys, monkeypatch):
    shelf = files / "shelf" / "train" / "voice"
    shelf.mkdir(parents=True)
    (files / "c.safetensors").rename(shelf / "weights.safetensors")
    monkeypatch.setenv("AFX_SHELF", str(files / "shelf"))
    assert afx(files, capsys, "IN", "REF", "--controller", "voice", "--out", "OUT")[0] == 0
    status, _, err = afx(files, capsys, "IN", "REF", "--controller", "voise", "--out", "OUT", "--force")
    assert status == 2
    assert "did you mean 'voice'?" in err


def spoil(files: Path) -> None:
    """Put one file of each bad kind into the folder."""
    write(files / "silent.wav", np.zeros((1, 48000), np.float32), 24000)
    write(files / "nan.wav", np.full((1, 48000), np.nan, np.float32), 24000)
    write(files / "short.wav", sound(24000, seconds=0.2), 24000)
    write(files / "three.wav", sound(24000, channels=3), 24000)
    (files / "empty.wav").write_bytes(b"")
    (files / "text.wav").write_text("not audio")
    (files / "cut.safetensors").write_bytes((files / "c.safetensors").read_bytes()[:1000])
    (files / "text.safetensors").write_text("not a controller")
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3, np.float32)}, files / "foreign.safetensors")


BAD = {
    "no input": (["nothing.wav", "REF"], 1, "nothing.wav: no such file"),
    "no such reference": (["IN", "nothing.wav"], 1, "nothing.wav: no such file"),
    "no reference": (["IN"], 2, "no REFERENCE was given"),
    "not audio": (["text.wav", "REF"], 1, "not audio"),
    "empty": (["empty.wav", "REF"], 1, "empty file"),
    "silent": (["silent.wav", "REF"], 1, "is silent"),
    "silent reference": (["IN", "silent.wav"], 1, "is silent"),
    "nan": (["nan.wav", "REF"], 1, "NaN"),
    "short": (["short.wav", "REF"], 1, "too short"),
    "three channels": (["three.wav", "REF"], 1, "3 channels; expected mono or stereo"),
    "three channels in the reference": (["IN", "REF", "three.wav"], 1, "3 channels; expected mono or stereo"),
    "no controller": (["IN", "REF", "--controller", "nothing.safetensors"], 2, "no such file"),
    "cut controller": (["IN", "REF", "--controller", "cut.safetensors"], 1, "cut short"),
    "text controller": (["IN", "REF", "--controller", "text.safetensors"], 1, "not a controller"),
    "foreign controller": (["IN", "REF", "--controller", "foreign.safetensors"], 1, "not a controller of this"),
    "existing output": (["IN", "REF", "--out", "text.wav"], 1, "exists; give --force"),
    "no folder": (["IN", "REF", "--out", "no/out.wav"], 1, "does not exist"),
    "unwritable": (["IN", "REF", "--out", "/proc/out.wav"], 1, "can't be written"),
    "extension": (["IN", "REF", "--out", "out.xyz"], 1, "out.xyz: can't write audio as '.xyz'"),
    "amount": (["IN", "REF", "--amount", "1.5"], 2, "amount is 1.5"),
    "amount is no number": (["IN", "REF", "--amount", "much"], 2, "much"),
    "plot": (["IN", "REF", "--plot", "plot.gif"], 2, "can't draw a '.gif'"),
    "plot's folder": (["IN", "REF", "--plot", "no/plot.png"], 1, "does not exist"),
    "option": (["IN", "REF", "--loud"], 2, "--loud"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(files, capsys, monkeypatch, what):
    arguments, status, told = BAD[what]
    spoil(files)
    monkeypatch.chdir(files)
    words = list(arguments)
    words += [] if "--controller" in words else ["--controller", "C"]
    words += [] if "--out" in words else ["--out", "OUT"]
    before = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    left, out, err = afx(files, capsys, *words)
    assert left == status, err
    lines = [line for line in err.splitlines() if not line.startswith("transfer: ")]
    assert len(lines) == 1, err
    assert lines[0].startswith("afx: error: ")
    assert told in lines[0]
    assert "Traceback" not in err
    assert out == ""
    assert {path: path.read_bytes() for path in files.rglob("*") if path.is_file()} == before


def test_help_ends_in_an_example(capsys):
    assert cli.run(["transfer", "--help"]) == 0
    out = capsys.readouterr().out
    assert "$ afx transfer take.wav" in out
    assert "--allow-version" in out
