"""Send chunks to worker processes of this machine: large arrays by a file in memory, all else by a pipe.

Conventions: an array goes into the farm's folder once, as its bare bytes, however many chunks on their way it is in,
and each worker maps that file. A pipe holds 64 KiB, so that audio through it would keep the sender and one worker
waiting for each other. What the workers get is a private copy, which they may write to.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import pickle
from typing import Any, NamedTuple

import cloudpickle
import numpy as np

from blackbox_afx.errors import FarmError
from blackbox_afx.plugins.farm_worker import Chunk, Report, run_chunk

LARGE = 32 << 10
"""Bytes above which an array goes by a file."""

_names = itertools.count()


class Parcel(NamedTuple):
    """A chunk, pickled.

    Parameters
    ----------
    content : bytes
    buffers : tuple of bytes or str
        What was taken out of it, or the file that holds it.
    """

    content: bytes
    buffers: tuple[bytes | str, ...]


class Parcels:
    """Pack one run's chunks, and delete what they no longer need.

    Parameters
    ----------
    folder : str
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        # By address and length, so that an array in many chunks is sent once. It is kept, lest its address be used
        # by another, as long as a chunk that is on its way needs it.
        self._sent: dict[tuple[int, int], _Sent] = {}

    def pack(self, chunk: Chunk) -> Parcel:
        """Pickle a chunk, functions that no module holds included."""
        found: list[pickle.PickleBuffer] = []
        content = cloudpickle.dumps(chunk, protocol=5, buffer_callback=found.append)
        return Parcel(content, tuple(self._out(chunk.number, buffer) for buffer in found))

    def _out(self, number: int, buffer: pickle.PickleBuffer) -> bytes | str:
        raw = buffer.raw()
        if raw.nbytes < LARGE:
            return bytes(raw)
        key = (_address(raw), raw.nbytes)
        if key not in self._sent:
            path = os.path.join(self._folder, f"{next(_names)}.array")
            try:
                with open(path, "xb", buffering=0) as file:
                    while raw:
                        raw = raw[file.write(raw) :]
            except OSError:
                # The disk is full: the pipe takes it, slowly.
                _delete(path)
                return bytes(buffer.raw())
            self._sent[key] = _Sent(path, buffer, set())
        self._sent[key].needed.add(number)
        return self._sent[key].path

    def arrived(self, number: int) -> None:
        """Delete what no chunk but this one needed."""
        for key, sent in list(self._sent.items()):
            sent.needed.discard(number)
            if not sent.needed:
                _delete(sent.path)
                del self._sent[key]

    def close(self) -> None:
        """Delete everything."""
        while self._sent:
            _delete(self._sent.popitem()[1].path)


class _Sent(NamedTuple):
    """An array in a file, and the chunks on their way that need it."""

    path: str
    array: pickle.PickleBuffer
    needed: set[int]


def _delete(path: str) -> None:
    # Windows keeps a file that a worker still maps; the farm's folder goes later.
    with contextlib.suppress(OSError):
        os.unlink(path)


def _address(raw: memoryview) -> int:
    return int(np.frombuffer(raw, np.uint8).__array_interface__["data"][0])


def unpack(parcel: Parcel) -> Chunk:
    """Give the chunk back, in a worker."""
    return pickle.loads(parcel.content, buffers=[_in(buffer) for buffer in parcel.buffers])


def _in(buffer: bytes | str) -> Any:
    if isinstance(buffer, bytes):
        return bytearray(buffer)
    with open(buffer, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def run_parcel(parcel: Parcel, log: str, parent: int) -> Report:
    """Do a chunk that came packed; see `run_chunk`.

    Raises
    ------
    FarmError
        It can't be read here.
    """
    try:
        chunk = unpack(parcel)
    except Exception as error:  # whatever its classes and modules raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise FarmError(f"a render worker can't read its jobs ({reason}); keep their functions in modules") from None
    return run_chunk(chunk, log, parent)
