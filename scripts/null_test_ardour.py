"""Play a session in a real Ardour and compare it, sample by sample, with our own render.

Example
-------
$ python scripts/null_test_ardour.py song.session.json
ardour 7: 288137 samples, 1 start
against our render on Ardour's block grid   -146.1 dB
against the render in the session            -41.0 dB   (another block grid: moving lanes differ there)

Needs Ardour 7 or later with its export tool (Debian: apt-get install ardour) and the session's plugins.
Leaves with 0 where the first figure is below --limit, else 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from blackbox_afx.audio import read_audio
from blackbox_afx.errors import AfxError
from blackbox_afx.export import export
from blackbox_afx.export.reopen import reopen
from blackbox_afx.export.thin import difference_db
from blackbox_afx.plugins.locate import locate
from blackbox_afx.session import read_session
from blackbox_afx.testing.ardour import ArdourBench, render_on_grid


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="play a session in a real Ardour and compare it with our own render")
    parser.add_argument("session", type=Path, help="NAME.session.json")
    parser.add_argument("--limit", type=float, default=-70.0, help="largest difference, dB (default: %(default)g)")
    parser.add_argument("--latency", choices=("shift", "none"), default="shift")
    parser.add_argument("--keep", type=Path, help="write the Ardour session here and keep it")
    arguments = parser.parse_args()
    session = read_session(arguments.session)
    track = session.live[0]
    clip = track.clips[0]
    audio, sample_rate = read_audio(session.resolve(clip))
    trimmed = audio * np.float32(10 ** (clip.gain_db / 20))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bench = ArdourBench(folder / "bench")
        bench.scan(locate(plugin.file, "vst3") for plugin in track.plugins if plugin.format == "vst3")
        made = export(session, "ardour", arguments.keep or folder / "session", latency=arguments.latency)
        for warning in made.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        frames = round(session.length_s * session.sample_rate)
        played = bench.export(made.path, frames, dry=np.pad(trimmed, ((0, 0), (0, frames - trimmed.shape[1]))))
        starts = "1 start" if played.tries == 1 else f"{played.tries} starts"
        print(f"ardour {bench.tools.version}: {frames} samples, {starts}")
        sides = played.audio[: len(trimmed), : trimmed.shape[1]]
        spec, trajectory = reopen(track, folder)
        ours = render_on_grid(spec, trimmed, trajectory, sample_rate)
        error = difference_db(sides, ours)
        print(f"against our render on Ardour's block grid  {error:7.1f} dB")
        for other in session.tracks:
            if other.role == "render" and other.clips:
                render, _ = read_audio(session.resolve(other.clips[0]))
                there = difference_db(sides, render[:, : sides.shape[1]])
                moving = any(plugin.lanes for plugin in track.plugins)
                why = "   (another block grid: moving lanes differ there)" if moving else ""
                print(f"against the render in the session          {there:7.1f} dB{why}")
    return 0 if error < arguments.limit else 1


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        sys.exit(main())
    except AfxError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
