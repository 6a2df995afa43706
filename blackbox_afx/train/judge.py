"""Held-out pairs that judge every stage: does the real plugin, set by this network, come closer to the target?"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
import torch

from blackbox_afx.data.corruptions import paper_pair
from blackbox_afx.data.segments import ClipSampler, ClipSet
from blackbox_afx.errors import FarmError
from blackbox_afx.metrics import score_pair
from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.pairs import shortest_half
from blackbox_afx.train.through import render_through

AT_ONCE = 64
"""Pairs heard at once."""
NAMES = ("stft", "msd", "sce_hz", "rms_db", "lufs_db")


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Hold mean errors as shares of the unprocessed input's.

    Parameters
    ----------
    ratio : dict of float
        A metric's name to mean error over the input's mean error.
    pairs : int
        How many pairs it is the mean of.
    """

    ratio: dict[str, float]
    pairs: int

    @property
    def total(self) -> float:
        """Geometric mean of the ratios; what stages are compared by, so that no one metric outweighs the others.

        Infinite where one could not be measured: such a stage loses against any other.
        """
        total = float(np.exp(np.mean(np.log(np.maximum(list(self.ratio.values()), 1e-6)))))
        return total if np.isfinite(total) else float("inf")

    def text(self) -> str:
        """Word the ratios in one line."""
        words = " ".join(f"{name.split('_')[0].upper()} {value:.2f}" for name, value in self.ratio.items())
        return f"{words} of the input's error"


class Judge:
    """Keep held-out pairs with their targets, and score networks on them.

    Parameters
    ----------
    effect : FarmEffect
        Renders targets and predictions.
    clips : ClipSet
        Held out: no network trains on it.
    pairs : int
    segment : int
    seed : int
        The same seed gives the same pairs.
    network : StyleNetwork
        Prepares what networks hear; the encoder's front end must not change during training.
    protocol : {"self", "paper", "both"}
        What makes targets: the chain at random settings, other effects, or one and the other in turns. Ratios are then
        the geometric means of those of either kind, since errors of one are several times those of the other.
    """

    def __init__(
        self,
        effect: FarmEffect,
        clips: ClipSet,
        *,
        pairs: int,
        segment: int,
        seed: int,
        network: StyleNetwork,
        protocol: str = "self",
    ) -> None:
        rng = np.random.default_rng([seed, 0x4A55])
        space, self.effect, self.rate = effect.spec.space, effect, clips.sample_rate
        sampler = ClipSampler(rng, clips, segment, shortest_half(segment), balance_speakers=True)
        drawn = [sampler.draw() for _ in range(pairs)]
        positions = space.snap(rng.random((pairs, len(space))))
        both = [half[None] for pair in drawn for half in pair]
        strange = np.array([protocol == "paper" or (protocol == "both" and k % 2 == 1) for k in range(pairs)])
        rendered, good = list(both), np.ones(2 * pairs, bool)
        ours = np.flatnonzero(np.repeat(~strange, 2))
        if len(ours):
            made, good[ours] = effect.render([both[k] for k in ours], np.repeat(positions, 2, axis=0)[ours])
            for k, audio in zip(ours, made, strict=True):
                rendered[k] = audio
        for k in np.flatnonzero(strange):
            source, reference, target = paper_pair(rng, *drawn[k], self.rate)
            # In the order in which the chain renders two halves: that of the target, that of the reference.
            both[2 * k : 2 * k + 2] = source[None], source[None]
            rendered[2 * k : 2 * k + 2] = target[None], reference[None]
        keep = [k for k in range(pairs) if good[2 * k] and good[2 * k + 1]]
        if not keep:
            raise FarmError(f"no held-out pair could be rendered ({effect.last_failure}); probe the plugin again")
        self.strange = strange[keep]
        self.inputs = [both[2 * k] for k in keep]
        self.targets = [rendered[2 * k] for k in keep]
        self.positions = positions[keep]
        self.source = [network.prepare(both[2 * k][0], self.rate) for k in keep]
        self.reference = [network.prepare(rendered[2 * k + 1][0], self.rate) for k in keep]
        # How many threads pay is found out later; on a busy machine several wait for each other, and what takes
        # seconds would seem to take a minute that a short run has not got.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            # The first call imports and builds tables, which later ones don't.
            score_pair(self.targets[0][0], self.inputs[0][0], self.rate, NAMES)
            began = time.monotonic()
            self.before = self._errors(self.inputs)
            self.predict(network)
            # Rendering the predictions comes on top of hearing and scoring them.
            self.seconds = 1.3 * (time.monotonic() - began) + 0.5
        finally:
            torch.set_num_threads(threads)

    def _errors(self, estimates: list[np.ndarray]) -> np.ndarray:
        scores = [
            score_pair(target[0], estimate[0], self.rate, NAMES)
            for target, estimate in zip(self.targets, estimates, strict=True)
        ]
        return np.asarray([[score[name] for name in NAMES] for score in scores], np.float64)

    def predict(self, network: StyleNetwork) -> np.ndarray:
        """Give positions [pairs, controls] for the held-out pairs."""
        rows: list[np.ndarray] = []
        pairs = list(zip(self.source, self.reference, strict=True))
        while len(rows) < len(pairs):
            # Neighbours that are equally long go together; what an encoder hears of short clips is shorter.
            start, shape = len(rows), (pairs[len(rows)][0].shape, pairs[len(rows)][1].shape)
            stop = start
            while stop < min(start + AT_ONCE, len(pairs)) and (pairs[stop][0].shape, pairs[stop][1].shape) == shape:
                stop += 1
            source, reference = (np.stack(part) for part in zip(*pairs[start:stop], strict=True))
            rows.extend(network.positions(source, reference))
        return np.stack(rows)

    def score(self, network: Any, through: torch.nn.Module | None = None) -> Scores:
        """Render the network's settings and compare with the targets.

        Parameters
        ----------
        network : StyleNetwork
        through : nn.Module, optional
            An effect module whose audio is the result; the real chain by default.
        """
        positions = self.predict(network)
        if through is None:
            rendered, good = self.effect.render(self.inputs, positions)
        else:
            rendered = render_through(through, self.inputs, positions)
            good = np.array([bool(np.isfinite(audio).all()) for audio in rendered])
        if not good.any():
            raise FarmError(f"no held-out pair could be rendered ({self.effect.last_failure}); probe the plugin again")
        after = self._errors(rendered)
        kinds = [kind for kind in (good & ~self.strange, good & self.strange) if kind.any()]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = [np.nanmean(after[kind], axis=0) / np.nanmean(self.before[kind], axis=0) for kind in kinds]
            ratio = np.exp(np.mean(np.log(ratios), axis=0))
        return Scores(ratio=dict(zip(NAMES, ratio.tolist(), strict=True)), pairs=int(good.sum()))
