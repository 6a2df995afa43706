"""Tell whether audio can be worked with, in one line where it can't."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from blackbox_afx.audio.levels import peak_dbfs
from blackbox_afx.audio.read import AUDIO_SUFFIXES, AudioInfo, info, stream
from blackbox_afx.audio.whole import cut_short
from blackbox_afx.errors import AudioError
from blackbox_afx.types import Audio

SILENT_BELOW_DBFS = -90.0
"""Peaks under this count as silence: below the least bit of 16-bit audio."""


def _refuse_level(peak: float, name: str | Path) -> None:
    if peak < SILENT_BELOW_DBFS:
        raise AudioError(
            f"{name} is silent (peak {peak:.1f} dBFS); expected a peak above {SILENT_BELOW_DBFS:g} dBFS; "
            "record or choose it again"
        )


def _refuse_short(seconds: float, min_seconds: float, name: str | Path) -> None:
    if seconds < min_seconds:
        lost = cut_short(name) if isinstance(name, Path) else ""
        raise AudioError(
            f"{name} is too short ({seconds:.2f} s); expected at least {min_seconds:.2f} s; "
            + (f"{lost}; copy it again" if lost else "use a longer recording")
        )


def _refuse_non_finite(bad: int, name: str | Path) -> None:
    if bad:
        raise AudioError(f"{name} holds {bad} samples that are NaN or infinite; expected numbers only; export it again")


def check_audio(
    audio: np.ndarray, sample_rate: float, name: str | Path = "the audio", *, min_seconds: float = 0.0
) -> None:
    """Raise unless an array is audio that can be worked with.

    Parameters
    ----------
    audio : np.ndarray [channels, samples]
        What to check.
    sample_rate : float > 0
        Hz.
    name : str or Path
        How messages call it, for example its path.
    min_seconds : float >= 0
        Shorter than this is refused.

    Raises
    ------
    AudioError
        For another shape, no samples, NaN or infinite samples, silence, or too short a length.
    """
    if audio.ndim != 2:
        raise AudioError(f"{name} has shape {list(audio.shape)}; expected [channels, samples]")
    if audio.size == 0:
        raise AudioError(f"{name} is empty (no samples); expected audio; replace it or leave it out")
    _refuse_non_finite(int(np.count_nonzero(~np.isfinite(audio))), name)
    _refuse_short(audio.shape[1] / sample_rate, min_seconds, name)
    _refuse_level(peak_dbfs(audio), name)


def check_file(path: str | Path, *, min_seconds: float = 0.0) -> AudioInfo:
    """Raise unless a file is audio that can be worked with; reads it to its end in bounded memory.

    Parameters
    ----------
    path : str or Path
        The file.
    min_seconds : float >= 0
        Shorter than this is refused.

    Returns
    -------
    AudioInfo
        What its header says.

    Raises
    ------
    AudioError
        For no such file, a folder, an empty file, one that is not audio or is damaged, NaN, silence, or too
        short a length.
    """
    about = info(path)
    for _ in checked_stream(path, 1 << 18, min_seconds=min_seconds):
        pass
    return about


def checked_stream(path: str | Path, block_frames: int, *, min_seconds: float = 0.0) -> Iterator[Audio]:
    """Read a file as `stream` does, and raise after its last block unless it can be worked with.

    Parameters
    ----------
    path : str or Path
        The file.
    block_frames : int > 0
        Samples of every block but the last.
    min_seconds : float >= 0
        Shorter than this is refused.

    Yields
    ------
    np.ndarray [channels, block_frames] float32
        Zeros stand for samples that are no numbers.

    Raises
    ------
    AudioError
        As `check_file`.
    """
    sample_rate = info(path).sample_rate
    frames, bad, peak = 0, 0, -math.inf
    for block in stream(path, block_frames):
        frames += block.shape[1]
        level = peak_dbfs(block)
        if not math.isfinite(level):
            finite = np.isfinite(block)
            bad += int(np.count_nonzero(~finite))
            block = np.where(finite, block, np.float32(0))
            level = peak_dbfs(block)
        peak = max(peak, level)
        yield block
    _refuse_non_finite(bad, path)
    _refuse_short(frames / sample_rate, min_seconds, Path(path))
    _refuse_level(peak, path)


def list_audio(folder: str | Path) -> list[Path]:
    """List the audio files under a folder, by name, in a fixed order.

    Parameters
    ----------
    folder : str or Path
        Searched to any depth; hidden files and folders are left out.

    Returns
    -------
    list of Path
        At least one.

    Raises
    ------
    AudioError
        For no such folder, a file, or a folder without audio.
    """
    folder = Path(folder)
    if not folder.exists():
        raise AudioError(f"{folder}: no such folder; expected a folder of audio files; check the path")
    if not folder.is_dir():
        raise AudioError(f"{folder} is a file; expected a folder of audio files; name the folder it lies in")
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        found += [
            Path(root, name)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES
        ]
    if not found:
        raise AudioError(
            f"{folder} holds no audio; expected WAV, AIFF, FLAC, OGG or MP3 files in it or its sub-folders; "
            "point at the folder with the recordings"
        )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
