"""Plugins in series: one function of (audio, values).

Conventions: positions and raw values run over the controls of all plugins in order. Each plugin renders at its own
block size; values over time are therefore best given as a `Trajectory`, which every plugin samples on its own grid.
Lanes [blocks, controls] mean the grid of `ChainSpec.block_size`, or of the block size given with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from types import TracebackType

import numpy as np

from blackbox_afx.errors import AudioError, UsageError
from blackbox_afx.plugins.chain_spec import ChainSpec, prefix_cache
from blackbox_afx.plugins.host import Instance, host_for
from blackbox_afx.plugins.layout import adapt, layout_of
from blackbox_afx.plugins.trajectory import Trajectory

__all__ = ["Chain", "ChainSpec", "PrefixedRender"]


class Chain:
    """Loaded plugins in series; close it, or use it in a ``with`` statement. Not thread-safe, never pickled.

    Parameters
    ----------
    spec : ChainSpec

    Attributes
    ----------
    calls : float
        Chain renders so far, partial ones by their profiled cost.
    """

    def __init__(self, spec: ChainSpec) -> None:
        self.spec = spec
        self.calls = 0.0
        self._shares = spec.shares
        self._instances: list[Instance] = []
        # Other instances of mono plugins, one a channel, that only streams need: their pieces interleave.
        self._others: dict[tuple[int, int], Instance] = {}
        try:
            for profile in spec.profiles:
                self._instances.append(host_for(profile).load(profile))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Chain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let all plugins go; closing twice does nothing."""
        for instance in (*self._instances, *self._others.values()):
            instance.close()
        self._instances, self._others = [], {}

    def render(self, audio: np.ndarray, positions: np.ndarray, sample_rate: int) -> np.ndarray:
        """Render with fixed positions.

        Parameters
        ----------
        audio : float32 [channels, samples]
        positions : float [controls]
            0 to 1 in `spec.space`.
        sample_rate : int
            Hertz.

        Returns
        -------
        float32 [channels, samples]
            Same shape as `audio`, latency compensated.
        """
        return self.render_raw(audio, self.spec.space.to_raw(positions), sample_rate)

    def render_raw(
        self,
        audio: np.ndarray,
        raw: np.ndarray | Trajectory,
        sample_rate: int,
        *,
        block_size: int | None = None,
    ) -> np.ndarray:
        """Render with raw values, fixed or over time.

        Parameters
        ----------
        audio : float32 [channels, samples]
        raw : float [controls], float [blocks, controls], or Trajectory
            Raw values, 0 to 1; rows hold from the first sample of their block, the last one to the end.
        sample_rate : int
            Hertz.
        block_size : int, optional
            Samples a block, for all plugins; each plugin's own by default.

        Returns
        -------
        float32 [channels, samples]
            Same shape as `audio`, latency compensated.

        Raises
        ------
        UsageError
            Values of the wrong shape, or lanes without a block size where the plugins' differ.
        AudioError
            The audio is no float array [channels, samples] or has too many channels.
        """
        audio = _checked(audio)
        for k in range(len(self._instances)):
            values = self._values(k, raw, sample_rate, block_size)
            audio = self._step(k, audio, values, sample_rate, block_size)
        return audio

    def _step(
        self, k: int, audio: np.ndarray, values: np.ndarray, sample_rate: int, block_size: int | None = None
    ) -> np.ndarray:
        instance = self._instances[k]

        def render(part: np.ndarray) -> np.ndarray:
            return instance.render(part, values, sample_rate, block_size=block_size)

        self.calls += float(self._shares[k])
        return adapt(render, layout_of(instance.profile, len(audio)), audio)

    def _values(
        self,
        k: int,
        raw: np.ndarray | Trajectory,
        sample_rate: int,
        block_size: int | None,
    ) -> np.ndarray:
        """Give plugin k its own columns, on its own grid."""
        columns, total = self.spec.slices[k], len(self.spec.space)
        if isinstance(raw, Trajectory):
            if raw.controls != total:
                raise UsageError(f"the trajectory moves {raw.controls} controls, {self.spec.label} has {total}")
            size = block_size or self.spec.profiles[k].block_size
            # Through its last point, however long the audio is: the last row holds, also while latency drains.
            rows = int(np.ceil(raw.times[-1] * sample_rate / size)) + 1
            return _still(raw.lanes(rows, size, sample_rate)[:, columns])
        raw = np.asarray(raw, np.float64)
        if raw.ndim not in (1, 2) or raw.shape[-1] != total or not len(raw):
            raise UsageError(
                f"got raw values of shape {raw.shape}, expected [{total}] or [blocks, {total}] for {self.spec.label}"
            )
        if raw.ndim == 2 and block_size is None and self.spec.block_size is None:
            raise UsageError(
                f"{self.spec.label}: the plugins' block sizes differ, so rows of values have no common grid; "
                "give a Trajectory or a block_size"
            )
        return _still(raw[..., columns])

    def render_from(self, plugin: int, audio: np.ndarray, positions: np.ndarray, sample_rate: int) -> np.ndarray:
        """Render the plugins from one on, its place counted from 0.

        Parameters
        ----------
        plugin : int
        audio : float32 [channels, samples]
            What goes into it.
        positions : float [controls]
            Of the whole chain.
        sample_rate : int
            Hertz.

        Returns
        -------
        float32 [channels, samples]
        """
        audio, raw = _checked(audio), self.spec.space.to_raw(positions)
        for k in range(plugin, len(self._instances)):
            audio = self._step(k, audio, raw[self.spec.slices[k]], sample_rate)
        return audio

    def render_one(self, plugin: int, audio: np.ndarray, positions: np.ndarray, sample_rate: int) -> np.ndarray:
        """Render one plugin alone; arguments as in `render_from`."""
        raw = self.spec.space.to_raw(positions)
        return self._step(plugin, _checked(audio), raw[self.spec.slices[plugin]], sample_rate)

    def render_many(
        self, audio: np.ndarray, positions: np.ndarray, sample_rate: int, base: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Render several settings of one input, re-using the leading plugins where settings agree.

        Parameters
        ----------
        audio : float32 [channels, samples]
        positions : float [points, controls]
        sample_rate : int
            Hertz.
        base : float [controls], optional
            The point that the others are variations of; its leading renders are kept throughout.

        Yields
        ------
        float32 [channels, samples]
            One a point; do not write to it.
        """
        render = self.prefixed(audio, sample_rate, base)
        for point in np.atleast_2d(positions):
            yield render(point)

    def prefixed(self, audio: np.ndarray, sample_rate: int, base: np.ndarray | None = None) -> PrefixedRender:
        """Make a function of positions alone that re-uses leading plugins; see `render_many`."""
        return PrefixedRender(self, audio, sample_rate, base)

    def stream(
        self,
        blocks: Iterable[np.ndarray],
        raw: np.ndarray | Trajectory,
        sample_rate: int,
        *,
        block_size: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Render audio that comes in pieces, in bounded memory; the pieces together equal `render_raw`.

        Parameters
        ----------
        blocks : iterable of float32 [channels, samples]
            Pieces of any length, all of one channel count.
        raw, sample_rate, block_size
            As in `render_raw`.

        Yields
        ------
        float32 [channels, samples]
            Pieces of any length, latency compensated.
        """
        source = iter(blocks)
        first = next(source, None)
        if first is None:
            return
        channels = len(_checked(first))
        pieces: Iterator[np.ndarray] = map(_checked, itertools.chain([first], source))
        for k in range(len(self._instances)):
            values = self._values(k, raw, sample_rate, block_size)
            pieces = self._stream_one(k, pieces, channels, values, sample_rate, block_size)
        yield from pieces

    def _stream_one(
        self,
        k: int,
        pieces: Iterator[np.ndarray],
        channels: int,
        values: np.ndarray,
        sample_rate: int,
        block_size: int | None,
    ) -> Iterator[np.ndarray]:
        instance = self._instances[k]
        runs, doubled = layout_of(instance.profile, channels)
        if doubled:
            twice = (np.repeat(piece, 2, axis=0) for piece in pieces)
            for piece in instance.stream(twice, values, sample_rate, block_size=block_size):
                yield np.ascontiguousarray(piece[:1])
            return
        if runs == 1:
            yield from instance.stream(pieces, values, sample_rate, block_size=block_size)
            return
        copies = itertools.tee(pieces, runs)
        streams = [
            self._instance(k, c).stream(_channel(copies[c], c), values, sample_rate, block_size=block_size)
            for c in range(runs)
        ]
        for parts in zip(*streams, strict=True):
            yield np.concatenate(parts)

    def _instance(self, k: int, channel: int) -> Instance:
        if channel == 0:
            return self._instances[k]
        if (k, channel) not in self._others:
            profile = self.spec.profiles[k]
            self._others[k, channel] = host_for(profile).load(profile)
        return self._others[k, channel]

    def latency(self, sample_rate: int) -> int:
        """Samples of delay that the plugins report together; renders are already compensated."""
        return sum(self.latencies(sample_rate))

    def latencies(self, sample_rate: int) -> list[int]:
        """Samples of delay that each plugin reports."""
        return [instance.latency(sample_rate) for instance in self._instances]

    def states(self) -> list[bytes | None]:
        """Each plugin's state after the last render; None where the format has none."""
        return [instance.state() for instance in self._instances]


class PrefixedRender:
    """Render one input at many settings, leading plugins shared; made by `Chain.prefixed`."""

    def __init__(self, chain: Chain, audio: np.ndarray, sample_rate: int, base: np.ndarray | None) -> None:
        self.chain = chain
        self.audio = _checked(audio)
        self.sample_rate = sample_rate
        self._cache = prefix_cache(chain.spec, base)

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """Render positions [controls] to float32 [channels, samples]; do not write to the result."""
        return self.before(len(self.chain.spec.profiles), positions)

    def before(self, plugin: int, positions: np.ndarray) -> np.ndarray:
        """Give what goes into the plugin at a place, from 0, at positions [controls]; do not write to it."""
        raw = self.chain.spec.space.to_raw(positions)
        slices = self.chain.spec.slices

        def step(k: int, audio: np.ndarray | None) -> np.ndarray:
            assert audio is not None
            return self.chain._step(k, audio, raw[slices[k]], self.sample_rate)

        result = self._cache.run(self.audio, raw, step, plugin)
        assert result is not None
        return result


def _still(values: np.ndarray) -> np.ndarray:
    """Turn lanes that never move into fixed values: they render the same, faster, and suit static-only controls."""
    if values.ndim == 2 and not np.any(values != values[0]):
        values = values[0]
    return np.ascontiguousarray(values)


def _channel(pieces: Iterator[np.ndarray], channel: int) -> Iterator[np.ndarray]:
    for piece in pieces:
        yield np.ascontiguousarray(piece[channel : channel + 1])


def _checked(audio: np.ndarray) -> np.ndarray:
    audio = np.asarray(audio)
    if audio.ndim != 2 or audio.dtype.kind != "f" or not len(audio):
        raise AudioError(
            f"got audio of shape {audio.shape} and type {audio.dtype}, expected float32 [channels, samples]"
        )
    return np.ascontiguousarray(audio, np.float32)
