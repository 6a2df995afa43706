"""Self-made training pairs: the chain at random settings makes targets whose controls are known.

Runs in render workers, so nothing here imports torch. A clip's two halves go through the same settings; either half may
then be the input, with the other half's render as its reference.

Conventions: S numbers a recording (`statistics`), K settings and F foreign styles a clip, P controls, T samples of a
half.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_afx.data.corruptions import corrupt_input, corrupt_target
from blackbox_afx.data.segments import ClipSampler
from blackbox_afx.errors import PluginError
from blackbox_afx.features.hearing import FEATURES, Hears, hear, heard_shape
from blackbox_afx.features.statistics import DIMENSION, statistics
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.jobs import audio_flaw
from blackbox_afx.train.clip_book import read_clip_book

SHORTEST = 32768
"""Samples of the shortest half, where the segment is twice as long or longer."""


def shortest_half(segment: int) -> int:
    """Samples that a half of a clip must have at the least."""
    return min(segment // 2, SHORTEST)


def make_pairs(
    worker: Any,
    spec: ChainSpec,
    book: str,
    seed: int,
    clips: int,
    settings: int,
    segment: int,
    corrupted: float,
    styles: int,
    hears: Hears = "statistics",
    max_cents: float = 0.0,
    spliced: float = 0.0,
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
    styles : int >= 1
        Inputs, and results, that other effects than the chain make of each clip.
    hears : str
        What the encoder hears: statistics, mixture or audio.
    max_cents : float >= 0
        Half of the clips are played faster or slower by up to this much, as `ClipSampler` does: other voices.
    spliced : float, 0 to 1
        Share of clips that are cut into pieces and put together anew, as `ClipSampler` does: other words.

    Returns
    -------
    dict
        ``dry`` float16 [clips, 2, S]: both halves as they go into the chain;
        ``values`` float32 [clips, K, P]: positions;
        ``wet`` float16 [clips, K, 2, S]: both halves as they come out;
        ``rough`` float16 [clips, F, 2, S]: both halves as inputs coloured by other effects;
        ``other`` float16 [clips, F, 2, S]: both halves in a style that is not of this chain;
        ``valid`` bool [clips, K]: False where a render failed;
        where the encoder hears audio also ``dry_heard``, ``wet_heard``, ``rough_heard`` and ``other_heard``
        float16 [..., T], short halves repeated; where it hears richer features, which begin with the statistics, these
        instead of them.
    """
    rng = np.random.default_rng(seed)
    source = read_clip_book(book)
    rate = source.sample_rate
    sampler = ClipSampler(
        rng,
        source,
        segment,
        shortest_half(segment),
        balance_speakers=True,
        max_cents=max_cents,
        spliced=spliced,
    )
    space = spec.space
    sides = {"dry": (clips, 2), "wet": (clips, settings, 2), "rough": (clips, styles, 2), "other": (clips, styles, 2)}
    made: dict[str, np.ndarray] = {
        "values": np.zeros((clips, settings, len(space)), np.float32),
        "valid": np.ones((clips, settings), bool),
    }
    # Richer features begin with the statistics, which are then not kept twice.
    richer = hears in FEATURES and hears != "statistics"
    for name, shape in sides.items():
        if not richer:
            made[name] = np.zeros((*shape, DIMENSION), np.float16)
        if hears != "statistics":
            made[f"{name}_heard"] = np.zeros((*shape, *heard_shape(hears, segment)), np.float16)

    def keep(name: str, place: Any, halves: tuple[np.ndarray, ...]) -> None:
        if not richer:
            made[name][place] = [statistics(part, rate) for part in halves]
        if hears != "statistics":
            # What reaches beyond half precision is broken anyway.
            made[f"{name}_heard"][place] = [np.clip(hear(hears, part, rate, segment), -6e4, 6e4) for part in halves]

    for c in range(clips):
        clean = sampler.draw()
        # Both halves get the same treatment at one go, so that levels between them stay true.
        whole, half = np.concatenate(clean), len(clean[0])
        for k in range(styles):
            rough, other = corrupt_input(rng, whole, rate, quick=True), corrupt_target(rng, whole, rate, quick=True)
            keep("rough", (c, k), (rough[:half], rough[half:]))
            keep("other", (c, k), (other[:half], other[half:]))
        if rng.random() < corrupted:
            dry = rough[:half], rough[half:]
            # That was measured already.
            for name in made.keys() & {"dry", "dry_heard"}:
                made[name][c] = made[name.replace("dry", "rough")][c, -1]
        else:
            dry = whole[:half], whole[half:]
            keep("dry", c, dry)
        for k in range(settings):
            positions = space.snap(rng.random(len(space)))
            made["values"][c, k] = positions
            worker.at(c * settings + k)
            try:
                keep("wet", (c, k), tuple(_render(worker, spec, part, positions, rate) for part in dry))
            except PluginError as error:
                worker.note(f"{spec.label}: {error}")
                # What a plugin makes after a failure is not to be trusted; the next setting gets a fresh one.
                worker.forget(spec)
                made["valid"][c, k] = False
    return made


def make_audio_pair(
    worker: Any, spec: ChainSpec, book: str, seed: int, segment: int, hears: Hears, spliced: float = 0.0
) -> dict[str, np.ndarray]:
    """Make one training pair with its audio; runs in a render worker.

    Parameters
    ----------
    worker, spec, book, seed, segment, hears, spliced
        As in `make_pairs`.

    Returns
    -------
    dict
        ``input`` and ``target`` float32 [T] (both zero-padded), ``values`` float64 [controls];
        ``source`` and ``reference``: what the encoder hears.
    """
    rng = np.random.default_rng(seed)
    clips = read_clip_book(book)
    first, second = ClipSampler(rng, clips, segment, shortest_half(segment), spliced=spliced).draw()
    values = spec.space.snap(rng.random(len(spec.space)))
    rate = clips.sample_rate
    target, reference = (_render(worker, spec, half, values, rate) for half in (first, second))
    heard = [hear(hears, part, rate, segment) for part in (first, reference)]
    return {
        "input": _padded(first, segment),
        "target": _padded(target, segment),
        "values": values,
        "source": heard[0],
        "reference": heard[1],
    }


def _render(worker: Any, spec: ChainSpec, audio: np.ndarray, positions: np.ndarray, rate: int) -> np.ndarray:
    """Render mono audio [samples]; a broken render is an error, since statistics would hide it."""
    wet = worker.chain(spec).render(np.ascontiguousarray(audio)[None], positions, rate)
    if flaw := audio_flaw(wet):
        raise PluginError(f"{flaw}; probe the plugin again or narrow the control's range in its profile")
    return wet[0]


def _padded(audio: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(np.asarray(audio, np.float32)[:samples], (0, max(0, samples - len(audio))))
