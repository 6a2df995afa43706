"""Show how steady learning by SPSA is: the same training with several seeds, at several learning rates.

Claim: one random direction an example, the 2022 paper's SPSA, gives a controller that depends on the seed at the rate
that autodiff learns at, and has learned next to nothing at the paper's; a proxy's direction (np_fh) cures both.

    python benchmarks/spsa_stability.py --audio recordings/ --where type=speech --out spsa.json
    python benchmarks/spsa_stability.py --audio recordings/ --plugins channel_strip --runs spsa@1e-5 orthogonal@5e-4

Each run is the recipe `small_spsa` for some minutes, the same for all, without averaging of weights and without a warm
start, from the same first weights a seed for every method and rate. The proxies of `np_fh` ship, and their training is
not counted. What is printed is the geometric mean of the held-out errors over the input's (STFT, MSD, SCE, RMS, LUFS;
below 1 is better than doing nothing): mean, deviation, best and worst over the seeds. `examples` is what was planned:
the clock may cut the last. A finished run is kept in the JSON and not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

import msgspec

from blackbox_afx import shelf
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.train.learn import learn
from blackbox_afx.train.recipe import load_recipe
from blackbox_afx.train.versions import versions


def one_run(options: argparse.Namespace, method: str, rate: float, seed: int) -> dict[str, float]:
    """Train once; the held-out ratios of the last weights."""
    recipe = msgspec.structs.replace(
        load_recipe(shelf.find("train", "small_spsa")),
        method=method,
        audio_rate=rate,
        average=0.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        made = learn(
            [resolve_plugin(name) for name in options.plugins],
            options.audio,
            out=Path(folder) / "controller.safetensors",
            where=options.where,
            minutes=options.minutes,
            recipe=recipe,
            seed=seed,
            jobs=options.jobs,
        )
    score = made.scores["audio"]
    return {
        "total": score.total,
        "examples": made.card.plan["audio_steps"] * made.card.plan["audio_batch"],
        **score.ratio,
    }


def table(rows: dict[str, dict[str, dict[str, float]]], minutes: float) -> str:
    """Lay the runs out as Markdown."""
    lines = [
        f"{minutes:g} minutes a run; geometric mean of five held-out errors over the input's:",
        "",
        "| run | seeds | examples | mean | deviation | best | worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, seeds in rows.items():
        totals = [row["total"] for row in seeds.values()]
        examples = statistics.mean(row["examples"] for row in seeds.values())
        deviation = statistics.stdev(totals) if len(totals) > 1 else float("nan")
        lines.append(
            f"| {name} | {len(totals)} | {examples:.0f} | {statistics.mean(totals):.3f} | {deviation:.3f} | "
            f"{min(totals):.3f} | {max(totals):.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Train what is missing in the JSON, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--where", default=None)
    parser.add_argument("--plugins", nargs="+", default=["zam_eq2", "zam_comp"])
    parser.add_argument("--runs", nargs="+", default=["spsa@1e-5", "spsa@5e-4", "orthogonal@5e-4", "np_fh@5e-4"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    kept = json.loads(options.out.read_text()) if options.out.exists() else {"runs": {}}
    about = {
        "plugins": options.plugins,
        "where": options.where,
        "minutes": options.minutes,
        "jobs": options.jobs,
        "versions": versions(),
    }
    if kept.setdefault("about", about) != about:
        parser.error(f"{options.out} holds runs of {kept['about']}; give another --out")
    for seed in range(options.seeds):
        for name in options.runs:
            if str(seed) in kept["runs"].get(name, {}):
                continue
            method, _, rate = name.partition("@")
            kept["runs"].setdefault(name, {})[str(seed)] = one_run(options, method, float(rate), seed)
            beside = options.out.with_name(options.out.name + ".part")
            beside.write_text(json.dumps(kept, indent=1))
            os.replace(beside, options.out)
            print(f"{name}, seed {seed}: {kept['runs'][name][str(seed)]['total']:.3f}", flush=True)
    print(table(kept["runs"], options.minutes))


if __name__ == "__main__":
    main()
