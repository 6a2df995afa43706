"""Runs that are killed or interrupted, and go on to the very weights of an unbroken one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from blackbox_afx.networks.controller_file import load_card
from tests.train.runs import PLAN, command, prepare, start

AUDIO_PLAN = msgspec.structs.replace(PLAN, audio_steps=8, responses=600)
STAGES = {
    "pairs": "shards/00001.npz",
    "responses": "shards.json",
    "proxy": "response_done.safetensors",
    "controller": "proxy.safetensors",
    "audio": "best.safetensors",
}
"""The stage to kill in, and the file whose coming says that it began, or soon will."""


def wait_for(path: Path, process, seconds: float = 240.0) -> bool:
    """Wait until a file is there; False where the process ended first."""
    until = time.monotonic() + seconds
    while not path.exists():
        if process.poll() is not None or time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def finish(arguments: list[str]) -> tuple[int, str, str]:
    process = start(arguments)
    out, err = process.communicate(timeout=480)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, demo_audio) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("unbroken")
    out = prepare(folder, AUDIO_PLAN)
    status, _, err = finish(command(folder, demo_audio, "--resume"))
    assert status == 0, err
    assert load_card(out).plan == msgspec.to_builtins(AUDIO_PLAN)
    assert not Path(f"{out}.run").exists()
    return load_file(out)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_in_any_stage_loses_nothing(stage, unbroken, tmp_path, demo_audio):
    out = prepare(tmp_path, AUDIO_PLAN)
    run = Path(f"{out}.run")
    process = start(command(tmp_path, demo_audio, "--resume"))
    assert wait_for(run / STAGES[stage], process)
    time.sleep(0.15)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not out.exists()
    status, _, err = finish(command(tmp_path, demo_audio, "--resume"))
    assert status == 0, err
    again = load_file(out)
    assert again.keys() == unbroken.keys()
    for name, weights in unbroken.items():
        assert torch.equal(weights, again[name]), name


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(unbroken, tmp_path, demo_audio):
    out = prepare(tmp_path, AUDIO_PLAN)
    process = start(command(tmp_path, demo_audio, "--resume", jobs=2))
    assert wait_for(Path(f"{out}.run") / "shards.json", process)
    # As a terminal does it: to the whole group, workers and all.
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert f"{out}.run" in err
    assert "--resume" in err
    assert "Traceback" not in err
    status, _, err = finish(command(tmp_path, demo_audio, "--resume", jobs=2))
    assert status == 0, err
    assert all(torch.equal(weights, load_file(out)[name]) for name, weights in unbroken.items())
