"""The gradient benchmark: its report, and figures that hold whatever the guide learned."""

from __future__ import annotations

import json

import pytest

from blackbox_afx.cli import main as cli
from blackbox_afx.train.impulses import TAPS


@pytest.mark.slow
def test_the_command_writes_what_it_says(demo_audio, tmp_path):
    out = tmp_path / "gradients.json"
    words = ["benchmark", "gradients", "--audio", str(demo_audio), "--where", "type=speech", "--out", str(out)]
    words += ["--chain", "builtin:LowpassFilter builtin:Gain", "--recordings", "2", "--examples", "24"]
    words += ["--segment", "33000", "--jobs", "1", "--markdown", str(tmp_path / "g.md")]
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 0
    report = json.loads(out.read_text())
    (rows,) = report["chains"].values()
    named = {row["estimator"]: row for row in rows}
    assert named["central differences"]["cosine"] == 1.0
    assert named["one-sided differences"]["cosine"] > 0.99
    assert named["orthogonal, full block"]["cosine"] > 0.99
    # Three impulses through each of two plugins.
    assert named["guide alone"]["calls"] == pytest.approx(3 * TAPS / 33000, abs=0.006)
    assert named["guide alone"]["cosine"] > 0.98
    assert all(row["calls"] <= 4 for row in rows if row["estimator"].startswith("guided"))
    assert "| estimator | calls |" in (tmp_path / "g.md").read_text()


@pytest.mark.parametrize("option", [["--recordings", "0"], ["--chain", " "]])
def test_wrong_requests_are_refused(option, tmp_path):
    words = ["benchmark", "gradients", "--audio", str(tmp_path), "--out", str(tmp_path / "g.json"), *option]
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
