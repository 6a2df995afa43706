"""Measure how long `afx transfer` takes against the length of the recording, listening and encoder included.

Claim: a stereo recording of a minute or more at 44.1 kHz takes less than 0.02 of its length on a CPU, and memory does
not grow with the length.

    python benchmarks/transfer.py                              # zam_eq2 > zam_comp, or the built-in channel strip
    python benchmarks/transfer.py --controller voice.safetensors --seconds 60 3600 --json transfer.json

The network's size decides its speed, not what it learned: without ``--controller`` the weights are random.
``listening`` reads input and reference and measures their stretches, ``network`` encodes them and predicts, ``rest`` is
the check of the plugins, a worker's start, the render and writing the files. ``factor`` is all of it over the
recording's length; a worker starts meanwhile, which takes
as long for a short recording as for a long one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from blackbox_afx.errors import AfxError
from blackbox_afx.networks.controller_file import ControllerCard, save_controller
from blackbox_afx.networks.style import make_style_network
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.plugins.resolve import check_installed, resolve_plugin
from blackbox_afx.transfer.style_controller import StyleController

RATE = 44100
GOAL = 0.02


def chain() -> tuple[Profile, ...]:
    """Choose plugins from outside where they are installed, else the built-in channel strip."""
    try:
        profiles = tuple(resolve_plugin(name) for name in ("zam_eq2", "zam_comp"))
        for profile in profiles:
            check_installed(profile)
    except AfxError:
        return (resolve_plugin("builtin:ChannelStrip"),)
    return profiles


def random_controller(folder: Path, encoder: str) -> Path:
    """Write a controller that has learned nothing."""
    profiles = chain()
    network = {"encoder": encoder, "controller": "residual" if encoder == "statistics" else "paper"}
    made = make_style_network(controls=sum(len(profile.active) for profile in profiles), **network)
    card = ControllerCard(
        profiles=profiles,
        network=network,
        sample_rate=24000,
        segment=65536,
        input_peak_dbfs=-12.0,
        method="none",
        seed=0,
        minutes=0.0,
    )
    save_controller(folder / "random.safetensors", made, card)
    return folder / "random.safetensors"


def recording(path: Path, seconds: float) -> Path:
    """Write stereo noise with syllables, 16 bit."""
    rng = np.random.default_rng(0)
    swell = 0.05 + np.square(np.sin(2 * np.pi * 1.7 * np.arange(10 * RATE) / RATE))
    part = (0.1 * rng.standard_normal((10 * RATE, 2)) * swell[:, None]).astype(np.float32)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        left = round(seconds * RATE)
        while left > 0:
            file.write(part[:left])
            left -= len(part)
    return path


def measure(controller: StyleController, source: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Transfer a few times and take medians."""
    reference = source.with_name("reference.wav")
    listening, network, whole = [], [], []
    for _ in range(rounds):
        began = time.perf_counter()
        heard = [controller.hear(path) for path in (source, reference)]
        listening.append(time.perf_counter() - began)
        began = time.perf_counter()
        controller.predict(heard[0], heard[1:])
        network.append(time.perf_counter() - began)
        began = time.perf_counter()
        controller.transfer(source, reference, out=source.with_name("out.wav"), force=True)
        whole.append(time.perf_counter() - began)
    parts = [statistics.median(times) for times in (listening, network, whole)]
    return {
        "seconds": seconds,
        "listening_s": round(parts[0], 3),
        "network_s": round(parts[1], 3),
        "rest_s": round(parts[2] - parts[0] - parts[1], 3),
        "whole_s": round(parts[2], 3),
        "factor": round(parts[2] / seconds, 5),
        "best": round(min(whole) / seconds, 5),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--controller", type=Path)
    parser.add_argument("--encoder", default="statistics", help="of the random controller")
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 180.0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        controller = StyleController.load(options.controller or random_controller(folder, options.encoder))
        recording(folder / "reference.wav", 10.0)
        label, encoder = controller.spec.label, controller.card.network.get("encoder")
        print(f"{label}, encoder {encoder}, 44.1 kHz stereo, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        titles = ("length s", "listening", "network", "rest", "whole s", "factor", "best", "peak MB")
        print(" ".join(f"{title:>9}" for title in titles))
        for seconds in options.seconds:
            row = measure(controller, recording(folder / "in.wav", seconds), seconds, options.rounds)
            rows.append(row)
            print(" ".join(f"{value:>9}" for value in row.values()), flush=True)
    kept = all(row["factor"] < GOAL for row in rows if row["seconds"] >= 60)
    print(f"factor below {GOAL}: {'yes' if kept else 'no'}")
    if options.json:
        content = {"chain": label, "encoder": encoder, "sample_rate": RATE, "channels": 2, "rows": rows}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
