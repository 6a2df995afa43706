"""Render a chain with automation in DawDreamer, in a process of its own: `python dawdreamer_oracle.py IN.npz OUT.npy`.

Beside pedalboard in one process, the second chain in DawDreamer now and then ends the process.
"""

from __future__ import annotations

import sys

import dawdreamer
import numpy as np


def main(source: str, target: str) -> None:
    case = np.load(source)
    audio, rate, block_size = case["audio"], int(case["rate"]), int(case["block_size"])
    engine = dawdreamer.RenderEngine(rate, block_size)
    graph, before, column = [(engine.make_playback_processor("in", audio), [])], "in", 0
    for name, count in zip(case["names"], case["counts"], strict=True):
        processor = engine.make_plugin_processor(str(name), f"/usr/lib/vst3/{name}.vst3")
        for index in case["indices"][column : column + count]:
            # Audio rate, of which DawDreamer takes the value at each block's first sample.
            processor.set_automation(int(index), np.ascontiguousarray(case["curves"][:, column], np.float32))
            column += 1
        graph.append((processor, [before]))
        before = str(name)
    engine.load_graph(graph)
    engine.render(audio.shape[1] / rate)
    np.save(target, engine.get_audio())


if __name__ == "__main__":
    main(*sys.argv[1:])
