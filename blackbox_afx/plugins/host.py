"""The Host protocol: what a plugin host must offer, and where the two hosts are chosen.

A host loads a plugin from its profile and gives an instance that is a function of (audio, raw values). The instance
hides the host's own ways: latency is compensated, the length is kept, hidden state is cleared by the profile's reset
policy, every value written is read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.profile import Profile


@runtime_checkable
class Instance(Protocol):
    """One loaded plugin. Not thread-safe, never pickled."""

    profile: Profile

    def render(
        self,
        audio: np.ndarray,
        values: np.ndarray,
        sample_rate: int,
        *,
        block_size: int | None = None,
    ) -> np.ndarray:
        """Render audio with fixed values, or along lanes.

        Parameters
        ----------
        audio : float32 [channels, samples]
            With as many channels as `profile.channels` says (any if 0).
        values : float64 [controls] or [blocks, controls]
            Raw values, 0 to 1, of `profile.active` in order: fixed, or one row a block of `block_size` samples, taken
            at the block's first sample; the last row is held.
        sample_rate : int
            Hertz.
        block_size : int, optional
            Samples a block; the profile's by default.

        Returns
        -------
        float32 [channels, samples]
            Same shape as `audio`, latency compensated.

        Raises
        ------
        PluginError
            A value did not stick, or the channel count does not fit.
        """
        ...

    def stream(
        self,
        blocks: Iterable[np.ndarray],
        values: np.ndarray,
        sample_rate: int,
        *,
        block_size: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Render audio that comes in pieces, in bounded memory; the pieces together equal one `render`.

        Parameters
        ----------
        blocks : iterable of float32 [channels, samples]
            Pieces of any length.
        values : float64 [controls] or [blocks, controls]
            As in `render`; rows count render blocks from the first sample of the first piece.

        Yields
        ------
        float32 [channels, samples]
            Pieces of any length whose lengths add up to the input's, latency compensated.
        """
        ...

    def latency(self, sample_rate: int) -> int:
        """Samples of delay that the plugin reports (already compensated by `render`)."""
        ...

    def state(self) -> bytes | None:
        """The plugin's state after the last render (VST3: `.vstpreset` bytes); None where the format has none."""
        ...

    def close(self) -> None:
        """Let the plugin go."""
        ...


@runtime_checkable
class Host(Protocol):
    """Something that loads plugins."""

    formats: frozenset[str]

    def load(self, profile: Profile) -> Instance:
        """Load a plugin.

        Raises
        ------
        PluginError
            It is not there, it is not a plugin, or the parameter table is not the profile's.
        """
        ...


def host_for(profile: Profile) -> Host:
    """Choose the host of a profile's format: pedalboard for VST3 and built-ins, DawDreamer for the others.

    Raises
    ------
    PluginError
        When no host takes the format.
    """
    if profile.identity.format in ("vst3", "builtin"):
        from blackbox_afx.plugins.pedalboard import PedalboardHost

        return PedalboardHost()
    if profile.identity.format in ("vst2", "lv2", "faust"):
        from blackbox_afx.plugins.dawdreamer import DawDreamerHost

        return DawDreamerHost()
    raise PluginError(
        f"no host takes the format '{profile.identity.format}'; expected vst3, vst2, lv2, faust or builtin"
    )
