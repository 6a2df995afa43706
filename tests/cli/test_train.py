"""`afx train` and `afx proxy` as one types them: what they refuse, what they make, what the shelf then shows."""

from __future__ import annotations

import json
import shutil

import pytest

from blackbox_afx.cli import main as cli

TINY = """\
kind = "proxy"
plugin = "builtin:Gain"
architecture = "tcn"
segment = 2048
batch = 2
held_out = 3
examples = 4
noise = 0.5
[options]
channels = 2
kernel = 2
dilations = [1]
"""


@pytest.fixture
def afx(capsys):
    """Run a command in this process."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leaving:
            cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(leaving.value.code or 0), out, err

    return run


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "small_add"], "small_ad"),
        (["train", "small_ad", "--set", "minuets=3"], "minutes"),
        (["train", "small_ad", "--set", "method=adam"], "adam"),
        (["train", "small_ad", "--minutes", "0"], "--minutes is 0"),
        (["train", "small_ad", "--device", "tpu"], "cpu or cuda"),
        (["train", "small"], "names no plugins"),
        (["proxy", "train", "small_ad"], "controller's recipe"),
        (["proxy", "train", "builtin:Nothing"], "Nothing"),
        (["proxy", "train", "builtin:Gain", "--minutes", "-1"], "--minutes is -1"),
        (["learn", "builtin:Gain", "--examples", "0"], "--examples is 0"),
    ],
)
def test_wrong_use_is_one_line(afx, tmp_path, demo_audio, words, says):
    code, _, err = afx(*words, "--audio", demo_audio, "--out", tmp_path / "out")
    errors = [line for line in err.splitlines() if line.startswith("afx: error:")]
    assert code in (1, 2), err
    assert len(errors) == 1
    assert says in errors[0]
    assert not list(tmp_path.iterdir())


def test_a_proxy_is_trained_listed_and_checked(afx, tmp_path, demo_audio, monkeypatch):
    """Nothing can be wrong about a gain: it is applied exactly, and the network has only to pass audio on."""
    (tmp_path / "recipe.toml").write_text(TINY)
    folder = tmp_path / "proxies" / "tiny"
    audio = tmp_path / "audio"
    shutil.copytree(demo_audio / "train", audio)
    (audio / "broken.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt nonsense")
    words = ("--audio", audio, "--jobs", "1", "--minutes", "5", "--out", folder)
    code, out, err = afx("train", tmp_path / "recipe.toml", *words)
    assert code == 0, err
    assert "gradient cosine" in out
    warnings = [line for line in err.splitlines() if line.startswith("afx: warning:")]
    assert "1 recording was left out" in warnings[0]
    assert "broken.wav" in warnings[1]
    common = ("--audio", demo_audio, "--where", "type=speech", "--jobs", "1")
    monkeypatch.setenv("AFX_SHELF", str(tmp_path))
    code, out, _ = afx("list", "proxies", "--json")
    assert "tiny" in [row["name"] for row in json.loads(out)]
    code, out, err = afx("proxy", "check", "tiny", *common, "--patches", "3", "--card", "--json")
    assert code == 0, err
    scores = json.loads(out)
    assert scores["patches"] == 3
    assert "by the command below" in (folder / "CARD.md").read_text()
    assert len(scores["controls"]) == 1


def test_methods_are_listed_with_a_line_each(afx):
    code, out, _ = afx("list", "methods", "--json")
    rows = {row["name"]: row["about"] for row in json.loads(out)}
    assert code == 0
    assert {"spsa", "np", "np_hh", "np_fh", "ad", "ctcn1", "ctcn2"} <= set(rows)
    assert all(0 < len(about) < 110 for about in rows.values())
