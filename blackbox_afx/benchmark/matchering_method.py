"""Matchering as a method: it matches level, spectrum and loudness of a reference, with no plugin and nothing learned.

It works on stereo files at 44.1 kHz. So input and reference are resampled to that with soxr, written as two equal
channels in 32-bit float, and what comes back is averaged and resampled again. Its own limiter stays on, as it comes.

References
----------
Sergree, "Matchering 2.0", GPL-3.0, https://github.com/sergree/matchering
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from blackbox_afx.audio import resample
from blackbox_afx.benchmark.pairs import Pair
from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.chain import ChainSpec

RATE = 44100
NAME = "matchering"


def check_matchering() -> None:
    """Raise where it is not installed.

    Raises
    ------
    UsageError
    """
    if importlib.util.find_spec("matchering") is None:
        raise UsageError(
            "matchering is not installed; expected the extra 'matchering'; pip install 'blackbox-afx[matchering]'"
        )


def match_with_matchering(source: np.ndarray, reference: np.ndarray, sample_rate: int) -> np.ndarray:
    """Let Matchering bring a recording to a reference.

    Parameters
    ----------
    source, reference : np.ndarray [samples] float32
        Longer than 0.1 s, and not the same.
    sample_rate : int
        Hz, of both.

    Returns
    -------
    np.ndarray [samples] float32
        As long as the source.

    Raises
    ------
    UsageError
        It is not installed.
    """
    check_matchering()
    import matchering  # pyrefly: ignore[missing-import]  (an extra)

    with tempfile.TemporaryDirectory(prefix="afx-") as folder:
        places = [Path(folder, name) for name in ("source.wav", "reference.wav", "result.wav")]
        for place, audio in zip(places, (source, reference), strict=False):
            at_44k = resample(audio[None], sample_rate, RATE)[0]
            soundfile.write(place, np.stack([at_44k, at_44k], axis=1), RATE, subtype="FLOAT")
        results = [matchering.Result(str(places[2]), subtype="FLOAT", use_limiter=True)]
        matchering.process(target=str(places[0]), reference=str(places[1]), results=results)
        stereo, _ = soundfile.read(places[2], dtype="float32", always_2d=True)
    back = resample(stereo.mean(axis=1, dtype=np.float32)[None], RATE, sample_rate)[0]
    return np.pad(back, (0, max(0, len(source) - len(back))))[: len(source)]


class Matchering:
    """Matchering beside the methods that set plugins."""

    def __init__(self) -> None:
        check_matchering()
        self.name: str = NAME
        self.spec: ChainSpec | None = None

    def render(self, pairs: Sequence[Pair], sample_rate: int) -> list[np.ndarray | None]:
        """Process each pair's input; None where Matchering refuses it."""
        return [self._one(pair, sample_rate) for pair in pairs]

    def _one(self, pair: Pair, sample_rate: int) -> np.ndarray | None:
        from matchering.log.exceptions import ModuleError  # pyrefly: ignore[missing-import]  (an extra)

        try:
            return match_with_matchering(pair.source, pair.reference, sample_rate)
        # It has errors of its own, and those of scipy and statsmodels on odd audio.
        except (ModuleError, ValueError, RuntimeError):
            return None
