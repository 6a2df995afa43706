"""What is asked for the style it hears: encoders of controllers, our statistics, and embeddings that others made.

Conventions: an embedder has a name, the sample rate at which it hears, and `embed(audio [samples]) -> [dimension]`.
Each hears at its own rate; the benchmark resamples.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import scipy.fft

from blackbox_afx.benchmark.methods import ControllerMethod, load_methods
from blackbox_afx.errors import UsageError
from blackbox_afx.features.hearing import Hears, hear
from blackbox_afx.metrics.mel import mel_filterbank


class Embedder(Protocol):
    """Something that turns a recording into a vector."""

    name: str
    rate: int
    """Hz, at which it hears."""
    about: str
    """What it is, in a few words."""

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """Embed mono audio float32 [samples] as float [dimension]."""
        ...


class RandomMel:
    """A mel spectrum through fixed random numbers: what any encoder should beat.

    The logarithm of 256 mel bands (FFT 4096, hop 2048) is averaged over time and multiplied by a fixed Gaussian matrix
    to 4096 numbers.

    References
    ----------
    Turian et al., "HEAR: Holistic evaluation of audio representations", 2022: the naive baseline.
    """

    name, rate = "random-mel", 44100
    about = "log mel spectrum, random projection, 4096"
    size, hop, bands, dimension, floor = 4096, 2048, 256, 4096, 1e-4

    def __init__(self) -> None:
        self.bank = mel_filterbank(self.rate, self.size, self.bands)
        self.window = np.hanning(self.size)
        self.matrix = np.random.default_rng(0).standard_normal((self.bands, self.dimension)) / np.sqrt(self.bands)

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """Embed float32 [samples] as [4096]."""
        padded = np.pad(audio, (0, max(0, self.size - len(audio))))
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.size)[:: self.hop]
        power = np.abs(scipy.fft.rfft(frames * self.window)) ** 2
        return np.log(power @ self.bank.T + self.floor).mean(axis=0) @ self.matrix


class Statistics:
    """Our statistics of spectrum, level and dynamics, before any learning."""

    name, rate = "statistics", 24000
    hears: Hears = "statistics"
    about = "statistics of spectrum, level and dynamics, nothing learned"

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """Embed float32 [samples] as [dimension]."""
        return hear(self.hears, audio, self.rate)


class Coloured(Statistics):
    """The same, and what the mixture of short-time spectra that comes with the package says of colour and content."""

    name = "mixture"
    hears: Hears = "mixture"
    about = "statistics, and colour and occupancy by a mixture of spectra learned on other recordings"


class ControllerEmbedder:
    """What a controller's encoder makes of a recording, as its controller receives it.

    Parameters
    ----------
    method : ControllerMethod
    """

    def __init__(self, method: ControllerMethod) -> None:
        self.method, self.name, self.rate = method, method.name, method.card.sample_rate
        self.about = f"encoder of a controller for {method.spec.label}"

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """Embed float32 [samples] as [dimension]."""
        import torch

        network = cast(Any, self.method.network)
        prepared = network.prepare(audio, self.rate)
        with torch.no_grad():
            network.eval()
            heard = torch.as_tensor(np.asarray(prepared, np.float32))[None]
            embedding = network.encoder(heard)
            # Where the controller scales what it hears by what it learned, that belongs to the embedding.
            scale = getattr(network.controller, "source", None)
            return (scale(embedding) if scale is not None else embedding)[0].double().numpy()


class OpenL3:
    """OpenL3, the variant for music on 256 mel bands; mean over windows of a second.

    References
    ----------
    Cramer, Wu, Salamon, Bello, "Look, listen, and learn more", ICASSP 2019.
    """

    name, rate = "openl3", 48000
    about = "OpenL3, music, mel256, 6144"

    def __init__(self) -> None:
        _require("openl3")
        import openl3  # pyrefly: ignore[missing-import]  (brought by the user)

        self.get = openl3.get_audio_embedding
        self.model = openl3.models.load_audio_embedding_model("mel256", "music", 6144)

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """Embed float32 [samples] as [6144]."""
        windows, _ = self.get(audio, self.rate, model=self.model, hop_size=0.5, verbose=0)
        return np.asarray(windows).mean(axis=0)


class CDPAM:
    """CDPAM's acoustic embedding, of 22 050 Hz audio in the scale of 16-bit numbers.

    References
    ----------
    Manocha, Jin, Zhang, Finkelstein, "CDPAM: Contrastive learning for perceptual audio similarity", ICASSP 2021.
    """

    name, rate = "cdpam", 22050
    about = "CDPAM, acoustic half, 512"

    def __init__(self) -> None:
        _require("cdpam", extra="cdpam")
        import cdpam  # pyrefly: ignore[missing-import]  (brought by the user)

        # The package's weights are a pickle that torch won't open of its own accord; it is as trusted as its code.
        with _environment("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1"):
            self.encoder = cdpam.CDPAM(dev="cpu").model.base_encoder

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """Embed float32 [samples] as [512]."""
        import torch

        heard = torch.from_numpy(np.round(audio * 32768.0).astype(np.float32))
        with torch.no_grad():
            _, acoustic, _ = self.encoder.forward(heard[None, None])
        return acoustic[0].double().numpy()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


OTHERS: dict[str, Callable[[], Embedder]] = {
    "random-mel": RandomMel,
    "statistics": Statistics,
    "mixture": Coloured,
    "openl3": OpenL3,
    "cdpam": CDPAM,
}
"""Embeddings beside the controllers', by name; the last two are packages that the user installs."""


def _require(package: str, extra: str = "") -> None:
    if importlib.util.find_spec(package) is None:
        what = f'"blackbox_afx[{extra}]"' if extra else package
        raise UsageError(f"{package} is not installed; expected its package and weights; pip install {what}")


def make_embedders(
    names: Sequence[str], controllers: Sequence[Path], missing: Callable[[str, str], None]
) -> list[Embedder]:
    """Make embedders; what is not there is told and left out.

    Parameters
    ----------
    names : sequence of str
        Keys of `OTHERS`.
    controllers : sequence of Path
    missing : callable
        Told the name of what can't be used, and why, in a line.

    Raises
    ------
    ControllerError
        A controller can't be read.
    UsageError
        Nothing is left.
    """
    made: list[Embedder] = []
    why = ""
    for name in names:
        try:
            made.append(OTHERS[name]())
        except UsageError as error:
            why = str(error)
            missing(name, why)
        # Whatever someone else's package does when its weights or its own requirements are missing.
        except Exception as error:
            why = f"{name} can't be loaded ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
            missing(name, why)
    for path in controllers:
        # One by one, as they may have been learned at different rates.
        for method in load_methods([path]):
            name, count = method.name, 1
            while method.name in {embedder.name for embedder in made}:
                count += 1
                method.name = f"{name}-{count}"
            made.append(ControllerEmbedder(method))
    if not made:
        raise UsageError(
            f"no embedding can be used: {why or 'none was named'}; give --controller or another --embedding"
        )
    return made
