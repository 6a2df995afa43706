"""`afx demo`: what it leaves, what it scores, and that it removes nothing of the user's."""

from __future__ import annotations

import json
import re

import pytest
import soundfile

from blackbox_afx.cli import main as cli
from blackbox_afx.cli.demo import MADE, MARK, _clear


@pytest.fixture
def afx(capsys):
    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leaving:
            cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(leaving.value.code or 0), out, err

    return run


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_minutes_that_are_none(afx, tmp_path, minutes):
    code, _, err = afx("demo", "--minutes", minutes, "--out", tmp_path / "demo")
    assert code == 2
    assert "--minutes is" in err
    assert not (tmp_path / "demo").exists()


def test_a_folder_with_other_files_is_refused(afx, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for mark in (False, True):
        if mark:
            (tmp_path / ".afx-demo").touch()
        code, _, err = afx("demo", "--out", tmp_path)
        assert code == 1
        assert "thesis.txt" in err
        assert "--force" in err
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "demo"):
        code, _, err = afx("demo", "--out", out)
        assert code == 1
        assert "give --out" in err
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_short_demo_does_all_of_it_and_leaves_other_files_alone(afx, tmp_path):
    out = tmp_path / "demo"
    (out / "folder").mkdir(parents=True)
    (out / "folder" / "thesis.txt").write_text("mine")
    (out / "after.flac").write_text("of an earlier demo")
    code, printed, err = afx("demo", "--minutes", "0.5", "--jobs", "1", "--force", "--out", out)
    assert code == 0, err
    assert (out / "folder" / "thesis.txt").read_text() == "mine"
    assert {path.name for path in out.iterdir()} - {"folder"} == MADE - {"demo.safetensors.run"}
    assert soundfile.info(out / "after.flac").frames == soundfile.info(out / "before.flac").frames
    assert (out / "before-after.png").read_bytes()[:4] == b"\x89PNG"
    ratio = next(iter(json.loads((out / "score.json").read_text())["ratio"].values()))
    line = next(line for line in printed.splitlines() if "of the input's error" in line)
    assert f"{ratio['stft']:.2f}" in line
    assert re.search(r"learned in \d+ s", printed)
    assert "afx learn" in err
    _clear(out, force=True)
    assert {path.name for path in out.iterdir()} == {"folder", MARK}
