"""The README's Python example does what it says: run as it stands, on real files and a real chain."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from blackbox_afx import shelf
from blackbox_afx.networks.controller_file import ControllerCard, save_controller
from blackbox_afx.networks.style import make_style_network
from blackbox_afx.plugins.builtins import builtin_profile

README = Path(__file__).resolve().parent.parent / "README.md"


@pytest.mark.skipif(not README.exists(), reason="the README is not part of the wheel")
def test_the_python_example_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    example = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    torch.manual_seed(0)
    profile = builtin_profile("Compressor")
    card = ControllerCard(
        profiles=(profile,),
        network={"encoder": "statistics", "controller": "residual"},
        sample_rate=24000,
        segment=65536,
        input_peak_dbfs=-12.0,
        method="regression",
        seed=0,
        minutes=0.0,
    )
    network = make_style_network(controls=len(profile.active), **card.network)
    save_controller(tmp_path / "mine.safetensors", network, card)
    for name, clip in (("take.wav", "test/louis.flac"), ("reference.wav", "reference/radio.flac")):
        shutil.copyfile(shelf.demo_audio() / clip, tmp_path / name)
    monkeypatch.chdir(tmp_path)

    exec(compile(example.group(1), "README.md", "exec"), {})

    printed = capsys.readouterr().out
    assert (tmp_path / "result.wav").stat().st_size > 100_000
    written = json.loads((tmp_path / "result.controls.json").read_text())
    for control in written["plugins"][0]["controls"]:
        assert control["name"] in printed
        assert control["text"] in printed
