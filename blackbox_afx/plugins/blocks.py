"""What both hosts do around a plugin: check audio and values, cut audio into blocks, guard what comes out.

Conventions: audio float32 [channels, samples]; raw values 0 to 1, [controls] or [blocks, controls]; one block is
`block_size` samples, the last is padded with zeros, so that a plugin never sees a block of another length.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from blackbox_afx.errors import AudioError, PluginError
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import MAXIMUM_BLOCK_SIZE, Profile

LOUDEST = 1e4
"""Full scale is 1; what lies above this (80 dB) is a filter that ran away, not sound."""

_LONGEST_DELAY_S = 60.0


def check_audio(audio: np.ndarray, profile: Profile, channels: int | None = None) -> np.ndarray:
    """Give audio back as contiguous float32 that this plugin can take.

    Parameters
    ----------
    audio : float [channels, samples]
    profile : Profile
    channels : int, optional
        Channels that earlier pieces of the same stream had.

    Raises
    ------
    AudioError
        Not two axes, not numbers, or NaN or infinity in it.
    PluginError
        A channel count that the plugin does not take.
    """
    audio = np.asarray(audio)
    if audio.ndim != 2 or audio.dtype.kind != "f":
        raise AudioError(
            f"got an array of shape {audio.shape} and type {audio.dtype}, "
            "expected float32 [channels, samples]; add the axis or convert it first"
        )
    if not np.isfinite(audio).all():
        where = np.argwhere(~np.isfinite(audio))[0]
        raise AudioError(
            f"the audio holds NaN or infinity, first at channel {where[0]}, sample {where[1]}; "
            "clean it before rendering"
        )
    wanted = profile.channels or channels
    if wanted and audio.shape[0] != wanted:
        twin = profile.mono_twin if audio.shape[0] == 1 else profile.stereo_twin
        names = {1: "mono", 2: "stereo"}
        advice = f"use its twin {twin}" if twin else "render channel by channel, or mix down first"
        raise PluginError(
            f"{profile.label} takes {names.get(wanted, f'{wanted} channels')}, got {audio.shape[0]} channels; {advice}"
        )
    if profile.channels == 0 and audio.shape[0] not in (1, 2):
        raise PluginError(f"{profile.label}: got {audio.shape[0]} channels, expected 1 or 2; split them first")
    return np.ascontiguousarray(audio, np.float32)


def check_values(values: np.ndarray, profile: Profile) -> np.ndarray:
    """Give raw values back as float64 [rows, controls], clamped to [0, 1]; one row where they are fixed.

    Raises
    ------
    PluginError
        The wrong number of controls, no rows, or a value that is not finite.
    """
    values = np.asarray(values, np.float64)
    active = profile.active
    if values.ndim not in (1, 2) or values.shape[-1] != len(active) or values.shape[0] == 0:
        raise PluginError(
            f"{profile.label}: got values of shape {values.shape}, "
            f"expected [{len(active)}] or [blocks, {len(active)}], one raw value for each active control"
        )
    rows = np.atleast_2d(values)
    bad = np.argwhere(~np.isfinite(rows))
    if len(bad):
        row, column = bad[0]
        raise PluginError(
            f"{profile.label}: control '{active[column].name}' was given {rows[row, column]}, "
            "expected a raw value from 0 to 1"
        )
    for column, control in enumerate(active):
        if not control.automatable and np.ptp(rows[:, column]):
            raise PluginError(
                f"{profile.label}: control '{control.name}' can be set but not automated, and its lane varies; "
                "give it one value"
            )
    return np.clip(rows, 0.0, 1.0)


def check_block_size(block_size: int | None, profile: Profile, smallest: int = 1) -> int:
    """Choose the block size: the one asked for or the profile's.

    Raises
    ------
    PluginError
        Outside what host and plugins stand.
    """
    chosen = profile.block_size if block_size is None else int(block_size)
    if not smallest <= chosen <= MAXIMUM_BLOCK_SIZE:
        raise PluginError(
            f"{profile.label}: block size {chosen} can't be rendered with, expected {smallest} to {MAXIMUM_BLOCK_SIZE}"
        )
    return chosen


def check_output(audio: np.ndarray, profile: Profile, row: np.ndarray | None) -> np.ndarray:
    """Refuse what is not sound.

    Raises
    ------
    PluginError
        NaN, infinity or more than `LOUDEST`, naming the plugin and the values that led there.
    """
    peak = float(np.max(np.abs(audio))) if audio.size else 0.0
    if peak <= LOUDEST:  # False for NaN too
        return audio
    what = "NaN or infinity" if not np.isfinite(peak) else f"samples of {peak:.3g}"
    raise PluginError(
        f"{profile.label} gave {what} with {word_values(profile.active, row)}; "
        "narrow the ranges of these controls in the profile, or resample a file of a low rate to 24 kHz or more"
    )


def word_values(controls: tuple[Control, ...], row: np.ndarray | None) -> str:
    """Word one row of raw values in plain ones, for messages."""
    if row is None:
        return "the plugin's own values"
    return ", ".join(
        f"{control.name} = {control.text(float(control.plain_from_raw(raw)))}"
        for control, raw in zip(controls, row, strict=True)
    )


def check_main_thread(profile: Profile, doing: str) -> None:
    """Refuse to load a plugin anywhere but on the main thread.

    Raises
    ------
    PluginError
        DawDreamer would wait for ever there, pedalboard refuse.
    """
    if threading.current_thread() is not threading.main_thread():
        raise PluginError(
            f"{profile.label} can be {doing} on the main thread only, this is '{threading.current_thread().name}'; "
            "load plugins on the main thread, or use processes for parallel renders"
        )


def through_blocks(
    pieces: Iterable[np.ndarray],
    rows: np.ndarray | None,
    block_size: int,
    apply: Callable[[np.ndarray], None],
    process: Callable[[np.ndarray], np.ndarray],
    sample_rate: int,
) -> Iterator[np.ndarray]:
    """Send audio through a running plugin in whole blocks, setting values where they change.

    Blocks with the same values go in one call, which changes nothing in the sound: `process` cuts its audio into blocks
    of `block_size` itself.

    Parameters
    ----------
    pieces : iterable of float32 [channels, samples]
    rows : float64 [rows, controls] or None
        Row k holds from block k on; the last one to the end. None sets nothing.
    block_size : int
    apply : callable
        Sets one row.
    process : callable
        float32 [channels, k block_size] -> float32 [channels, at most as many]; a plugin with latency gives fewer at
        first, and all are in time with its input.
    sample_rate : int

    Yields
    ------
    float32 [channels, samples]
        As many samples as came in.
    """
    changes = np.array([], int) if rows is None else 1 + np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1))
    starts = set(changes.tolist())
    carry: list[np.ndarray] = []
    waiting = taken = given = block = 0
    shown: np.ndarray | None = None

    def send(audio: np.ndarray) -> Iterator[np.ndarray]:
        nonlocal block, shown
        at, blocks = 0, audio.shape[1] // block_size
        while at < blocks:
            until = blocks
            if rows is not None:
                if shown is None or block in starts:
                    shown = row = rows[min(block, len(rows) - 1)]
                    apply(row)
                later = changes[np.searchsorted(changes, block, side="right") :]
                until = min(blocks, at + int(later[0]) - block) if len(later) else blocks
            yield process(np.ascontiguousarray(audio[:, at * block_size : until * block_size]))
            block += until - at
            at = until

    channels = 0
    for piece in pieces:
        channels = piece.shape[0]
        taken += piece.shape[1]
        waiting += piece.shape[1]
        carry.append(piece)
        if waiting < block_size:
            continue
        joined = carry[0] if len(carry) == 1 else np.concatenate(carry, axis=1)
        whole = waiting // block_size * block_size
        carry, waiting = [joined[:, whole:]], waiting - whole
        for out in send(joined[:, :whole]):
            given += out.shape[1]
            if out.shape[1]:
                yield out
    flushed = 0
    while given < taken:
        rest = np.concatenate(carry, axis=1) if carry else np.zeros((channels, 0), np.float32)
        flushed += block_size
        if flushed > _LONGEST_DELAY_S * sample_rate + 2 * block_size:
            raise PluginError(
                f"{taken - given} of {taken} samples did not come out after {_LONGEST_DELAY_S:g} s of silence; "
                "the plugin swallows audio and can't be used"
            )
        carry = []
        for out in send(np.pad(rest, ((0, 0), (0, block_size - rest.shape[1])))):
            wanted = out[:, : taken - given]
            given += wanted.shape[1]
            if wanted.shape[1]:
                yield wanted


Runner = Callable[[Iterable[np.ndarray], "np.ndarray | None", int, int], Iterator[np.ndarray]]


def render_whole(
    run: Runner,
    profile: Profile,
    audio: np.ndarray,
    values: np.ndarray | None,
    sample_rate: int,
    block_size: int | None,
    smallest: int,
) -> np.ndarray:
    """Check everything, run one piece through, and join what comes out."""
    audio = check_audio(audio, profile)
    rows = None if values is None else check_values(values, profile)
    size = check_block_size(block_size, profile, smallest)
    if not audio.shape[1]:
        return audio.copy()
    out = list(run([audio], rows, sample_rate, size))
    return np.ascontiguousarray(out[0] if len(out) == 1 else np.concatenate(out, axis=1), np.float32)


def stream_pieces(
    run: Runner,
    profile: Profile,
    pieces: Iterable[np.ndarray],
    values: np.ndarray | None,
    sample_rate: int,
    block_size: int | None,
    smallest: int,
) -> Iterator[np.ndarray]:
    """Check everything that can be checked before the first piece, then run piece by piece."""
    rows = None if values is None else check_values(values, profile)
    size = check_block_size(block_size, profile, smallest)

    def checked() -> Iterator[np.ndarray]:
        channels = None
        for piece in pieces:
            piece = check_audio(piece, profile, channels)
            channels = piece.shape[0]
            yield piece

    return run(checked(), rows, sample_rate, size)
