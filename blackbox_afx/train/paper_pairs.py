"""Training pairs of the 2022 paper: other effects colour input and target, so that no setting of the chain is known.

Runs in render workers, so nothing here imports torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_afx.data.corruptions import corrupt_input, corrupt_target
from blackbox_afx.data.segments import ClipSampler
from blackbox_afx.features.hearing import Hears, hear
from blackbox_afx.train.clip_book import read_clip_book
from blackbox_afx.train.pairs import shortest_half

MAX_CENTS = 200.0
"""Half of the clips are played faster or slower by up to this much."""


def make_paper_pair(
    worker: Any, book: str, seed: int, segment: int, hears: Hears, spliced: float = 0.0
) -> dict[str, np.ndarray]:
    """Make one training pair.

    Parameters
    ----------
    worker, book, seed, segment, hears, spliced
        As in `blackbox_afx.train.pairs.make_pairs`.

    Returns
    -------
    dict
        ``input`` and ``target`` float32 [T] (both zero-padded); ``source`` and ``reference``: what the encoder hears.

    Notes
    -----
    Compressor and expander are quicker ones than those of `paper_pair`, which benchmarks use.
    """
    rng = np.random.default_rng(seed)
    clips = read_clip_book(book)
    rate = clips.sample_rate
    sampler = ClipSampler(rng, clips, segment, shortest_half(segment), max_cents=MAX_CENTS, spliced=spliced)
    first, second = sampler.draw()
    # Both halves at one go, so that filters and envelopes have no seam.
    whole, half = np.concatenate((first, second)), len(first)
    source = corrupt_input(rng, whole, rate, quick=True)
    styled = corrupt_target(rng, whole, rate, quick=True)
    sides = [(source[:half], styled[:half], styled[half:]), (source[half:], styled[half:], styled[:half])]
    dry, target, reference = sides[int(rng.integers(2))]
    heard = [hear(hears, part, rate, segment) for part in (dry, reference)]
    pad = [(0, max(0, segment - half))]
    return {
        "input": np.pad(np.asarray(dry, np.float32), pad),
        "target": np.pad(np.asarray(target, np.float32), pad),
        "source": heard[0],
        "reference": heard[1],
    }
