"""Read one example in a render worker: impulses at its setting, and what the loss asks of its sound.

Runs in render workers, so nothing here imports torch.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from blackbox_afx.features.filters import linear_part
from blackbox_afx.features.reading import Reading, read
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.train.impulses import measure_impulses, plugin_places


def read_example(
    worker: Any,
    spec: ChainSpec,
    base: np.ndarray,
    steps: np.ndarray,
    rate: int,
    audio: np.ndarray,
    output: np.ndarray,
    cotangent: np.ndarray,
) -> Reading:
    """Read an example, with what impulses at its setting tell of its derivative.

    Parameters
    ----------
    worker : Worker
    spec : ChainSpec
    base : float64 [P]
        Positions.
    steps : float [P]
        How far each control is turned; NaN: not turned.
    rate : int
        Hertz.
    audio, output : float32 [channels, samples]
    cotangent : float [channels, samples]

    Raises
    ------
    PluginError
        An impulse's render was not sound.
    """
    audio, output, cotangent = (worker.audio(sound) for sound in (audio, output, cotangent))
    found = measure_impulses(worker, spec, base, steps, rate)
    linear = linear_part(found.here[plugin_places(spec)], found.change, output, cotangent)
    return msgspec.structs.replace(read(audio, output, cotangent, rate), linear=linear)
