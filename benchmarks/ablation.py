"""Show what each part of learning brings, at equal time: the default, and the same without one part after the other.

Question: which parts can be left out without a loss on one protocol or the other, in the time there is?

    python benchmarks/ablation.py --audio recordings/ --where type=speech --minutes 10 --keep parts --out parts.json
    python benchmarks/ablation.py --audio recordings/ --variants default --minutes 5 --keep parts --out default.json

Every variant learns a controller for the plugins in the same time, seed and data, and is scored on the split `val`:
what a choice is made by must not be what is reported on. Printed are errors as shares of the input's. Finished
trainings lie in the folder --keep and are not repeated.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.benchmark.methods import load_methods
from blackbox_afx.benchmark.pairs import PROTOCOLS, PairMaker
from blackbox_afx.benchmark.synthetic import run_synthetic
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.networks.controller_file import load_card
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.train.learn import learn
from blackbox_afx.train.recipe import Recipe, Shares
from blackbox_afx.train.versions import versions

WARM = Shares(audio=0.0)
MORE = Shares(audio=0.87)
"""Half of the time goes into the audio stage."""
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no audio stage": {"method": "regression", "shares": WARM},
    "half of the time on the audio stage": {"shares": MORE},
    "an audio stage without rehearsal": {"rehearsal": 0.0},
    "an audio stage on the paper's loss alone": {"reported": 0.0},
    "an audio stage without clipping examples": {"clip_example": 0.0},
    "an audio stage on orthogonal probes": {"method": "orthogonal"},
    "an audio stage on a tangent proxy": {"method": "guided"},
    "an audio stage through autodiff": {"method": "ad"},
    "no pretrained trunk": {"pretrained": False},
    "no mixture of spectra, and so no trunk": {"encoder": "statistics"},
    "with a search through the proxy, and so no trunk": {"controller": "search"},
    "no measured responses": {"shares": Shares(responses=0.0)},
    "no blended examples": {"mix": 0.0},
    "clips as they come": {"spliced": 0.0},
    "no regression": {"regression": 0.0},
    "no foreign styles": {"foreign": 0.0},
    "a fifth in foreign styles": {"foreign": 0.2},
    "no coloured inputs": {"corrupted": 0.0},
}
"""Changes of the recipe. Budgets below three minutes have no audio stage, so that those of it say nothing there."""


def recipe_of(variant: str) -> Recipe:
    """Give a variant's recipe."""
    return msgspec.structs.replace(Recipe(), **VARIANTS[variant])


def trained(options: argparse.Namespace, variant: str) -> Path:
    """Train a variant, unless that was done before."""
    # One of another time or seed is another controller.
    name = "".join(letter if letter.isalnum() else "_" for letter in variant)
    path = options.keep / f"{name}-{options.minutes:g}min-seed{options.seed}.safetensors"
    # One of an earlier default, too, and one from before a field was there.
    # As JSON, of which the card's is: it has no tuples.
    wanted = msgspec.json.decode(msgspec.json.encode(recipe_of(variant)))
    if not path.exists() or load_card(path).recipe != wanted:
        learn(
            [resolve_plugin(name) for name in options.plugins],
            options.audio,
            out=path,
            where=options.where,
            minutes=options.minutes,
            recipe=recipe_of(variant),
            seed=options.seed,
            jobs=options.jobs,
            resume=path.with_name(path.name + ".run").exists(),
            force=path.exists(),
        )
    return path


def scored(options: argparse.Namespace, path: Path) -> dict[str, Any]:
    """Score a controller on the split val under both protocols: shares of the input's error."""
    (method,) = load_methods([path])
    card = method.card
    collection = find_audio(options.audio, where=options.where, purpose="learn", seed=options.seed)
    clips = load_clips(collection, "val", sample_rate=card.sample_rate, max_minutes=120.0, seed=options.seed)
    found: dict[str, Any] = {"chosen": card.scores["chosen"], "plan": card.plan}
    with Farm(options.jobs) as farm:
        for protocol in PROTOCOLS:
            maker = PairMaker(clips, protocol, card.spec, seed=options.seed, segment=card.segment)
            errors = run_synthetic(maker, [method], farm, pairs=options.pairs)
            left = np.nanmean(errors.methods[method.name], 0) / np.nanmean(errors.input, 0)
            found[protocol] = dict(zip(errors.metrics, left.tolist(), strict=True))
    return found


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Lay the variants out as Markdown."""
    metrics = ("stft", "msd", "sce_hz", "rms_db", "lufs_db")
    heads = [f"{protocol} {metric.split('_')[0].upper()}" for protocol in PROTOCOLS for metric in metrics]
    lines = [f"| variant | {' | '.join(heads)} | kept |", "|---" * (len(heads) + 2) + "|"]
    for name, row in rows.items():
        cells = [f"{row[protocol][metric]:.3f}" for protocol in PROTOCOLS for metric in metrics]
        lines.append(f"| {name} | {' | '.join(cells)} | {row['chosen']} |")
    return "\n".join(lines)


def main() -> None:
    """Train and score all variants that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--where")
    parser.add_argument("--plugins", nargs="+", default=["zam_eq2", "zam_comp"])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--pairs", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, required=True, help="folder for the controllers")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {}
    for variant in options.variants:
        rows[variant] = scored(options, trained(options, variant))
        print(table({variant: rows[variant]}).splitlines()[-1], flush=True)
        about = {name: getattr(options, name) for name in ("where", "plugins", "minutes", "pairs", "seed", "jobs")}
        options.out.write_text(json.dumps({**about, "versions": versions(), "variants": rows}, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
