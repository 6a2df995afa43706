"""Render one VST3 in both hosts, in a process of its own, and print how they differ as JSON.

Run as ``python two_hosts.py NAME``. Each host ends the plugin's module on its own when it lets go of the last
instance, which pulls it from under the other host: no test process may hold a VST3 in both.
"""

from __future__ import annotations

import json
import os
import sys

import numpy as np
from test_pedalboard import RATE, noise, zam

from blackbox_afx.plugins.dawdreamer import DawDreamerHost
from blackbox_afx.plugins.pedalboard import PedalboardHost
from blackbox_afx.testing.hosts import check_host


def compare(name: str) -> dict[str, float]:
    """Give the largest differences in samples: fixed values, lanes by block size, a preset taken over; latency."""
    profile = zam(name)
    rng = np.random.default_rng(2)
    audio = noise(profile.channels)
    ours, theirs = PedalboardHost().load(profile), DawDreamerHost().load(profile)
    values = rng.uniform(0.2, 0.5, len(profile.active))
    wanted = ours.render(audio, values, RATE)
    preset = ours.state()
    found = {
        "peak": np.abs(wanted).max(),
        "fixed": np.abs(theirs.render(audio, values, RATE) - wanted).max(),
        "latency": abs(ours.latency(RATE) - theirs.latency(RATE)),
    }
    for block_size in (64, 256, 1024):
        lanes = rng.uniform(0.25, 0.35, (-(-audio.shape[1] // block_size), len(profile.active)))
        got = ours.render(audio, lanes, RATE, block_size=block_size)
        found[f"lanes {block_size}"] = np.abs(got - theirs.render(audio, lanes, RATE, block_size=block_size)).max()
    theirs.restore(preset)
    found["preset"] = np.abs(theirs.render(audio, None, RATE) - wanted).max()
    theirs.close()
    return {key: float(number) for key, number in found.items()}


if __name__ == "__main__":
    if sys.argv[1] == "check":
        check_host(DawDreamerHost(), zam(sys.argv[2]), seconds=0.2)
        print("{}")
    else:
        print(json.dumps(compare(sys.argv[1])))
    sys.stdout.flush()
    os._exit(0)
