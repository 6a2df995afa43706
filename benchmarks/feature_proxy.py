"""How near the feature proxy comes to what a chain makes of recordings that it never heard.

Question: what does it bring to foretell levels from the measured response, and to judge the proxy by what is heard?

    python benchmarks/feature_proxy.py --audio recordings/ --where type=speech
    python benchmarks/feature_proxy.py --audio recordings/ --plugins zam_eq2 builtin:Distortion --minutes 5

Pairs and responses are made as `afx learn` makes them in so many minutes; then each variant learns from them in equally
many steps. Scored are statistics of recordings of the split `val` at random settings: the sound distance between what
the proxy says and what the chain does, and its parts in dB (centroid: octaves).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from blackbox_afx.benchmark.pairs import PairMaker
from blackbox_afx.features.statistics import statistics
from blackbox_afx.losses.sound import SoundDistance
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.proxies.feature_proxy import HEARD_SHARE, FeatureProxy
from blackbox_afx.train.judge import Judge
from blackbox_afx.train.learn import Run
from blackbox_afx.train.loop import Stage, run_stage
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.run_folder import RunFolder
from blackbox_afx.train.stages import PROXY_AVERAGE, response_stage
from blackbox_afx.train.warm_start import Examples, fit_proxy, proxy_loss

VARIANTS = {
    "as it is": (True, HEARD_SHARE),
    "levels left to the network": (False, HEARD_SHARE),
    "every number counts alike": (True, 0.0),
    "neither": (False, 0.0),
}
PARTS = ("stft", "mel", "rms", "loudness", "centroid")


def train(run: Run, examples: Examples, proxy: FeatureProxy, folder: Path, steps: int, heard: float) -> None:
    """Train a proxy that was told the response, in place."""
    loss = proxy_loss(proxy, examples, run.seed, run.recipe.batch, heard)
    stage = Stage(name="proxy", steps=steps, learning_rate=run.recipe.proxy_rate, average=PROXY_AVERAGE)
    run_stage(stage, proxy, loss, seed=run.seed, folder=RunFolder(folder), clock=run.clock)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--where", default=None)
    parser.add_argument("--plugins", nargs="+", default=["zam_eq2", "zam_comp"])
    parser.add_argument("--minutes", type=float, default=10.0, help="of a run whose pairs and steps are taken")
    parser.add_argument("--pairs", type=int, default=300, help="recordings that are scored")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            [resolve_plugin(name) for name in options.plugins],
            options.audio,
            out=Path(folder) / "controller.safetensors",
            where=options.where,
            minutes=options.minutes,
            recipe=Recipe(held_out=4),
            seed=options.seed,
            jobs=options.jobs,
            warn=print,
        )
        with run.farm:
            book, held_out, _ = run.material.books(options.audio, options.where)
            judge = Judge(run.effect, held_out, pairs=4, segment=65536, seed=options.seed, network=run.network)
            plan = run.plan(book, judge)
            examples = run.material.pairs(plan, book, run.clock, run.reserve_after_pairs(), run.tick)
            told = FeatureProxy(len(run.spec.space))
            if plan.responses:
                response_stage(run, told).run(plan.responses)
            maker = PairMaker(held_out, "self", run.spec, seed=options.seed, segment=65536)
            pairs = maker.draw(run.farm, 0, options.pairs)
        # All learn as long, however many there are.
        run.clock.budget_s = float("inf")
        rate = run.recipe.sample_rate
        dry, wet = (
            torch.from_numpy(np.stack([statistics(getattr(pair, side), rate) for pair in pairs]))
            for side in ("source", "target")
        )
        positions = torch.from_numpy(np.stack([pair.positions for pair in pairs if pair.positions is not None])).float()
        print(f"{run.spec.label}: {len(examples.index)} examples, {plan.responses} responses, {plan.proxy_steps} steps")
        for name, (levels, heard) in VARIANTS.items():
            torch.manual_seed(options.seed)
            proxy = FeatureProxy(len(run.spec.space), levels=levels)
            proxy.take_response(told.response)
            fit_proxy(proxy, examples, options.seed)
            train(run, examples, proxy, Path(folder) / name, plan.proxy_steps, heard)
            distance = SoundDistance()
            with torch.no_grad():
                said = proxy(dry, positions)
                parts = distance.parts(said, wet)
                row = {"distance": float(distance(said, wet).mean())} | {k: float(parts[k].mean()) for k in PARTS}
            rows.append({"variant": name} | {k: round(value, 3) for k, value in row.items()})
            print(f"{name}: " + ", ".join(f"{k} {value:.3f}" for k, value in row.items()), flush=True)
    if options.json:
        kept = {"chain": run.spec.label, "examples": len(examples.index), "steps": plan.proxy_steps}
        kept |= {"responses": plan.responses, "pairs": len(pairs), "seed": options.seed}
        options.json.write_text(json.dumps(kept | {"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
