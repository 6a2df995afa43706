"""Compare the farm with a bare loop in one process, on the same renders.

Goal: with 2 workers on 2 free cores, batches of 16 and more renders of 10 ms and more finish at least 1.6 times as
fast as in a loop, and the farm adds less than 15 % to the time its workers are at work.

    python benchmarks/farm.py                       # ZaMultiComp, or built-in effects where it is not installed
    python benchmarks/farm.py --workers 4 --batches 64 256 --json farm.json

``ratio`` is the loop's seconds over the farm's; ``bare`` is the loop's seconds over those of as many processes with
nothing but a loop over their share of the renders, which is what the machine had to give at that time: below 2 on two
cores something else was running. ``overhead`` is the farm's seconds, times the workers, over the seconds that the
workers spent in chunks, less 1: what dispatch, idle waiting and reading results cost. ``audio`` jobs bring their
renders back, ``probe`` jobs one number a render. Rounds of all alternate; medians are printed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import Chain, ChainSpec
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import Job, ProbeJob, RenderJob
from blackbox_afx.plugins.profile import Identity, Profile

RATE = 24000
PLUGIN = "ZaMultiComp"


def chain_spec() -> ChainSpec:
    """Choose a plugin from outside where there is one, else built-in effects."""
    from blackbox_afx.plugins.locate import locate
    from blackbox_afx.plugins.pedalboard import open_vst3

    try:
        plugin = open_vst3(locate(f"{PLUGIN}.vst3", "vst3"))
    except PluginError:
        return ChainSpec(profiles=(builtin_profile("Reverb"), builtin_profile("Phaser")))
    controls = tuple(
        Control(
            name=parameter.name,
            index=parameter.index,
            minimum=0.3,
            maximum=0.7,
            default=0.5,
            plugin_minimum=0,
            plugin_maximum=1,
        )
        for parameter in plugin._parameters
        if parameter.name.startswith(("Attack", "Release", "Ratio", "Threshold", "Makeup"))
    )
    identity = Identity(format="vst3", file=f"{PLUGIN}.vst3", plugin_name=PLUGIN)
    return ChainSpec(profiles=(Profile(name="multicomp", identity=identity, channels=1, controls=controls),))


def timed(chain: Chain, audio: np.ndarray, points: np.ndarray) -> float:
    """Seconds of a bare loop over the points."""
    began = time.perf_counter()
    for point in points:
        chain.render(audio, point, RATE)
    return time.perf_counter() - began


def audio_for(chain: Chain, milliseconds: float) -> np.ndarray:
    """Make noise as long as a render needs to take so many milliseconds."""
    noise = (0.1 * np.random.default_rng(0).standard_normal((1, 5 * RATE))).astype(np.float32)
    points = np.full((6, len(chain.spec.space)), 0.5)
    timed(chain, noise, points)
    cost_ms = min(timed(chain, noise, points[:1]) for _ in range(8)) * 1e3
    return np.resize(noise, (1, int(5 * RATE * milliseconds / cost_ms)))


def jobs_of(kind: str, spec: ChainSpec, audio: np.ndarray, points: np.ndarray, workers: int) -> list[Job]:
    """Word the same renders as jobs."""
    if kind == "audio":
        return [RenderJob(spec=spec, audio=audio, positions=point, sample_rate=RATE) for point in points]
    return [
        ProbeJob(spec=spec, audio=audio, base=points[0], points=part, cotangent=audio, sample_rate=RATE)
        for part in np.array_split(points, workers * 2)
    ]


class Bare:
    """Processes that share renders out beforehand and bring nothing back: as fast as it gets."""

    def __init__(self, workers: int, spec: ChainSpec) -> None:
        context = multiprocessing.get_context("spawn")
        ends = [context.Pipe() for _ in range(workers)]
        self._lines = [mine for mine, _ in ends]
        for _, theirs in ends:
            context.Process(target=_bare_loop, args=(theirs, spec), daemon=True).start()

    def seconds(self, audio: np.ndarray, points: np.ndarray) -> float:
        """Render, after all have their share and say so."""
        for line, part in zip(self._lines, np.array_split(points, len(self._lines)), strict=True):
            line.send((audio, part))
        for line in self._lines:
            line.recv()
        began = time.perf_counter()
        for line in self._lines:
            line.send(None)
        for line in self._lines:
            line.recv()
        return time.perf_counter() - began


def _bare_loop(line: Any, spec: ChainSpec) -> None:
    with spec.open() as chain:
        while True:
            try:
                audio, points = line.recv()
            except EOFError:
                os._exit(0)
            line.send("ready")
            line.recv()
            timed(chain, audio, points)
            line.send("done")


def measure(
    farm: Farm, chain: Chain, bare: Bare, audio: np.ndarray, kind: str, batch: int, rounds: int
) -> dict[str, Any]:
    """Alternate loop, bare processes and farm on one batch size."""
    points = np.random.default_rng(batch).random((batch, len(chain.spec.space)))
    jobs = jobs_of(kind, chain.spec, audio, points, farm.n_jobs)
    farm.run(jobs)
    bare.seconds(audio, points[: 2 * farm.n_jobs])
    loops, farms, bares, overheads = [], [], [], []
    for _ in range(rounds):
        bares.append(bare.seconds(audio, points))
        loops.append(timed(chain, audio, points))
        busy, began = farm.busy_s, time.perf_counter()
        results = farm.run(jobs)
        farms.append(time.perf_counter() - began)
        overheads.append(farms[-1] * farm.n_jobs / (farm.busy_s - busy) - 1)
        assert all(result.ok for result in results)
    ratios = [loop / run for loop, run in zip(loops, farms, strict=True)]
    return {
        "kind": kind,
        "batch": batch,
        "render_ms": round(statistics.median(loops) / batch * 1e3, 1),
        "loop_ms": round(statistics.median(loops) * 1e3, 1),
        "farm_ms": round(statistics.median(farms) * 1e3, 1),
        "ratio": round(statistics.median(ratios), 2),
        "bare": round(statistics.median(loop / run for loop, run in zip(loops, bares, strict=True)), 2),
        "best": round(max(ratios), 2),
        "overhead": round(statistics.median(overheads), 3),
    }


def main() -> None:
    """Run the comparison and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--milliseconds", type=float, nargs="+", default=[10.0, 30.0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    spec = chain_spec()
    rows = []
    print(f"{spec.label}, {options.workers} workers, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    titles = ("kind", "batch", "render ms", "loop ms", "farm ms", "ratio", "bare", "best", "overhead")
    print("{:6} {:>5} {:>9} {:>8} {:>8} {:>6} {:>6} {:>6} {:>9}".format(*titles))
    bare = Bare(options.workers, spec)
    with spec.open() as chain, Farm(n_jobs=options.workers) as farm:
        for milliseconds in options.milliseconds:
            audio = audio_for(chain, milliseconds)
            for kind in ("audio", "probe"):
                for batch in options.batches:
                    row = measure(farm, chain, bare, audio, kind, batch, options.rounds)
                    rows.append(row)
                    print(
                        f"{kind:6} {batch:5} {row['render_ms']:9} {row['loop_ms']:8} {row['farm_ms']:8} "
                        f"{row['ratio']:6} {row['bare']:6} {row['best']:6} {row['overhead']:9.1%}",
                        flush=True,
                    )
    if options.json:
        options.json.write_text(json.dumps({"workers": options.workers, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
