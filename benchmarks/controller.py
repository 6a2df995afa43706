"""Measure how long a controller thinks: features of input and reference, then its networks, on one thread.

Claim: less than 50 ms for 5.5 s of input and as much of the reference, a hundredth of the audio's length.

    python benchmarks/controller.py --controller zam_speech channel_strip_speech --json controller.json

``encoder`` is the features of both recordings, ``controller`` the network and, where it searches, its search.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from blackbox_afx import shelf
from blackbox_afx.benchmark.methods import load_methods

SECONDS = 131072 / 24000
GOAL_S = 0.05


def measure(name: str, repeats: int) -> dict[str, float]:
    """Time one controller; medians of seconds."""
    (method,) = load_methods([shelf.find("controllers", name)])
    network, card = method.network, method.card
    rng = np.random.default_rng(0)
    audio = [(0.1 * rng.standard_normal(round(SECONDS * card.sample_rate))).astype(np.float32) for _ in range(2)]
    encoder, controller = [], []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        heard = [network.prepare(side, card.sample_rate)[None] for side in audio]
        between = time.perf_counter()
        network.positions(*heard)
        encoder.append(between - began)
        controller.append(time.perf_counter() - between)
    # The first builds tables.
    row = {"encoder_s": statistics.median(encoder[1:]), "controller_s": statistics.median(controller[1:])}
    total = sum(row.values())
    return {**row, "total_s": total, "share": total / SECONDS}


def main() -> None:
    """Time controllers and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--controller", nargs="+", default=["channel_strip_speech"])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {name: measure(name, options.repeats) for name in options.controller}
    print(f"{'controller':28} {'encoder':>10} {'controller':>12} {'both':>10} {'of the audio':>14}")
    for name, row in rows.items():
        ms = [1e3 * row[key] for key in ("encoder_s", "controller_s", "total_s")]
        verdict = "ok" if row["total_s"] < GOAL_S else "MISSED"
        print(f"{name:28} {ms[0]:7.1f} ms {ms[1]:9.1f} ms {ms[2]:7.1f} ms {row['share']:13.4f}  {verdict}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
