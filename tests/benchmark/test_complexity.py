"""The table of costs: every part is there, effects are really called, and what does not suit is said."""

from __future__ import annotations

import json

import pytest
import torch

from blackbox_afx.benchmark import complexity
from blackbox_afx.benchmark.complexity import CONTENDERS, PARTS, markdown, measure, module_contender
from blackbox_afx.cli import main as cli
from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.resolve import resolve_plugin

GAIN = ChainSpec(profiles=(builtin_profile("Gain"),))
REVERB = ChainSpec(profiles=(builtin_profile("Reverb"),))
QUICK = {"encoder": "statistics", "batch": 2, "segment": 8192, "repeats": 1, "jobs": 1}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(complexity, "REAL_TIME_S", 0.5)


def test_every_part_is_timed_and_every_effect_called():
    said = []
    report = measure(GAIN, warn=said.append, **QUICK)
    # No proxy of a gain ships, and two TCNs can't share one control.
    assert [line.split()[0] for line in said] == ["np", "np_fh", "ctcn2"]
    assert list(report["methods"]) == [name for name in CONTENDERS if name not in ("np", "np_fh", "ctcn2")]
    for name, row in report["methods"].items():
        assert (row["parameters"] == 0) == (name != "ctcn1")
        assert row["real_time_factor"] > 0
        if name == "rb-dsp":
            assert row["step"] is None
            assert row["step_s"] is None
            continue
        assert list(row["step"]) == list(PARTS)
        assert min(row["step"].values()) >= 0
        assert row["step_s"] == pytest.approx(sum(row["step"].values()), rel=1e-3, abs=1e-5)
    # One direction, two renders for each of two examples; gain has one control, so orthogonal blocks have one.
    assert report["methods"]["spsa"]["renders"] == 4
    assert report["methods"]["autodiff"]["renders"] == 0
    assert report["network_parameters"] > 1000
    text = markdown(report)
    assert "Gain, 1 controls, encoder statistics, 2 x 0.34 s at 24000 Hz, cpu" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 1 + len(report["methods"])


def test_proxies_and_tcns_of_the_papers_size():
    """Table 5 of the paper: 174 k and 336 k weights for 24 controls, none where the plugins are heard."""
    strip = ChainSpec(profiles=(resolve_plugin("channel_strip"),))
    rows = measure(strip, methods=["np", "np_fh", "ctcn1", "ctcn2"], **QUICK)["methods"]
    assert rows["ctcn1"]["parameters"] == pytest.approx(174_209, rel=0.01)
    assert rows["ctcn2"]["parameters"] == pytest.approx(336_130, rel=0.01)
    assert rows["np"]["parameters"] > 0
    assert rows["np_fh"]["parameters"] == 0
    assert all(min(row["step"].values()) >= 0 for row in rows.values())


def test_what_the_chain_does_not_suit_is_left_out_unless_asked_for():
    said = []
    report = measure(REVERB, warn=said.append, **QUICK)
    assert list(report["methods"]) == ["spsa", "orthogonal", "ctcn1", "ctcn2", "rb-dsp"]
    assert [line.split(" was")[0] for line in said] == ["autodiff", "autodiff_paper", "np", "np_fh"]
    with pytest.raises(UsageError, match="can't be imitated"):
        measure(REVERB, methods=["autodiff"], **QUICK)
    with pytest.raises(UsageError, match=r"no method is called 'spas'; did you mean 'spsa'\?"):
        measure(GAIN, methods=["spas"], **QUICK)


class Idle(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))

    def forward(self, audio, positions):
        return audio + 0 * positions.sum() * self.weight.sum()


def test_an_effect_that_does_nothing_is_caught(monkeypatch):
    monkeypatch.setitem(CONTENDERS, "idle", lambda setting: module_contender(Idle(), setting))
    with pytest.raises(UsageError, match="idle returned its input untouched"):
        measure(GAIN, methods=["idle"], **QUICK)
    assert (
        module_contender(
            Idle(), complexity.Setting(spec=GAIN, sample_rate=24000, farm=None, device=torch.device("cpu"))
        ).parameters
        == 3
    )


def test_the_command_writes_json_and_a_table(tmp_path, capsys):
    out, table = tmp_path / "cost.json", tmp_path / "cost.md"
    options = ["--encoder", "statistics", "--batch", "1", "--segment", "16384", "--repeats", "1", "--jobs", "1"]
    asked = ["builtin:Gain", "--method", "autodiff", "rb-dsp", "--out", str(out), "--markdown", str(table)]
    assert cli.run(["benchmark", "complexity", *asked, *options]) == 0
    report = json.loads(out.read_text())
    assert list(report["methods"]) == ["autodiff", "rb-dsp"]
    assert table.read_text().strip() in capsys.readouterr().out
    with pytest.raises(UsageError, match="--batch 0; expected at least 1"):
        cli.run(["benchmark", "complexity", "builtin:Gain", "--out", str(tmp_path / "b.json"), "--batch", "0"])
