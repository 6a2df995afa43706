"""Controllers that were learned for the audio of a module of their own: NP, AD, cTCN."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from blackbox_afx.benchmark.methods import ControllerMethod
from blackbox_afx.benchmark.pairs import Pair
from blackbox_afx.errors import UsageError
from blackbox_afx.networks.controller_file import ControllerCard, load_effect_weights
from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.train.effects import restore_effect
from blackbox_afx.train.through import render_through


class OwnAudioMethod(ControllerMethod):
    """A controller whose audio comes from the module it was learned through, and not from the plugins.

    Parameters
    ----------
    name : str
    network : StyleNetwork
    card : ControllerCard
    path : path
        Of the controller file, which holds the module's weights.
    """

    def __init__(self, name: str, network: StyleNetwork, card: ControllerCard, path: str | os.PathLike[str]) -> None:
        super().__init__(name, network, card)
        self.effect = restore_effect(card.effect, load_effect_weights(path), card.spec, card.sample_rate)

    def render(self, pairs: Sequence[Pair], sample_rate: int) -> list[np.ndarray | None]:
        """Give audio float32 [samples] for each pair; None where it is not finite.

        Raises
        ------
        UsageError
            At another rate than it was learned at, at which it would be another effect.
        """
        if sample_rate != self.card.sample_rate:
            raise UsageError(
                f"{self.name} makes its audio at {self.card.sample_rate} Hz, the benchmark runs at {sample_rate} Hz; "
                "leave out --sample-rate"
            )
        made = render_through(self.effect, [pair.source[None] for pair in pairs], self.positions(pairs, sample_rate))
        return [audio[0] if np.isfinite(audio).all() else None for audio in made]
