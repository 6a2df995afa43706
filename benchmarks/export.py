"""Claim: exporting a five-minute stereo file with 24 lanes takes less than 5 s beyond rendering it.

What is timed is all that comes after the render: thinning 24 trajectories of 20 values a second, building the session
(parameter tables read from the binaries), writing its JSON, and every export that is installed, recordings copied.

$ python benchmarks/export.py            # prints a table; leaves with 1 where the claim does not hold
$ python benchmarks/export.py --json

Needs zam-plugins for the real parameter tables (Debian: apt-get install zam-plugins).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from blackbox_afx.audio import AudioWriter
from blackbox_afx.errors import AfxError, UsageError
from blackbox_afx.export import EXPORTERS, export
from blackbox_afx.export.build import build_session, chain_facts
from blackbox_afx.export.thin import thin_trajectory
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import Identity, Profile
from blackbox_afx.plugins.trajectory import Trajectory
from blackbox_afx.plugins.vst3 import read_vst3
from blackbox_afx.session import write_session

LIMIT_S = 5.0
MINUTES = 5
LANES = 24
RATE = 48000
EVERY_S = 0.05


def profile_of(file: str, channels: int) -> Profile:
    """Make a profile of every automatable, continuous parameter of a VST3."""
    entry = read_vst3(file)[0]
    controls = tuple(
        Control(
            name=row.title,
            index=row.index,
            param_id=row.param_id,
            unit=row.units,
            minimum=row.plain_minimum,
            maximum=row.plain_maximum,
            default=row.plain_minimum,
            plugin_minimum=row.plain_minimum,
            plugin_maximum=row.plain_maximum,
        )
        for row in entry.parameters
        if row.automatable and not row.readonly and not row.program and not row.steps
    )
    identity = Identity(format="vst3", file=file, plugin_name=entry.name, class_id=entry.class_id, vendor=entry.vendor)
    return Profile(name=entry.name, identity=identity, channels=channels, controls=controls)


def trajectory_of(controls: int, seconds: float) -> Trajectory:
    """Move `LANES` controls as a controller does: slowly, with a little jitter."""
    rng = np.random.default_rng(0)
    times = np.arange(0, seconds, EVERY_S)
    raw = np.full((len(times), controls), 0.5)
    phase, speed = rng.uniform(0, 6.28, LANES), rng.uniform(0.05, 0.5, LANES)
    raw[:, :LANES] += 0.2 * np.sin(2 * np.pi * times[:, None] * speed + phase)
    raw[:, :LANES] += 0.0005 * rng.standard_normal((len(times), LANES))
    return Trajectory(times=times, raw=raw)


def write_noise(path: Path, seconds: int) -> None:
    """Write stereo noise, a second at a time."""
    rng = np.random.default_rng(0)
    with AudioWriter(path, RATE, 2, subtype="PCM_24") as writer:
        for _ in range(seconds):
            writer.write((0.1 * rng.standard_normal((2, RATE))).astype(np.float32))


def measure(folder: Path) -> dict[str, float]:
    """Time each step, in seconds."""
    seconds = MINUTES * 60
    for name in ("input.wav", "render.wav"):
        write_noise(folder / name, seconds)
    spec = ChainSpec(
        profiles=(profile_of("/usr/lib/vst3/ZaMultiCompX2.vst3", 2), profile_of("/usr/lib/vst3/ZamCompX2.vst3", 2))
    )
    if len(spec.space) < LANES:
        raise UsageError(f"{spec.label} has {len(spec.space)} controls, expected at least {LANES}")
    trajectory = trajectory_of(len(spec.space), seconds)
    times: dict[str, float] = {}

    def step(name: str, began: float) -> float:
        now = time.perf_counter()
        times[name] = now - began
        return now

    now = time.perf_counter()
    lanes = thin_trajectory(trajectory, seconds)
    now = step("thin", now)
    with spec.open() as chain:
        facts = chain_facts(chain, lanes.start, RATE, 2)
    now = step("states", now)
    session = build_session(spec, lanes, facts, source=folder / "input.wav", render=folder / "render.wav")
    now = step("build", now)
    write_session(session, folder / "song.session.json")
    now = step("session.json", now)
    for name in EXPORTERS:
        try:
            export(session, name, folder / name / "song")
        except ModuleNotFoundError:
            continue
        except UsageError as error:
            print(f"{name}: {error}", file=sys.stderr)
        finally:
            now = step(name, now)
    print(f"points {lanes.points_after} of {lanes.points_before} in {LANES} lanes", file=sys.stderr)
    return times


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = measure(Path(folder))
    before = sum(times[name] for name in ("thin", "states", "build", "session.json"))
    slowest = max((seconds for name, seconds in times.items() if name in EXPORTERS), default=0.0)
    total = before + slowest
    if arguments.json:
        print(json.dumps({"seconds": times, "total": total, "limit": LIMIT_S, "machine": platform.processor()}))
    else:
        for name, seconds in times.items():
            print(f"{name:<14}{seconds:8.3f} s")
        print(f"{'all + slowest':<14}{total:8.3f} s   (claim: below {LIMIT_S:g} s)")
    return 0 if total < LIMIT_S else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AfxError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
