"""Proxies on waveforms: networks that turn (audio, positions) into the audio that a plugin would make.

Conventions: audio [batch, channels, samples] at the rate the proxy was trained at; each channel is processed by itself,
as by a mono plugin. Latency is compensated, as in every render here, so that a proxy has none. Positions [batch,
controls], 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from blackbox_afx.errors import RecipeError, nearest
from blackbox_afx.networks.tcn import StagedTCN
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.proxies.filter_gain import FilterGain

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {"tcn": StagedTCN, "filter_gain": FilterGain}


class OutputGain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say which control is an exact output gain; no network has to learn it.

    Parameters
    ----------
    index : int
        Column of the positions.
    low_db, high_db : float
        Gain at positions 0 and 1.
    """

    index: int
    low_db: float
    high_db: float

    @property
    def neutral(self) -> float:
        """Position of 0 dB, or of the gain nearest to it."""
        share = -self.low_db / (self.high_db - self.low_db)
        return min(max(share, 0.0), 1.0)

    @property
    def neutral_db(self) -> float:
        """Gain at the neutral position."""
        return self.low_db + self.neutral * (self.high_db - self.low_db)

    def factor(self, positions: Tensor) -> Tensor:
        """Give the linear gain [batch] over that at the neutral position."""
        gain_db = self.low_db + (self.high_db - self.low_db) * positions[:, self.index]
        return torch.exp((gain_db - self.neutral_db) * (math.log(10.0) / 20.0))


def output_gain(profile: Profile) -> OutputGain | None:
    """Find the control that is an exact output gain in dB, if the profile names one that a controller sets."""
    place = profile.gain_place
    if place is None:
        return None
    control = profile.active[place]
    return OutputGain(index=place, low_db=control.minimum, high_db=control.maximum)


class WaveformProxy(nn.Module):
    """Imitate one plugin, or be an effect of its own: a network, and the exact output gain behind it.

    Parameters
    ----------
    controls : int
    architecture : str
        Name in `ARCHITECTURES`.
    options : dict
        Its arguments.
    gain : OutputGain or None
        That control's position is neutral wherever the network sees it.

    Raises
    ------
    RecipeError
        An unknown architecture, or options that it does not take.
    """

    def __init__(
        self, controls: int, architecture: str, options: dict[str, Any] | None = None, gain: OutputGain | None = None
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise RecipeError(f"no proxy is built as '{architecture}'; {nearest(architecture, list(ARCHITECTURES))}")
        try:
            self.network = ARCHITECTURES[architecture](controls, **(options or {}))
        except TypeError as error:
            raise RecipeError(f"the architecture '{architecture}' can't be built so: {error}") from None
        self.controls, self.gain = controls, gain
        self.about: dict[str, Any] = {"architecture": architecture, "options": dict(options or {})}

    @property
    def receptive_field(self) -> int:
        """Input samples that one output sample depends on."""
        return int(self.network.receptive_field)  # pyrefly: ignore[bad-argument-type]

    def imitate(self, audio: Tensor, positions: Tensor) -> Tensor:
        """Process audio as if the output gain were neutral: what training compares."""
        batch, channels, samples = audio.shape
        if self.gain is not None:
            column = torch.full_like(positions[:, :1], self.gain.neutral)
            at = self.gain.index
            positions = torch.cat([positions[:, :at], column, positions[:, at + 1 :]], dim=1)
        if channels > 1:
            positions = positions.repeat_interleave(channels, dim=0)
        return self.network(audio.reshape(batch * channels, 1, samples), positions).reshape(audio.shape)

    def forward(self, audio: Tensor, positions: Tensor) -> Tensor:
        """Process audio [batch, channels, samples] at positions [batch, controls]."""
        made = self.imitate(audio, positions)
        return made if self.gain is None else made * self.gain.factor(positions)[:, None, None]


class ChainProxy(nn.Module):
    """Put the proxies of a chain's plugins in series, each with its own columns of the positions.

    Parameters
    ----------
    proxies : sequence of WaveformProxy
    """

    def __init__(self, proxies: Sequence[WaveformProxy]) -> None:
        super().__init__()
        self.proxies = nn.ModuleList(proxies)
        self.widths = [proxy.controls for proxy in proxies]

    @property
    def receptive_field(self) -> int:
        """Input samples that one output sample depends on."""
        memories: list[Any] = [proxy.receptive_field for proxy in self.proxies]
        return 1 + sum(memory - 1 for memory in memories)

    def forward(self, audio: Tensor, positions: Tensor) -> Tensor:
        """Process audio [batch, channels, samples] at positions [batch, controls of all plugins]."""
        for proxy, own in zip(self.proxies, positions.split(self.widths, dim=1), strict=True):
            audio = proxy(audio, own)
        return audio


class Frozen(nn.Module):
    """Keep a module as it is: no weight learns, no running statistic moves, whatever mode it is put into.

    Parameters
    ----------
    module : nn.Module

    Notes
    -----
    A proxy in training mode would go on adapting its batch statistics to a controller's audio, and would be another
    proxy at the end than at the start.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.requires_grad_(False)
        self.eval()

    @property
    def receptive_field(self) -> int:
        """Input samples that one output sample depends on."""
        return int(self.module.receptive_field)  # pyrefly: ignore[bad-argument-type]

    def train(self, mode: bool = True) -> Frozen:
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, audio: Tensor, positions: Tensor) -> Tensor:
        """Process audio; gradients pass through to both arguments."""
        return self.module(audio, positions)


def effect_of_its_own(spec: ChainSpec, options: dict[str, Any], stages: Sequence[int] | None) -> WaveformProxy:
    """Make the untrained TCN that stands in for a chain: cTCN.

    Parameters
    ----------
    spec : ChainSpec
        As many controls as it has are what the network is told; the last plugin's output gain stays exact.
    options : dict
        `channels`, `kernel`, `dilations`.
    stages : sequence of int, optional
        Controls of each TCN; one for all by default.
    """
    gain = output_gain(spec.profiles[-1])
    if gain is not None:
        gain = msgspec.structs.replace(gain, index=gain.index + spec.slices[-1].start)
    made = dict(options) if stages is None else {**options, "stages": list(stages)}
    return WaveformProxy(len(spec.space), "tcn", made, gain)
