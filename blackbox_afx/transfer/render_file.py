"""Render a whole file through a chain in bounded memory; runs in a farm worker, so that a crash harms nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.audio import AudioWriter, info, peak_dbfs, stream
from blackbox_afx.plugins.chain import ChainSpec

BLOCK = 1 << 16


def render_file(
    worker: Any, spec: ChainSpec, raw: np.ndarray, source: str, out: str, trim_db: float = 0.0, tail_s: float = 0.0
) -> dict[str, Any]:
    """Render a file at its own rate, channels and bit depth.

    Parameters
    ----------
    worker : farm worker
        Gives the chain, loaded and cached.
    spec : ChainSpec
    raw : float64 [controls]
        Raw values.
    source, out : str
        Paths; `out` is not there yet.
    trim_db : float
        Gain before the first plugin, dB.
    tail_s : float
        Seconds of silence after the end, for delays and reverbs to ring out.

    Returns
    -------
    dict
        ``peak_dbfs``, ``clipped`` (samples beyond full scale), ``subtype`` (of the file written), ``states`` (the
        plugins' states after the render, or None), ``latency`` (samples, compensated).
    """
    about = info(source)
    gain = np.float32(10 ** (trim_db / 20))
    chain = worker.chain(spec)

    def blocks() -> Iterator[np.ndarray]:
        for block in stream(source, BLOCK):
            yield block * gain
        left = round(tail_s * about.sample_rate)
        while left > 0:
            yield np.zeros((about.channels, min(left, BLOCK)), np.float32)
            left -= BLOCK

    peak = -np.inf
    with AudioWriter(Path(out), about.sample_rate, about.channels, like=about) as writer:
        for block in chain.stream(blocks(), raw, about.sample_rate):
            peak = max(peak, peak_dbfs(block))
            writer.write(block)
    return {
        "peak_dbfs": float(peak),
        "clipped": writer.clipped,
        "subtype": writer.subtype,
        "states": chain.states(),
        "latency": chain.latency(about.sample_rate),
    }
