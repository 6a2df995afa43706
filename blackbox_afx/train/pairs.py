"""Self-made training pairs: the chain at random settings makes targets whose controls are known.

Runs in render workers, so nothing here imports torch. A clip's two halves go through the same settings; either half may
then be the input, with the other half's render as its reference.

Conventions: S numbers a recording (`statistics`), K settings a clip, P controls.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_afx.data.corruptions import corrupt_input, corrupt_target
from blackbox_afx.data.segments import ClipSampler
from blackbox_afx.errors import PluginError
from blackbox_afx.features.statistics import DIMENSION, statistics
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.train.clip_book import read_clip_book


def make_pairs(
    worker: Any,
    spec: ChainSpec,
    book: str,
    seed: int,
    clips: int,
    settings: int,
    segment: int,
    corrupted: float,
) -> dict[str, np.ndarray]:
    """Make training pairs of some clips.

    Parameters
    ----------
    worker : farm worker
        Gives the chain, loaded and cached.
    spec : ChainSpec
    book : str
        Clip book to draw from.
    seed : int
        Decides everything that is drawn.
    clips, settings : int
        Clips to draw, and settings to render each with.
    segment : int
        Samples of a half.
    corrupted : float, 0 to 1
        Share of inputs that went through other effects first.

    Returns
    -------
    dict
        ``dry`` float16 [clips, 2, S]: both halves as they go into the chain;
        ``values`` float32 [clips, K, P]: positions;
        ``wet`` float16 [clips, K, 2, S]: both halves as they come out;
        ``other`` float16 [clips, 2, S]: both halves through other effects, a style that is not of this chain;
        ``valid`` bool [clips, K]: False where a render failed.
    """
    rng = np.random.default_rng(seed)
    source = read_clip_book(book)
    rate = source.sample_rate
    sampler = ClipSampler(rng, source, segment, min(segment // 2, 32768))
    chain, space = worker.chain(spec), spec.space
    made = {
        "dry": np.zeros((clips, 2, DIMENSION), np.float16),
        "values": np.zeros((clips, settings, len(space)), np.float32),
        "wet": np.zeros((clips, settings, 2, DIMENSION), np.float16),
        "other": np.zeros((clips, 2, DIMENSION), np.float16),
        "valid": np.ones((clips, settings), bool),
    }
    for c in range(clips):
        clean = sampler.draw()
        # Both halves get the same treatment at one go, so that levels between them stay true.
        whole, half = np.concatenate(clean), len(clean[0])
        source_whole = corrupt_input(rng, whole, rate) if rng.random() < corrupted else whole
        styled = corrupt_target(rng, whole, rate)
        made["other"][c] = [statistics(part, rate) for part in (styled[:half], styled[half:])]
        halves = source_whole[:half], source_whole[half:]
        made["dry"][c] = [statistics(part, rate) for part in halves]
        for k in range(settings):
            positions = space.snap(rng.random(len(space)))
            made["values"][c, k] = positions
            try:
                wet = [chain.render(np.ascontiguousarray(part)[None], positions, rate)[0] for part in halves]
                made["wet"][c, k] = [statistics(part, rate) for part in wet]
            except PluginError:
                made["valid"][c, k] = False
    return made


def make_audio_pair(
    worker: Any, spec: ChainSpec, book: str, seed: int, segment: int, hear: bool
) -> dict[str, np.ndarray]:
    """Make one training pair with its audio; runs in a render worker.

    Returns
    -------
    dict
        ``input`` and ``target`` float32 [segment] (both zero-padded), ``values`` float64 [controls]; ``source`` and
        ``reference``: statistics where `hear`, else the audio itself.
    """
    rng = np.random.default_rng(seed)
    clips = read_clip_book(book)
    first, second = ClipSampler(rng, clips, segment, min(segment // 2, 32768)).draw()
    values = spec.space.snap(rng.random(len(spec.space)))
    chain, rate = worker.chain(spec), clips.sample_rate
    target, reference = (chain.render(np.ascontiguousarray(half)[None], values, rate)[0] for half in (first, second))
    heard = [statistics(part, rate) if hear else _padded(part, segment) for part in (first, reference)]
    return {
        "input": _padded(first, segment),
        "target": _padded(target, segment),
        "values": values,
        "source": heard[0],
        "reference": heard[1],
    }


def _padded(audio: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(np.asarray(audio, np.float32)[:samples], (0, max(0, samples - len(audio))))
