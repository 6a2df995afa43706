"""A learned controller, ready for use: hear, predict, transfer."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from blackbox_afx.errors import ControllerError, PluginError, ProfileError, UsageError
from blackbox_afx.networks.controller_file import ControllerCard, load_controller, load_effect_weights
from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.transfer.listen import Heard, listen

if TYPE_CHECKING:
    from blackbox_afx.transfer.result import TransferResult

PAIRS = 32
"""Most (input stretch, reference stretch) pairs that one prediction averages."""


class StyleController:
    """Set a chain's controls so that one recording takes on the style of another.

    Parameters
    ----------
    network : StyleNetwork
    card : ControllerCard

    Examples
    --------
    >>> controller = StyleController.load("voice.afx")  # doctest: +SKIP
    >>> result = controller.transfer("take.wav", "podcast.wav", out="styled.wav")  # doctest: +SKIP
    """

    trim_level = "the level the controller was learned at"
    """What `trim_db` brings an input to, in words."""

    def __init__(
        self, network: StyleNetwork, card: ControllerCard, effect_weights: dict[str, Tensor] | None = None
    ) -> None:
        self.network = network
        self.card = card
        self._effect_weights = effect_weights or {}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StyleController:
        """Read a controller file; the plugins need not be installed for that.

        Raises
        ------
        ControllerError
            No such file, cut short, foreign, or of a newer schema.
        """
        network, card = load_controller(path)
        weights = load_effect_weights(path) if card.renders_itself else {}
        return cls(cast(StyleNetwork, network), card, weights)

    @property
    def spec(self) -> ChainSpec:
        """The chain that it sets."""
        return self.card.spec

    @functools.cached_property
    def own_effect(self) -> torch.nn.Module:
        """The module that it was learned through, where that makes the audio: a proxy, an autodiff effect, a TCN.

        Raises
        ------
        ControllerError
            There is none: the plugins make the audio.
        """
        if not self.card.renders_itself:
            raise ControllerError("this controller has no effect of its own; its plugins make the audio")
        from blackbox_afx.train.effects import restore_effect

        return restore_effect(self.card.effect, self._effect_weights, self.spec, self.card.sample_rate)

    @property
    def origin(self) -> list[str]:
        """Say, in a line, what it was learned through, where that was not the plugins."""
        if not self.card.renders_itself or not self.card.means_controls:
            return []
        what = {"proxy": "a proxy of the plugins", "autodiff": "a differentiable re-implementation of the plugins"}
        kind = what.get(self.card.effect["kind"], "another effect")
        return [f"learned through {kind}; its settings are rendered by the plugins themselves here"]

    def check_installed(self, *, allow_version: bool = False) -> list[str]:
        """Check that the plugins it was learned on are the ones installed here.

        Returns
        -------
        list of str
            Warnings.

        Raises
        ------
        ControllerError
            A plugin is missing, another one, or of another version without `allow_version`.
        """
        from blackbox_afx.plugins.resolve import check_installed

        warnings = []
        for profile in self.card.profiles:
            try:
                warnings += check_installed(profile, allow_version=allow_version)
            except (PluginError, ProfileError) as error:
                raise ControllerError(f"this controller needs {profile.label}: {error}") from None
        return warnings

    def hear(self, path: str | os.PathLike[str]) -> Heard:
        """Listen to a file as the controller does.

        Raises
        ------
        AudioError
            As `listen`.
        """
        return listen(Path(path), self.card.sample_rate, self.card.segment)

    def trim_db(self, heard: Heard) -> float:
        """Gain that brings an input to the level the controller was learned at, dB."""
        return self.card.input_peak_dbfs - heard.peak_dbfs

    def predict(self, source: Heard, references: Sequence[Heard], amount: float = 1.0) -> np.ndarray:
        """Give positions for an input and one style, which several references may describe.

        Parameters
        ----------
        source : Heard
            Brought to the learned level (`trim_db`) before it is heard.
        references : sequence of Heard
            As they are.
        amount : float, 0 to 1
            0 leaves the plugins' defaults, 1 takes the whole prediction.

        Returns
        -------
        float64 [controls]
            Positions, stepped controls on their steps.
        """
        if not references:
            raise UsageError("no reference was given; expected at least one recording in the wanted style")
        if not self.card.means_controls:
            raise UsageError(
                "this controller's effect is a network of its own (cTCN), whose positions stand for no control of a "
                "plugin; expected a controller that sets plugins"
            )
        if not 0 <= amount <= 1:
            raise UsageError(f"amount is {amount:g}; expected 0 (the plugins' defaults) to 1 (all of the style)")
        positions = self.latent(source, references)
        space = self.spec.space
        return space.snap(space.defaults + amount * (positions - space.defaults))

    def latent(self, source: Heard, references: Sequence[Heard]) -> np.ndarray:
        """Give positions float64 [controls] as the network says them, on no control's steps."""
        if not references:
            raise UsageError("no reference was given; expected at least one recording in the wanted style")
        gain = np.float32(10 ** (self.trim_db(source) / 20))
        sources = self.embed([clip * gain for clip in source.stretches])
        logits = self.answer(sources, self.embed([clip for heard in references for clip in heard.stretches]))
        return 1 / (1 + np.exp(-logits))

    def answer(self, sources: Sequence[Tensor], styles: Sequence[Tensor]) -> np.ndarray:
        """Ask the network about pairs of embeddings together: logits of positions, float64 [controls]."""
        pairs = [(i, j) for i in range(len(sources)) for j in range(len(styles))]
        if len(pairs) > PAIRS:
            pairs = [pairs[k] for k in np.linspace(0, len(pairs) - 1, PAIRS).round().astype(int)]
        first = torch.stack([sources[i] for i, _ in pairs])
        return self.network.answer(first, torch.stack([styles[j] for _, j in pairs]))

    def embed(self, clips: Sequence[np.ndarray]) -> list[Tensor]:
        """Embed each stretch once, one at a time: lengths differ, and the memory stays that of one."""
        self.network.eval()
        device = next(self.network.parameters()).device
        embedded = []
        with torch.no_grad():
            for clip in clips:
                prepared = np.asarray(self.network.prepare(clip, self.card.sample_rate), np.float32)
                embedded.append(self.network.encoder(torch.as_tensor(prepared, device=device)[None])[0])
        return embedded

    def transfer(
        self,
        source: str | os.PathLike[str],
        references: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        out: str | os.PathLike[str],
        **options: Any,
    ) -> TransferResult:
        """Transfer a recording; options as in `blackbox_afx.transfer.static.transfer`.

        Raises
        ------
        UsageError
            An option that needs a plugin's controls, with a controller whose effect is a network of its own.
        """
        many = [references] if isinstance(references, str | os.PathLike) else list(references)
        if not self.card.means_controls:
            from blackbox_afx.transfer.through_network import refuse_what_needs_controls, transfer_through_network

            refuse_what_needs_controls(
                amount=options.pop("amount", 1.0),
                automate=options.pop("automation", None) is not None,
                refine=options.pop("refinement", None) is not None,
                tail=options.pop("tail", False),
                plot=options.pop("plot", None) is not None,
            )
            for name in ("allow_version", "refining"):
                options.pop(name, None)
            return transfer_through_network(self, Path(source), [Path(path) for path in many], out=Path(out), **options)
        from blackbox_afx.transfer.static import transfer

        return transfer(self, source, many, out=out, **options)
