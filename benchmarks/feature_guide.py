"""How near the warm start's feature proxy comes to the derivative of a real chain, without a render.

Question: is a proxy that only knows statistics, and costs nothing beyond the warm start, a guide for the audio stage?

    python benchmarks/feature_guide.py --audio recordings/ --where type=speech
    python benchmarks/feature_guide.py --audio recordings/ --plugins zam_eq2 builtin:Reverb --minutes 5 --json out.json

It makes pairs, measures responses and trains a feature proxy as `afx learn` does in so many minutes, then compares its
derivative, at random settings and recordings of the split `val`, with central differences of all controls; beside it
what SPSA and orthogonal directions give, and what they cost.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from blackbox_afx.benchmark.gradients import chain_steps
from blackbox_afx.grads import SPSA, Differences, Orthogonal
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.train.feature_guide import by_features
from blackbox_afx.train.guide import Case, cosines
from blackbox_afx.train.judge import Judge
from blackbox_afx.train.learn import Run
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.stages import warm_start

AT_ONCE = 8


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
            resume=False,
            force=True,
            report=lambda stage, share, words: None,
            warn=print,
            spent_s=0.0,
        )
        with run.farm:
            book, held_out, _ = run.material.books(options.audio, options.where)
            judge = Judge(run.effect, held_out, pairs=4, segment=recipe.segment, seed=options.seed, network=run.network)
            plan = run.plan(book, judge)
            examples = run.material.pairs(plan, book, run.clock, run.reserve_after_pairs(), run.tick)
            _, proxy = warm_start(run, plan, examples, judge)
            direction = by_features(run.effect, proxy).direction
            val = str(run.folder.path / "clips_val")
            steps = chain_steps(run.spec)
            truths, found = [], {"feature proxy": []}
            cost = {"feature proxy": [0.0]}
            seconds = {"feature proxy": 0.0}
            others = {
                "spsa, 1 direction (the 2022 paper's)": SPSA(directions=1),
                "orthogonal, 8 directions": Orthogonal(directions=8),
            }
            for first in range(0, options.recordings, AT_ONCE):
                count = min(AT_ONCE, options.recordings - first)
                rng = np.random.default_rng([options.seed, 3, first])
                case = Case.draw(run.effect, val, count, recipe.segment, rng, balance_speakers=True)
                truths.append(case.gradient(run.effect, Differences(), steps)[0])
                began = time.perf_counter()
                found["feature proxy"].append(
                    direction(list(case.inputs), case.positions, case.cotangents, list(case.outputs))
                )
                seconds["feature proxy"] += time.perf_counter() - began
                for name, estimator in others.items():
                    began = time.perf_counter()
                    gradient, calls = case.gradient(run.effect, estimator, steps, seed=options.seed + first)
                    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
                    found.setdefault(name, []).append(gradient)
                    cost.setdefault(name, []).append(calls)
    live = np.isfinite(steps)
    truth = np.concatenate(truths)[:, live]
    rows = []
    for name, parts in found.items():
        angle = cosines(np.concatenate(parts)[:, live], truth)
        rows.append(
            {
                "estimator": name,
                "calls": round(float(np.mean(cost[name])), 2),
                "cosine": round(float(np.nanmean(angle)), 4),
                "median": round(float(np.nanmedian(angle)), 4),
                "least": round(float(np.nanmin(angle)), 4),
                "ms": round(1e3 * seconds[name] / len(truth), 1),
            }
        )
        print(
            f"{run.spec.label}: {name}: {rows[-1]['calls']:.0f} calls, cosine {rows[-1]['cosine']:.3f} in the mean, "
            f"{rows[-1]['median']:.3f} in the median, {rows[-1]['least']:.3f} at the least, "
            f"{rows[-1]['ms']:.0f} ms an example"
        )
    if options.json:
        kept = {"chain": run.spec.label, "minutes": options.minutes, "recordings": len(truth), "seed": options.seed}
        options.json.write_text(json.dumps(kept | {"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
