"""The benchmark of searching: a report that can be made again, and wrong requests refused."""

from __future__ import annotations

import json

import pytest

from blackbox_afx.cli import main as cli
from blackbox_afx.plugins.builtins import builtin_profile
from tests.transfer.untrained import untrained

ARGUMENTS = ["--where", "type=speech", "--pairs", "2", "--segment", "32768", "--jobs", "1"]


def benchmark(folder, audio, *arguments: str) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["benchmark", "match", "--audio", str(audio), *ARGUMENTS, *arguments])
    return int(leaving.value.code or 0)


def test_report_holds_both_searches_and_repeats(demo_audio, tmp_path, capsys):
    words = ["--chain", "builtin:HighShelfFilter builtin:Gain", "--renders", "25", "--against", "33"]
    for name in ("a.json", "b.json"):
        assert benchmark(tmp_path, demo_audio, *words, "--out", str(tmp_path / name)) == 0
    printed = capsys.readouterr().out
    assert "HighShelfFilter > Gain" in printed
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    found = one["chains"]["HighShelfFilter > Gain"]
    assert found == two["chains"]["HighShelfFilter > Gain"]
    means = {name: cell["mean"] for name, cell in found["distance"].items()}
    assert list(means) == ["start", "20", "25", "cma", "truth"]
    assert means["25"] <= means["20"] < means["start"]
    assert means["cma"] < means["start"]
    assert found["ratio"]["mean"] == pytest.approx(means["25"] / means["cma"])
    assert 0 <= found["share"]["mean"] <= 1
    assert found["pairs"] == 2


@pytest.mark.slow
def test_a_controller_is_scored_with_and_without_refining(demo_audio, tmp_path):
    path = untrained(tmp_path / "c.safetensors", [builtin_profile("Gain")])
    words = ["--chain", "", "--controller", str(path), "--refine", "8", "--out", str(tmp_path / "o.json")]
    assert benchmark(tmp_path, demo_audio, *words) == 0
    report = json.loads((tmp_path / "o.json").read_text())["controller"]
    for protocol in ("self", "paper"):
        assert report[protocol]["methods"].keys() == {"c", "refined"}
        assert report[protocol]["renders"] == 8
    # A controller that nobody trained leaves all to the search.
    assert report["self"]["refined_over_controller"]["rms_db"] < 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--renders", "1"], "--renders 1; expected at least 2"),
        (["--against", "1"], "--against 1; expected at least 2, or 0"),
        (["--chain", ""], "neither --chain nor --controller"),
        (["--chain", "no_such_plugin"], "no_such_plugin"),
        (["--controller", "none.safetensors"], "no such file"),
    ],
)
def test_wrong_requests_are_one_line(demo_audio, tmp_path, capsys, words, told):
    status = benchmark(tmp_path, demo_audio, *words, "--out", str(tmp_path / "o.json"))
    assert status == 2
    err = capsys.readouterr().err
    assert err.startswith("afx: error: ")
    assert told in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
