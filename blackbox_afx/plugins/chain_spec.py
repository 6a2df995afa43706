"""Which plugins follow each other, what their controls are called, and what a render of them costs; nothing is loaded.

Conventions: positions and raw values run over the controls of all plugins in order.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.control import ControlSpace
from blackbox_afx.plugins.layout import layout_of, notes_on
from blackbox_afx.plugins.prefix import PrefixCache
from blackbox_afx.plugins.profile import Profile

if TYPE_CHECKING:
    from blackbox_afx.plugins.chain import Chain


class ChainSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, cache_hash=True):
    """Say which plugins follow each other.

    Parameters
    ----------
    profiles : tuple of Profile
        In the order that audio goes through them; the same plugin may appear more than once.

    Raises
    ------
    UsageError
        The chain is empty.
    """

    profiles: tuple[Profile, ...]

    def __post_init__(self) -> None:
        if not self.profiles:
            raise UsageError("a chain needs at least one plugin; give a plugin's path, profile name or builtin:NAME")

    @property
    def labels(self) -> tuple[str, ...]:
        """What each plugin is called; a repeated one is counted: ``ZamEQ2``, ``ZamEQ2 2``."""
        labels: list[str] = []
        for profile in self.profiles:
            label, count = profile.label, 1
            while label in labels:
                count += 1
                label = f"{profile.label} {count}"
            labels.append(label)
        return tuple(labels)

    @property
    def label(self) -> str:
        """What the chain is called: ``ZamEQ2 > ZamComp``."""
        return " > ".join(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """What each control is called, unique in the chain: ``ZamEQ2: Boost/Cut 1``."""
        return tuple(self.space.names)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Which columns of a vector of values belong to each plugin."""
        ends = list(itertools.accumulate(len(profile.active) for profile in self.profiles))
        return tuple(slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True))

    @property
    def space(self) -> ControlSpace:
        """The ControlSpace of all active controls, by their names in the chain."""
        return _space(self)

    @property
    def last_gain(self) -> tuple[int, float] | None:
        """The control that is a plain gain at the end of the chain, and the dB it goes through; None without one."""
        last = self.profiles[-1]
        place = last.gain_place
        if place is None:
            return None
        control = last.active[place]
        return self.slices[-1].start + place, control.maximum - control.minimum

    @property
    def block_size(self) -> int | None:
        """Samples a block where all plugins agree; None where each has its own."""
        sizes = {profile.block_size for profile in self.profiles}
        return sizes.pop() if len(sizes) == 1 else None

    @property
    def trusted(self) -> bool:
        """Whether all plugins are built in, so that they may run in this process."""
        return all(profile.identity.format == "builtin" for profile in self.profiles)

    @property
    def load_s(self) -> float:
        """Seconds to load it, from the profiles."""
        return sum(profile.load_ms for profile in self.profiles) / 1e3

    def fingerprint(self) -> str:
        """Hash all that changes what a render sounds like or what positions mean, as 16 hex digits."""
        return _fingerprint(self)

    def channels_note(self, channels: int) -> list[str]:
        """Say, in one line a plugin, what audio of so many channels means for those that take another count."""
        return [line for profile in self.profiles for line in notes_on(profile, channels)]

    def cost_s(self, seconds: float, sample_rate: float | None = None, channels: int = 0) -> float:
        """Estimate the seconds of one render from the profiles.

        Parameters
        ----------
        seconds : float
            Of audio.
        sample_rate : float, optional
            Hertz; the rate each profile was probed at by default.
        channels : int
            Of the audio; a mono plugin runs once for each. 0 counts every plugin once.
        """
        return seconds * float(np.sum(self._costs(sample_rate, channels)))

    def _costs(self, sample_rate: float | None = None, channels: int = 0) -> np.ndarray:
        costs = []
        for profile in self.profiles:
            rate = 1.0 if sample_rate is None else sample_rate / profile.probe_rate
            runs = layout_of(profile, channels)[0] if channels else 1
            costs.append(profile.cost_ms / 1e3 * rate * runs)
        return np.array(costs)

    @property
    def shares(self) -> np.ndarray:
        """Each plugin's share [plugins] of a render's cost, from the profiles."""
        costs = np.maximum(self._costs(), 1e-9)
        return costs / costs.sum()

    def calls(self, positions: np.ndarray, base: np.ndarray | None = None) -> float:
        """Count what `Chain.render_many` would cost, in whole chain renders, partial ones by their cost.

        Parameters
        ----------
        positions : float [points, controls]
        base : float [controls], optional
        """
        spent, shares = [0.0], self.shares
        cache = prefix_cache(self, base)

        def step(k: int, audio: np.ndarray | None) -> None:
            spent[0] += float(shares[k])

        for raw in self.space.to_raw(positions):
            cache.run(None, raw, step)
        return spent[0]

    def open(self) -> Chain:
        """Load the plugins.

        Raises
        ------
        PluginError
            One of them can't be loaded or is not what its profile says.
        """
        from blackbox_afx.plugins.chain import Chain

        return Chain(self)


@functools.lru_cache(maxsize=64)
def _space(spec: ChainSpec) -> ControlSpace:
    space = ControlSpace([control for profile in spec.profiles for control in profile.active])
    names: list[str] = []
    for label, profile in zip(spec.labels, spec.profiles, strict=True):
        for control in profile.active:
            name, count = f"{label}: {control.name}", 1
            while name in names:
                count += 1
                name = f"{label}: {control.name} {count}"
            names.append(name)
    space.names = names
    return space


@functools.lru_cache(maxsize=64)
def _fingerprint(spec: ChainSpec) -> str:
    parts = "/".join(profile.fingerprint() for profile in spec.profiles)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def prefix_cache(spec: ChainSpec, base: np.ndarray | None) -> PrefixCache:
    """Make the cache in which renders of one input share their leading plugins; `base` is positions [controls]."""
    return PrefixCache(spec.slices, None if base is None else spec.space.to_raw(base))
