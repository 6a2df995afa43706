"""How near the audio stage's derivative comes to that of a real chain, and for how many calls.

Question: what do the feature proxy of the warm start, quiet impulses and probes bring, one after the other?

    python benchmarks/feature_guide.py --audio recordings/ --where type=speech
    python benchmarks/feature_guide.py --audio recordings/ --plugins zam_eq2 builtin:Reverb --minutes 5 --json out.json

It learns a warm start as `afx learn` does in so many minutes. Then it compares derivatives with central differences of
all controls, on pairs like those of the audio stage but from the split `val`, at the settings that the controller asks
for; beside them what SPSA, orthogonal directions and central differences of other steps give. Calls are renders of the
whole chain beyond the forward one, impulses by their samples.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from blackbox_afx.grads import SPSA, Differences, Orthogonal
from blackbox_afx.grads.steps import chain_step_sizes
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.proxies.feature_guide import FeatureGuide
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.feature_guide import (
    AT_ONCE,
    MOST,
    STEP,
    ByFeatures,
    by_features,
    draw_case,
    measure_trust,
)
from blackbox_afx.train.guide import Case, cosines
from blackbox_afx.train.judge import Judge
from blackbox_afx.train.learn import Run
from blackbox_afx.train.linear_parts import LinearParts
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.stages import audio_loss, warm_start

OTHER_STEPS = (0.4, 2.0)
"""Of the steps of central differences: how well they agree with themselves is the most that can be asked of others."""
ONE_SIDED_CLIP = 2.0
"""Deviations; one-sided differences are nearest so."""


def estimates(
    run: Run, case: Case, guide: ByFeatures, trusted: ByFeatures, proxy: FeatureProxy, steps: np.ndarray, seed: int
) -> dict[str, tuple[np.ndarray, float, float]]:
    """Give each estimator's gradient of a case, its calls, and the seconds that it took."""
    effect, spec, samples = run.effect, run.spec, run.recipe.segment
    asked = list(case.inputs), case.positions, case.cotangents, list(case.outputs)
    found = {}
    for name, estimator in (
        ("spsa, 1 direction (the 2022 paper's)", SPSA()),
        ("orthogonal, 8 directions", Orthogonal()),
    ):
        began = time.perf_counter()
        gradient, calls = case.gradient(effect, estimator, steps, seed=seed)
        found[name] = gradient, calls, time.perf_counter() - began
    for share in OTHER_STEPS:
        began = time.perf_counter()
        gradient, calls = case.gradient(effect, Differences(), share * steps)
        found[f"central differences, steps {share:g} times as long"] = gradient, calls, time.perf_counter() - began
    began = time.perf_counter()
    alone = FeatureGuide(proxy, effect.sample_rate)(*asked)
    found["feature proxy"] = alone, 0.0, time.perf_counter() - began
    began = time.perf_counter()
    expected = guide.direction(*asked)
    spent = time.perf_counter() - began
    parts = guide.direction.parts
    impulses = parts.measure_calls(samples) if isinstance(parts, LinearParts) else 0.0
    found["and impulses"] = expected, impulses, spent
    # As the audio stage takes it; at most four calls with the impulses; and half as many as there are controls.
    stage = float(run.method.options["calls"])
    for name, wanted, more in (
        ("and probes, as the audio stage", stage, {}),
        ("and one-sided probes, half as many", stage / 2, {"one_sided": True, "clip": ONE_SIDED_CLIP}),
        ("and probes, 4 calls", 4.0 - impulses, {}),
        ("and probes, half as many as controls", np.isfinite(steps).sum() / 2 - impulses, {}),
    ):
        began = time.perf_counter()
        gradient, calls = case.gradient(effect, trusted.estimator(spec, wanted, samples, **more), steps, expected, seed)
        found[name] = gradient, calls + impulses, time.perf_counter() - began + spent
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--where", default=None)
    parser.add_argument("--plugins", nargs="+", default=["zam_eq2", "zam_comp"])
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--recordings", type=int, default=48)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    recipe = Recipe(method="features", held_out=4)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            [resolve_plugin(name) for name in options.plugins],
            options.audio,
            out=Path(folder) / "controller.safetensors",
            where=options.where,
            minutes=options.minutes,
            recipe=recipe,
            seed=options.seed,
            jobs=options.jobs,
            warn=print,
        )
        with run.farm:
            book, held_out, _ = run.material.books(options.audio, options.where)
            judge = Judge(run.effect, held_out, pairs=4, segment=recipe.segment, seed=options.seed, network=run.network)
            plan = run.plan(book, judge)
            examples = run.material.pairs(plan, book, run.clock, run.reserve_after_pairs(), run.tick)
            _, proxy = warm_start(run, plan, examples, judge)
            val = audio_loss(run, str(run.folder.path / "clips_val"))
            val.spliced = 0.0
            guide = by_features(run.effect, proxy)
            trusted = measure_trust(guide, run.effect, audio_loss(run, book), MOST)
            truths, rows = [], {}
            steps = chain_step_sizes(run.spec, STEP)
            for turn in range(-(-options.recordings // AT_ONCE)):
                case = draw_case(run.effect, val, turn)
                if case is None:
                    continue
                truths.append(case.gradient(run.effect, Differences(), steps)[0])
                for name, found in estimates(run, case, guide, trusted, proxy, steps, options.seed + turn).items():
                    rows.setdefault(name, []).append(found)
    live = np.isfinite(steps)
    truth = np.concatenate(truths)[:, live]
    table = []
    for name, parts in rows.items():
        angle = cosines(np.concatenate([gradient for gradient, _, _ in parts])[:, live], truth)
        row = {
            "estimator": name,
            "calls": round(float(np.mean([calls for _, calls, _ in parts])), 2),
            "cosine": round(float(np.nanmean(angle)), 3),
            "median": round(float(np.nanmedian(angle)), 3),
            "least": round(float(np.nanmin(angle)), 3),
            "ms": round(1e3 * sum(seconds for _, _, seconds in parts) / len(truth)),
        }
        table.append(row)
        print(
            f"{run.spec.label}: {name}: {row['calls']} calls, cosine {row['cosine']} in the mean, {row['median']} "
            f"in the median, {row['least']} at the least, {row['ms']} ms an example"
        )
    if options.json:
        kept = {"chain": run.spec.label, "minutes": options.minutes, "recordings": len(truth), "seed": options.seed}
        options.json.write_text(json.dumps(kept | {"rows": table}, indent=1))


if __name__ == "__main__":
    main()
