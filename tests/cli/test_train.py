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


RECIPES = {
    "minutes = \n": "recipe.toml: line 1, column 11: not TOML (invalid value); expected",
    'minutes = "x"\n': "recipe.toml: minutes = 'x'; expected a number",
    "minuts = 3\n": "recipe.toml: no field is called 'minuts'; did you mean ",
    "batch = 1.5\n": "recipe.toml: batch = 1.5; expected a whole number",
    "plugins = 3\n": "recipe.toml: plugins = 3; expected a list in [ ]",
    'schedule = "fast"\n': "recipe.toml: schedule = 'fast'; expected one of cosine, paper",
    '[shares]\naudio = "x"\n': "recipe.toml: shares.audio = 'x'; expected a number",
    "[shares]\nadio = 1\n": "recipe.toml: shares: no field is called 'adio'; did you mean 'audio'?",
    "minutes = -1\n": "recipe.toml: minutes = -1.0; expected more than 0",
}


@pytest.mark.parametrize("text", RECIPES)
@pytest.mark.parametrize("command", [["train"], ["learn", "builtin:Gain", "--recipe"]])
def test_what_is_wrong_in_a_recipe_is_said_in_our_words(afx, tmp_path, demo_audio, command, text):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text)
    code, _, err = afx(*command, recipe, "--audio", demo_audio, "--out", tmp_path / "out")
    assert code in (1, 2)
    assert err.startswith(f"afx: error: {tmp_path}/{RECIPES[text]}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["minutes=soon"], "--set minutes=soon: minutes = 'soon'; expected a number"),
        (["batch=1.5", "seed=1"], "--set seed=1: no field is called 'seed'"),
        (["batch=1.5", "minutes=3"], "--set batch=1.5: batch = 1.5; expected a whole number"),
        (["warm_start=1"], "--set warm_start=1: warm_start = 1; expected true or false"),
        (["shares.audio=x"], "--set shares.audio=x: shares.audio = 'x'; expected a number"),
        (["shares.adio=1"], "--set shares.adio=1: shares: no field is called 'adio'"),
        (["minutes=-3"], "--set minutes=-3: minutes = -3.0; expected more than 0"),
        (["minutes"], "--set minutes; expected key=value"),
    ],
)
def test_what_is_wrong_with_a_change_is_said_of_it(afx, tmp_path, demo_audio, changes, says):
    words = [word for change in changes for word in ("--set", change)]
    code, _, err = afx("train", "small_ad", *words, "--audio", demo_audio, "--out", tmp_path / "out")
    assert code in (1, 2)
    assert err.startswith(f"afx: error: {says}")


def test_a_recipe_of_the_other_kind_is_refused(afx, tmp_path, demo_audio):
    words = ["learn", "builtin:Gain", "--recipe", "small_proxy", "--audio", demo_audio, "--out", tmp_path / "out"]
    code, _, err = afx(*words)
    assert (code, "is a proxy's recipe" in err) == (2, True)


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
