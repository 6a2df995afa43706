"""`afx learn` as one types it: what it refuses and how, what it says, and what a short run learns."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from blackbox_afx.cli import main as cli
from blackbox_afx.networks.controller_file import load_card, load_controller
from tests.train.runs import PLAN, RECIPE, command, prepare, start


@pytest.fixture
def afx(capsys):
    """Run a command in this process."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leaving:
            cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(leaving.value.code or 0), out, err

    return run


def tiny(folder: Path, audio: Path, *plugins: str, plan=PLAN, recipe: str = RECIPE, more: tuple = ()) -> list[str]:
    """Words of a run with a stored plan, in this process."""
    out = prepare(folder, plan, recipe)
    words = ["learn", *plugins, "--audio", str(audio), "--recipe", str(folder / "recipe.toml")]
    return [*words, "--minutes", "5", "--jobs", "1", "--out", str(out), "--resume", *more]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ([], 2, "no PLUGIN"),
        (["builtin:Gain", "--minutes", "0"], 2, "--minutes is 0"),
        (["builtin:Gain", "--minutes", "inf"], 2, "--minutes is inf"),
        (["builtin:Gain", "--jobs", "0"], 2, "--jobs 0; expected at least 1"),
        (["builtin:Gain", "--seed", "-1"], 2, "--seed -1; expected 0 to"),
        (["builtin:Gain", "--method", "magic"], 2, "magic"),
        (["builtin:Gain", "--controls", "loudness"], 2, "loudness"),
        (["builtin:Nothing"], 2, "Nothing"),
        (["builtin:Gain", "--recipe", "none"], 2, "none"),
        (["builtin:Gain", "builtin:Gain", "--preset", "x.vstpreset"], 2, "--preset"),
    ],
)
def test_wrong_use_is_one_line_before_any_work(afx, tmp_path, demo_audio, words, status, says):
    out = tmp_path / "c.afx"
    code, _, err = afx("learn", *words, "--audio", demo_audio, "--out", out)
    errors = [line for line in err.splitlines() if line.startswith("afx: error:")]
    assert code in (1, status), err
    assert len(errors) == 1
    assert says in errors[0]
    assert "internal error" not in err
    assert not list(tmp_path.iterdir())


def test_folders_and_outputs_that_won_t_do(afx, tmp_path, demo_audio):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no audio")
    (tmp_path / "taken.afx").write_text("mine")
    for audio, out, says in (
        (empty, "a.afx", "empty"),
        (tmp_path / "gone", "b.afx", "gone"),
        (demo_audio, "taken.afx", "--force"),
        (demo_audio, "taken.afx/c.afx", "can't be made"),
        (demo_audio, "", "is a folder"),
    ):
        code, _, err = afx("learn", "builtin:Gain", "--audio", audio, "--out", tmp_path / out, "--jobs", "1")
        assert code in (1, 2)
        assert says in err
        assert "internal error" not in err
    assert (tmp_path / "taken.afx").read_text() == "mine"


def test_a_run_that_never_began_is_not_in_the_way_of_the_next(afx, tmp_path, demo_audio):
    out = tmp_path / "c.afx"
    code, _, err = afx("learn", "builtin:Gain", "--audio", tmp_path / "nowhere", "--jobs", "1", "--out", out)
    assert code != 0
    assert "nowhere" in err
    assert list(tmp_path.iterdir()) == []
    proxy = ["proxy", "train", "builtin:Compressor", "--jobs", "1", "--out", tmp_path / "proxy"]
    code, _, err = afx(*proxy, "--audio", tmp_path / "nowhere")
    assert code != 0
    assert not list(tmp_path.rglob("*.run"))


def test_recordings_too_short_or_silent_are_one_line(afx, tmp_path):
    for name, audio in (("short", 0.1 * np.ones(2000)), ("silent", np.zeros(400000))):
        folder = tmp_path / name
        folder.mkdir()
        for k in range(3):
            soundfile.write(folder / f"{k}.wav", audio, 24000)
        code, _, err = afx("learn", "builtin:Gain", "--audio", folder, "--out", tmp_path / f"{name}.afx", "--jobs", "1")
        assert code == 1
        assert len([line for line in err.splitlines() if line.startswith("afx: error:")]) == 1


def test_what_is_left_out_is_counted_and_named(afx, tmp_path, demo_audio):
    audio = tmp_path / "audio"
    shutil.copytree(demo_audio / "train", audio)
    (audio / "broken.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt nonsense")
    soundfile.write(audio / "silent.wav", np.zeros(200000), 24000)
    plan = msgspec.structs.replace(PLAN, proxy_steps=3, warm_steps=3, shards=2)
    code, out, err = afx(*tiny(tmp_path, audio, "builtin:Gain", plan=plan))
    assert code == 0, err
    warnings = [line for line in err.splitlines() if line.startswith("afx: warning:")]
    assert "2 recordings were left out" in warnings[0]
    assert any("broken.wav" in line for line in warnings)
    assert any("silent.wav" in line for line in warnings)
    assert "held out:" in out
    assert "next: afx transfer" in err


@pytest.mark.parametrize(
    ("plugins", "controls"),
    [(["builtin:Clipping"], 1), (["builtin:LadderFilter"], 4), (["builtin:LadderFilter", "--controls", "Mode"], 1)],
)
def test_single_controls_toggles_and_choices(afx, tmp_path, demo_audio, plugins, controls):
    plan = msgspec.structs.replace(PLAN, proxy_steps=3, warm_steps=3, audio_steps=2, shards=2, held_out=2)
    recipe = RECIPE.replace("held_out = 12", "held_out = 2")
    code, out, err = afx(*tiny(tmp_path, demo_audio, *plugins, plan=plan, recipe=recipe, more=("--json",)))
    assert code == 0, err
    printed = json.loads(out)
    network, card = load_controller(printed["path"])
    assert len(card.spec.space) == controls
    assert set(card.scores["held_out"]) == {"warm start", "audio"}
    assert all(torch.isfinite(weight).all() for weight in network.state_dict().values())


def test_two_runs_in_one_process_hear_their_own_recordings(afx, tmp_path, demo_audio):
    plan = msgspec.structs.replace(PLAN, proxy_steps=3, warm_steps=3, shards=2)
    threads, draw = torch.get_num_threads(), torch.random.get_rng_state()
    found = []
    for split in ("train", "test", "train"):
        shutil.rmtree(tmp_path, ignore_errors=True)
        tmp_path.mkdir()
        code, _, err = afx(*tiny(tmp_path, demo_audio / split, "builtin:Gain", plan=plan))
        assert code == 0, err
        found.append(load_file(tmp_path / "c.safetensors"))
    assert not torch.equal(found[0]["controller.last.weight"], found[1]["controller.last.weight"])
    assert all(torch.equal(found[0][name], found[2][name]) for name in found[0])
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), draw)


def test_a_resume_with_something_else_is_refused(afx, tmp_path, demo_audio):
    words = tiny(tmp_path, demo_audio, "builtin:Gain")
    run = tmp_path / "c.safetensors.run"
    (run / "plan.json").write_text('{"shards": 1}')
    code, _, err = afx(*words)
    assert code == 1
    assert "not a step plan" in err
    code, _, err = afx(*words, "--seed", "7")
    assert code == 1
    assert "seed" in err
    assert "--force" in err


@pytest.mark.slow
def test_an_audio_stage_that_loses_is_rolled_back(afx, tmp_path, demo_audio):
    # A rate at which the network can only forget.
    recipe = RECIPE + "audio_rate = 0.5\nhold = 0.0\n"
    plan = msgspec.structs.replace(PLAN, audio_steps=12, warm_steps=150, proxy_steps=150, shards=12)
    code, out, err = afx(*tiny(tmp_path, demo_audio, "builtin:Gain", plan=plan, recipe=recipe))
    assert code == 0, err
    rolled_back = tmp_path / "c.safetensors"
    scores = load_card(rolled_back).scores
    assert scores["held_out"]["audio"]["total"] > scores["held_out"]["warm start"]["total"]
    assert scores["chosen"] == "warm start"
    assert "'audio' was rolled back" in out
    other = tmp_path / "other"
    other.mkdir()
    plan = msgspec.structs.replace(plan, audio_steps=0)
    code, _, err = afx(*tiny(other, demo_audio, "builtin:Gain", plan=plan, recipe=recipe))
    assert code == 0, err
    kept, warm = load_file(rolled_back), load_file(other / "c.safetensors")
    assert all(torch.equal(kept[name], warm[name]) for name in warm)


@pytest.mark.slow
def test_the_paper_s_encoder_and_controller_learn_by_recipe(afx, tmp_path, demo_audio):
    recipe = 'encoder = "efficientnet_b2"\ncontroller = "paper"\nsegment = 16384\nheld_out = 3\nheard_batch = 2\n'
    recipe += "audio_batch = 2\n"
    plan = msgspec.structs.replace(PLAN, warm_batch=2, warm_steps=4, audio_steps=2, held_out=3, shards=2)
    code, _, err = afx(*tiny(tmp_path, demo_audio, "builtin:Gain", plan=plan, recipe=recipe))
    assert code == 0, err
    network, card = load_controller(tmp_path / "c.safetensors")
    assert card.network == {"encoder": "efficientnet_b2", "controller": "paper"}
    assert all(torch.isfinite(weight).all() for weight in network.state_dict().values())


@pytest.mark.slow
def test_the_paper_s_encoder_is_calibrated_within_its_budget(afx, tmp_path, demo_audio):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('encoder = "efficientnet_b2"\ncontroller = "paper"\nsegment = 16384\nheard_batch = 2\n')
    began = time.monotonic()
    words = ["learn", "builtin:Gain", "--audio", demo_audio, "--recipe", recipe, "--minutes", "0.5", "--jobs", "2"]
    code, _, err = afx(*words, "--out", tmp_path / "c.afx")
    assert code == 0, err
    assert time.monotonic() - began < 33
    plan = load_card(tmp_path / "c.afx").plan
    assert plan["warm_batch"] == 2
    assert plan["warm_steps"] > 3


@pytest.mark.slow
def test_half_a_minute_is_enough_for_a_gain(afx, tmp_path, demo_audio):
    began = time.monotonic()
    words = ["learn", "builtin:Gain", "--audio", demo_audio, "--where", "type=speech", "--minutes", "0.5"]
    code, out, err = afx(*words, "--jobs", "2", "--json", "--out", tmp_path / "c.afx")
    took = time.monotonic() - began
    assert code == 0, err
    card = json.loads(out)["card"]
    assert card["scores"]["held_out"]["warm start"]["ratio"]["rms_db"] < 0.3
    assert took < 30 + 3
    assert "loss" in err
    for stage in card["scores"]["cut"]:
        assert f"the deadline cut the stage '{stage}'" in err


@pytest.mark.slow
def test_a_plan_far_too_large_is_cut_at_the_deadline_and_says_so(tmp_path, demo_audio):
    prepare(tmp_path, msgspec.structs.replace(PLAN, shards=400, shard_clips=8, proxy_steps=10**6, warm_steps=10**6))
    began = time.monotonic()
    process = start(command(tmp_path, demo_audio, "--resume", minutes=0.3))
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert time.monotonic() - began < 18 * 1.1
    for stage in ("pairs", "proxy", "controller"):
        assert f"the deadline cut the stage '{stage}'" in err
    assert load_card(tmp_path / "c.safetensors").scores["cut"] == ["pairs", "proxy", "controller"]
