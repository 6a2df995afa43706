"""What a run of `learn` made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from blackbox_afx.networks.controller_file import ControllerCard, save_controller
from blackbox_afx.train.budget import StepPlan
from blackbox_afx.train.effects import describe_effect
from blackbox_afx.train.judge import Scores
from blackbox_afx.train.versions import versions

if TYPE_CHECKING:
    from blackbox_afx.train.learn import Run

INPUT_PEAK_DBFS = -12.0


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a run made.

    Parameters
    ----------
    path : Path
        The controller file.
    card : ControllerCard
    scores : dict of Scores
        By stage, on held-out pairs.
    chosen : str
        The stage whose network was kept.
    cut : tuple of str
        Stages that the deadline stopped early.
    late : tuple of str
        Stages that ran so late that the clock brought their learning rate down: such a run does not repeat exactly.
    skipped : tuple of str
        Recordings that could not be used.
    seconds : float
    """

    path: Path
    card: ControllerCard
    scores: dict[str, Scores]
    chosen: str
    cut: tuple[str, ...]
    late: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    seconds: float


def finish(run: Run, plan: StepPlan, facts: dict[str, Any]) -> Learned:
    """Take the best stage's weights and write the controller."""
    found = run.folder.load_tensors("best.safetensors")
    chosen = "warm start"
    if found is not None:
        run.learner.load_state_dict(found[0])
        chosen = found[1]["stage"]
    about, weights = {}, {}
    if run.method.renders_itself and run.effect_module is not None:
        about, weights = describe_effect(run.effect_module, run.method.effect_name)
    kept = run.folder.read_json("scores.json") or {}
    card = ControllerCard(
        profiles=run.spec.profiles,
        network=run.network_options,
        sample_rate=run.recipe.sample_rate,
        segment=run.recipe.segment,
        input_peak_dbfs=INPUT_PEAK_DBFS,
        method=run.recipe.method,
        seed=run.seed,
        minutes=run.minutes,
        recipe=msgspec.to_builtins(run.recipe),
        plan=msgspec.to_builtins(plan),
        scores={
            "held_out": kept,
            "chosen": chosen,
            "cut": run.clock.cut,
            "late": run.clock.late,
            "lost_pairs": run.material.lost,
        },
        versions=versions(),
        data={key: facts[key] for key in ("found", "train", "val")} | run.noted,
        effect=about,
    )
    # A kill between these lines must not make a resume ask for --force.
    run.folder.allow_replace()
    save_controller(run.folder.out, run.network.eval(), card, weights, packed=run.recipe.weights == "int8")
    seconds = run.clock.spent_s
    run.folder.clear()
    return Learned(
        path=run.folder.out,
        card=card,
        scores=run.scores,
        chosen=chosen,
        cut=tuple(run.clock.cut),
        late=tuple(run.clock.late),
        skipped=tuple(facts["skipped"]),
        seconds=seconds,
    )
