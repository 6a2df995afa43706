"""A tiny run of `afx learn` with a step plan put there beforehand, so that nothing is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from blackbox_afx.train.budget import StepPlan

PLAN = StepPlan(
    shards=6,
    shard_clips=2,
    proxy_steps=60,
    warm_steps=60,
    batch=32,
    warm_batch=32,
    audio_steps=0,
    audio_batch=2,
    held_out=12,
    score_s=0.5,
    threads=1,
)
"""Enough for every stage to run, too little to learn anything."""

RECIPE = """\
held_out = 12
segment = 16384
audio_batch = 2
settings = 2
batch = 32
"""


def prepare(folder: Path, plan: StepPlan, recipe: str = RECIPE) -> Path:
    """Write a recipe and a run folder that holds nothing but a step plan; give the controller's path."""
    (folder / "recipe.toml").write_text(recipe)
    out = folder / "c.safetensors"
    run = folder / "c.safetensors.run"
    run.mkdir()
    (run / "plan.json").write_text(json.dumps(msgspec.to_builtins(plan)))
    return out


def command(folder: Path, audio: Path, *more: str, minutes: float = 60.0, jobs: int = 1) -> list[str]:
    """Word `afx learn` on two built-in effects."""
    words = ["learn", "builtin:Gain", "builtin:PeakFilter", "--audio", str(audio), "--where", "type=speech"]
    words += ["--recipe", str(folder / "recipe.toml"), "--minutes", str(minutes), "--jobs", str(jobs)]
    return [sys.executable, "-m", "blackbox_afx.cli.main", *words, "--out", str(folder / "c.safetensors"), *more]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a shell does."""
    return subprocess.Popen(
        arguments,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
