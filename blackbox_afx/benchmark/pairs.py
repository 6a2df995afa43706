"""Pairs to benchmark with: an input, a reference and the target, out of the two halves of one clip.

Two protocols. *self*: a random setting of the chain itself makes reference and target, so that a perfect controller has
no error. *paper*: input and target are corrupted by other effects, as in the style-transfer paper; the chain can only
come near.

Conventions: pair k depends on the seed and on k alone, not on how many pairs are drawn or in what portions. Speakers
(or artists) take turns, so that each gives as many pairs as any other, give or take one.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from blackbox_afx.data import Clip, ClipSampler, ClipSet, paper_pair
from blackbox_afx.errors import AudioError, UsageError
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import RenderJob

PROTOCOLS = ("self", "paper")


class Pair(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One task: make the input sound like the reference; the target says how that would be.

    Parameters
    ----------
    index : int
        Which of the benchmark's pairs it is.
    speaker : str
        Speaker or artist.
    source, reference, target : float32 [samples]
        Of one length.
    positions : float64 [controls] or None
        What made the target, where the chain itself did.
    """

    index: int
    speaker: str
    source: np.ndarray
    reference: np.ndarray
    target: np.ndarray
    positions: np.ndarray | None = None


class PairMaker:
    """Draw pairs, a portion at a time.

    Parameters
    ----------
    clips : ClipSet
        Nothing was learned from them.
    protocol : {"self", "paper"}
    spec : ChainSpec or None
        The chain that makes targets; only "self" needs it.
    seed : int
    segment : int
        Samples of a half; clips that are too short for two give two shorter ones, down to half of that.

    Attributes
    ----------
    speakers : tuple of str
        In the order in which they take turns.
    corpus_of : dict of str
        The corpus (manifest column `source`) of each speaker, where it is told.
    failures : list of str
        What went wrong with the pairs that were dropped.
    """

    def __init__(self, clips: ClipSet, protocol: str, spec: ChainSpec | None, *, seed: int, segment: int) -> None:
        if protocol not in PROTOCOLS:
            raise UsageError(f"protocol '{protocol}'; expected one of {', '.join(PROTOCOLS)}")
        if protocol == "self" and spec is None:
            raise UsageError(
                "the protocol 'self' needs a chain that makes the targets; give a controller, or use 'paper'"
            )
        self.protocol, self.spec, self.seed = protocol, spec, seed
        self.sample_rate = clips.sample_rate
        self.failures: list[str] = []
        self.corpus_of: dict[str, str] = {clip.speaker: clip.source for clip in clips.clips if clip.source}
        shortest = (segment + 1) // 2
        by_speaker: dict[str, list[Clip]] = {}
        for clip in clips.clips:
            if len(clip.audio) >= 2 * shortest:
                by_speaker.setdefault(clip.speaker, []).append(clip)
        if not by_speaker:
            need = 2 * shortest / clips.sample_rate
            raise AudioError(f"none of {len(clips.clips)} clips is as long as {need:.1f} s; use longer recordings")
        # Each pair brings its own generator, see `_halves`.
        nobody = np.random.default_rng(0)
        self._samplers = {name: ClipSampler(nobody, kept, segment, shortest) for name, kept in by_speaker.items()}
        names = sorted(by_speaker)
        self.speakers = tuple(names[k] for k in np.random.default_rng([seed, 0x5350]).permutation(len(names)))

    def draw(self, farm: Farm, start: int, count: int) -> list[Pair]:
        """Make pairs `start` to `start + count`, without those that failed."""
        pairs = [pair for k in range(start, start + count) for pair in self._draw(k)]
        if self.protocol == "paper":
            return pairs
        assert self.spec is not None
        jobs = [
            RenderJob(spec=self.spec, audio=half[None], positions=pair.positions, sample_rate=self.sample_rate)
            for pair in pairs
            if pair.positions is not None
            for half in (pair.target, pair.reference)
        ]
        results = farm.run(jobs)
        made = []
        for pair, target, reference in zip(pairs, results[::2], results[1::2], strict=True):
            failure = target.failure or reference.failure
            if failure is not None:
                self.failures.append(f"{failure.plugin}: {failure.message}")
                continue
            made.append(msgspec.structs.replace(pair, target=target.value[0], reference=reference.value[0]))
        return made

    def _draw(self, k: int) -> Iterator[Pair]:
        """Make pair k; its target still has to be rendered under the protocol "self"."""
        rng = np.random.default_rng([self.seed, k])
        speaker = self.speakers[k % len(self.speakers)]
        sampler = self._samplers[speaker]
        sampler.rng = rng
        try:
            first, second = sampler.draw()
        except AudioError as error:
            self.failures.append(f"{speaker}: {error}")
            return
        if self.protocol == "paper":
            source, reference, target = paper_pair(rng, first, second, self.sample_rate)
            yield Pair(index=k, speaker=speaker, source=source, reference=reference, target=target)
            return
        assert self.spec is not None
        space = self.spec.space
        positions = space.snap(rng.random(len(space)))
        yield Pair(index=k, speaker=speaker, source=first, reference=second, target=first, positions=positions)
