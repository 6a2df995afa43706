"""What a farm can be asked to do: render, probe, or call a function beside the plugins.

Conventions: a job is a frozen record that pickles; `run(worker)` does it in a worker, `cost_s()` estimates it in
seconds on one core, `describe(point)` names the plugins and their plain values for messages, `key()` hashes them for
the quarantine. Audio goes in as float32 [channels, samples].
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import msgspec
import numpy as np

from blackbox_afx.errors import AudioError
from blackbox_afx.plugins.chain import ChainSpec

if TYPE_CHECKING:
    from blackbox_afx.plugins.farm_worker import Worker

RUNAWAY = 1e5
"""Peak (100 dB over full scale) above which a render counts as broken, as NaN does."""

Kind = Literal["crash", "hang", "exception", "nan"]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Say why a job has no value.

    Parameters
    ----------
    kind : {"crash", "hang", "exception", "nan"}
    plugin : str
        Labels of the chain's plugins, or the function's name.
    values : dict of str to float
        Plain values of the controls that it happened with, by their names in the chain.
    message : str
        One line.
    index : int
        Of the job, in the order they were given.
    """

    kind: Kind
    plugin: str
    values: dict[str, float]
    message: str
    index: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a job's value or its failure.

    Parameters
    ----------
    index : int
        Of the job, in the order they were given.
    value : object
    failure : Failure or None
    """

    index: int
    value: Any = None
    failure: Failure | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.failure is None


class AudioRef(msgspec.Struct, frozen=True, kw_only=True):
    """Point at a stretch of an ``.npy`` file of audio, which each worker reads once.

    Parameters
    ----------
    path : str
        Of an array [channels, samples] or [samples].
    start : int >= 0
        First sample.
    frames : int
        How many samples; -1 for all from `start` on.
    channel : int or None
        Take this channel alone.
    """

    path: str
    start: int = 0
    frames: int = -1
    channel: int | None = None

    def read(self) -> np.ndarray:
        """Copy the stretch into memory as float32 [channels, samples].

        Raises
        ------
        AudioError
            The file can't be read or is too short.
        """
        try:
            stored = np.atleast_2d(np.load(self.path, mmap_mode="r"))
        except (OSError, ValueError) as error:
            raise AudioError(f"{self.path}: can't be read as .npy audio ({error}); write it with numpy.save") from None
        end = stored.shape[1] if self.frames < 0 else self.start + self.frames
        if end > stored.shape[1]:
            raise AudioError(
                f"{self.path}: has {stored.shape[1]} samples, {self.start} to {end} were asked for; "
                "give a shorter stretch"
            )
        rows = slice(None) if self.channel is None else slice(self.channel, self.channel + 1)
        return np.array(stored[rows, self.start : end], np.float32, order="C")

    def shape(self) -> tuple[int, int]:
        """Channels and samples of the stretch; reads the file's header where `frames` or `channel` is open."""
        if self.frames >= 0 and self.channel is not None:
            return 1, self.frames
        channels, samples = np.atleast_2d(np.load(self.path, mmap_mode="r")).shape
        return (
            channels if self.channel is None else 1,
            samples - self.start if self.frames < 0 else self.frames,
        )


@runtime_checkable
class Job(Protocol):
    """Anything that a farm can run. It must pickle, and its module must not import torch."""

    @property
    def spec(self) -> ChainSpec | None:
        """The chain it uses; None where it loads no plugin."""
        ...

    def run(self, worker: Worker) -> Any:
        """Do it, in a worker."""
        ...

    def flaw(self, value: Any) -> str:
        """Say in a line what is wrong with a value; empty where nothing is."""
        ...

    def cost_s(self) -> float:
        """Estimate its seconds on one core."""
        ...

    def describe(self, point: int = -1) -> tuple[str, dict[str, float]]:
        """Name the plugins and the plain values; `point` is what it last told `Worker.at`."""
        ...

    def key(self) -> str:
        """Hash the plugins and values."""
        ...


class RenderJob(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Render audio at fixed positions; gives float32 [channels, samples].

    Parameters
    ----------
    spec : ChainSpec
    audio : float32 [channels, samples] or AudioRef
    positions : float [controls]
        0 to 1.
    sample_rate : int
        Hertz.
    """

    spec: ChainSpec
    audio: np.ndarray | AudioRef
    positions: np.ndarray
    sample_rate: int

    def run(self, worker: Worker) -> np.ndarray:
        """Render."""
        audio = finite_input(worker.audio(self.audio))
        return worker.chain(self.spec).render(audio, self.positions, self.sample_rate)

    def flaw(self, value: np.ndarray) -> str:
        """Find NaN and runaway levels."""
        return audio_flaw(value)

    def cost_s(self) -> float:
        """Estimate from the profiles."""
        channels, samples = audio_shape(self.audio)
        return self.spec.cost_s(samples / self.sample_rate, self.sample_rate, channels)

    def describe(self, point: int = -1) -> tuple[str, dict[str, float]]:
        """Name the chain and its plain values."""
        return self.spec.label, plain_values(self.spec, self.positions)

    def key(self) -> str:
        """Hash the chain and the positions."""
        return hashed(self.spec.fingerprint(), self.positions)


class ProbeJob(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Render one input at many points and correlate each with a cotangent; gives float64 [points].

    A response is ``<dL/dy, y>``, summed over channels and samples in float64; NaN for a point that failed. Leading
    plugins whose controls agree with the base or the point before are rendered once.

    Parameters
    ----------
    spec : ChainSpec
    audio : float32 [channels, samples] or AudioRef
    base : float [controls]
        Positions that the points are variations of; not rendered through to the end.
    points : float [points, controls]
        Positions, 0 to 1.
    cotangent : float [channels, samples]
        dL/dy.
    sample_rate : int
        Hertz.
    """

    spec: ChainSpec
    audio: np.ndarray | AudioRef
    base: np.ndarray
    points: np.ndarray
    cotangent: np.ndarray
    sample_rate: int

    def run(self, worker: Worker) -> np.ndarray:
        """Render the points and correlate."""
        audio = finite_input(worker.audio(self.audio))
        if self.cotangent.shape != audio.shape:
            raise AudioError(
                f"the cotangent has shape {self.cotangent.shape}, the audio {audio.shape}; they must be the same"
            )
        cotangent = np.asarray(self.cotangent, np.float64)
        responses = np.full(len(self.points), np.nan)
        render = worker.chain(self.spec).prefixed(audio, self.sample_rate, self.base)
        for k, point in enumerate(self.points):
            worker.at(k)
            try:
                output = render(point)
            except Exception as error:
                worker.note(f"{self.spec.label}, point {k}: {type(error).__name__}: {error}")
                worker.forget(self.spec)
                render = worker.chain(self.spec).prefixed(audio, self.sample_rate, self.base)
                continue
            if not audio_flaw(output):
                responses[k] = np.sum(cotangent * output)
        return responses

    def flaw(self, value: np.ndarray) -> str:
        """Accept NaN responses: they mark single points."""
        return ""

    def cost_s(self) -> float:
        """Estimate from the profiles and from what the points share."""
        channels, samples = audio_shape(self.audio)
        whole = self.spec.cost_s(samples / self.sample_rate, self.sample_rate, channels)
        return whole * self.spec.calls(self.points, self.base)

    def describe(self, point: int = -1) -> tuple[str, dict[str, float]]:
        """Name the chain and the plain values of a point, or of the base."""
        return self.spec.label, plain_values(self.spec, self.base if point < 0 else self.points[point])

    def key(self) -> str:
        """Hash the chain, the base and the points."""
        return hashed(self.spec.fingerprint(), self.base, self.points)


class CallJob(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Call ``function(worker, *args)``, so that other code can run beside the plugins.

    Parameters
    ----------
    function : callable
        At the top level of a module that does not import torch.
    args : tuple
        What pickles.
    spec : ChainSpec or None
        The chain it uses, if any: without one it may run in this process, and its exceptions are not tried again.
    cost : float
        Seconds on one core.
    finite : bool
        Whether a float array with NaN or infinity in it is a failure.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    spec: ChainSpec | None = None
    cost: float = 0.05
    finite: bool = True

    def run(self, worker: Worker) -> Any:
        """Call the function."""
        return self.function(worker, *self.args)

    def flaw(self, value: Any) -> str:
        """Find NaN in arrays, where asked to."""
        if self.finite and isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
            return "the result is not finite"
        return ""

    def cost_s(self) -> float:
        """Give the stated cost."""
        return self.cost

    def describe(self, point: int = -1) -> tuple[str, dict[str, float]]:
        """Name the chain, or the function."""
        return self.spec.label if self.spec else getattr(self.function, "__qualname__", str(self.function)), {}

    def key(self) -> str:
        """Hash the function's name and what it gets."""
        name = f"{self.function.__module__}.{self.function.__qualname__}"
        return hashlib.sha256(name.encode() + pickle.dumps(self.args, 5)).hexdigest()[:16]


def audio_flaw(audio: np.ndarray) -> str:
    """Say what is wrong with a render; empty where nothing is."""
    if not audio.size:
        return ""
    peak = max(float(audio.max()), -float(audio.min()))
    if not np.isfinite(peak):
        return "the output is not finite"
    return "" if peak < RUNAWAY else f"the output peaks at {peak:.3g}, full scale is 1"


def finite_input(audio: np.ndarray) -> np.ndarray:
    """Refuse input that would make any plugin look broken.

    Raises
    ------
    AudioError
        It has NaN or infinity in it.
    """
    if audio_flaw(audio):
        raise AudioError(f"the input has samples that are not finite or above {RUNAWAY:g}; repair the recording")
    return audio


def audio_shape(audio: np.ndarray | AudioRef) -> tuple[int, int]:
    """Channels and samples of a job's audio."""
    if isinstance(audio, AudioRef):
        return audio.shape()
    return audio.shape[0], audio.shape[-1]


def plain_values(spec: ChainSpec, positions: np.ndarray) -> dict[str, float]:
    """Word positions [controls] as plain values by name."""
    plain = spec.space.to_plain(np.asarray(positions))
    return dict(zip(spec.names, map(float, plain), strict=True))


def hashed(name: str, *arrays: np.ndarray) -> str:
    """Hash a name and arrays as 16 hex digits."""
    digest = hashlib.sha256(name.encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array, np.float64).tobytes())
    return digest.hexdigest()[:16]
