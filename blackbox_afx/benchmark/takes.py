"""Recordings whose level or tone changes half-way, made of real ones, with the target they should become.

Each item has two speakers, A and B. The chain at a random setting turns the last third of both into the reference, and
the unaltered input into the target; what is altered is the input alone.

level   A's take and B's joined, one of them 15 dB quieter than it was
tone    A's take twice, the second time through two shelves: +10 dB below 400 Hz, -10 dB above 2.5 kHz, or the reverse
steady  A's take twice
tone_once, steady_once
        A's whole clip instead of a take twice: the words after the change are not those before it
voices  A's take and B's joined, unaltered: the production is steady, who speaks is not
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from blackbox_afx.audio import normalise_peak
from blackbox_afx.data import ClipSet
from blackbox_afx.data.equaliser import equalise, section
from blackbox_afx.errors import AudioError

KINDS = ("level", "tone", "tone_once", "steady", "steady_once", "voices")
QUIET_DB = -15.0
SHELF_DB = 10.0
MIN_CLIP_S = 5.0
TAKE = 0.65
PEAK_DBFS = -12.0


class Item(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold the recordings of one item.

    Parameters
    ----------
    index : int
    speaker : str
        A.
    inputs : dict of str to float32 [samples]
        By kind.
    clean : dict of str to float32 [samples]
        The same before they were altered.
    reference : float32 [samples]
        Before the chain.
    draw : float64 [controls]
        Uniform in 0 to 1: the setting that makes reference and target.
    """

    index: int
    speaker: str
    inputs: dict[str, np.ndarray]
    clean: dict[str, np.ndarray]
    reference: np.ndarray
    draw: np.ndarray


def make_items(clips: ClipSet, controls: int, count: int, seed: int) -> list[Item]:
    """Make items; speakers take turns, and an item depends on the seed, the clips and its index alone.

    Parameters
    ----------
    clips : ClipSet
        The longest clip of each speaker is used.
    controls : int
        Of the chain.
    count, seed : int

    Raises
    ------
    AudioError
        Fewer than two speakers have a clip of five seconds.
    """
    longest: dict[str, np.ndarray] = {}
    for clip in clips.clips:
        if len(clip.audio) > len(longest.get(clip.speaker, ())):
            longest[clip.speaker] = clip.audio
    least = MIN_CLIP_S * clips.sample_rate
    takes = {name: normalise_peak(a, PEAK_DBFS)[0] for name, a in sorted(longest.items()) if len(a) >= least}
    if len(takes) < 2:
        raise AudioError(
            f"{len(takes)} speakers or artists have a clip of {MIN_CLIP_S:g} s; expected at least two; "
            "use more or longer recordings"
        )
    names = list(takes)
    order = [names[k] for k in np.random.default_rng([seed, 0x5441]).permutation(len(names))]
    return [_item(takes, order, k, controls, seed, clips.sample_rate) for k in range(count)]


def _item(
    takes: dict[str, np.ndarray], order: Sequence[str], k: int, controls: int, seed: int, sample_rate: int
) -> Item:
    rng = np.random.default_rng([seed, k])
    people = len(order)
    # In each round through the speakers A has another partner.
    partner = 1 + (k // people) % (people - 1)
    both = [takes[order[k % people]], takes[order[(k + partner) % people]]]
    (first, rest), (second, other) = (np.split(audio, [round(TAKE * len(audio))]) for audio in both)
    gains = np.where(rng.permutation(2) == 0, 1.0, 10 ** (QUIET_DB / 20)).astype(np.float32)
    shelf = SHELF_DB * float(rng.choice([-1.0, 1.0]))
    shelves = [
        section("low_shelf", shelf, 400.0, 0.707, sample_rate),
        section("high_shelf", -shelf, 2500.0, 0.707, sample_rate),
    ]
    joined, twice, whole = np.concatenate([first, second]), np.concatenate([first, first]), both[0]
    before, after = np.array_split(whole, 2)
    return Item(
        index=k,
        speaker=order[k % people],
        inputs={
            "level": np.concatenate([first * gains[0], second * gains[1]]),
            "tone": np.concatenate([first, equalise(first, shelves)]),
            "tone_once": np.concatenate([before, equalise(after, shelves)]),
            "steady": twice,
            "steady_once": whole,
            "voices": joined,
        },
        clean={
            "level": joined,
            "tone": twice,
            "tone_once": whole,
            "steady": twice,
            "steady_once": whole,
            "voices": joined,
        },
        reference=np.concatenate([rest, other]),
        draw=rng.random(controls),
    )
