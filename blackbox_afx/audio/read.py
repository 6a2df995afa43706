"""Read audio files: whole, in part, or block by block.

WAV, AIFF, FLAC, OGG (Vorbis, Opus), MP3 and whatever else the installed libsndfile knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import soundfile

from blackbox_afx.audio.resampling import StreamingResampler, resample
from blackbox_afx.errors import AudioError, UsageError
from blackbox_afx.types import Audio

AUDIO_SUFFIXES = frozenset(
    {
        ".wav",
        ".wave",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".caf",
        ".w64",
        ".rf64",
    }
)
"""File names that are taken for audio when a folder is searched."""


class AudioInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the header of an audio file says."""

    path: Path
    sample_rate: int
    """Hz"""
    channels: int
    frames: int
    """Samples a channel."""
    format: str
    """libsndfile's name of the container: WAV, FLAC, OGG, ..."""
    subtype: str
    """libsndfile's name of the sample format: PCM_16, FLOAT, VORBIS, ..."""

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


def _open(path: str | Path) -> soundfile.SoundFile:
    """Open a file for reading, or say in one line why it can't be."""
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path} is a folder; expected an audio file; name a file inside it")
    if not path.exists():
        raise AudioError(f"{path}: no such file; expected an audio file; check the path")
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        raise AudioError(f"{path} can't be read ({error.strerror}); check its permissions") from error
    if empty:
        raise AudioError(f"{path} is an empty file (0 bytes); expected audio; replace it or leave it out")
    try:
        file = soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, TypeError, OSError) as error:
        if not _readable(path):
            raise AudioError(f"{path} can't be read (permission denied); check its permissions") from None
        # TypeError is what soundfile raises for a .raw name, which has no header to read.
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        raise AudioError(
            f"{path} is not audio that can be read ({reason}); expected WAV, AIFF, FLAC, OGG or MP3; "
            "convert it, or check that it is not damaged"
        ) from None
    return file


def _readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _info(file: soundfile.SoundFile, path: str | Path) -> AudioInfo:
    return AudioInfo(
        path=Path(path),
        sample_rate=file.samplerate,
        channels=file.channels,
        frames=file.frames,
        format=file.format,
        subtype=file.subtype,
    )


def info(path: str | Path) -> AudioInfo:
    """Read the header of an audio file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    AudioInfo

    Raises
    ------
    AudioError
        For no such file, a folder, an empty file, or one that is not audio.
    """
    with _open(path) as file:
        return _info(file, path)


def _seek(file: soundfile.SoundFile, path: str | Path, start: int, frames: int | None) -> int:
    """Go to the first wanted frame and return how many to read."""
    if start < 0 or (frames is not None and frames < 0):
        raise UsageError(f"start {start} and frames {frames} of {path}; expected neither below 0")
    there = file.frames
    if there == 0:
        raise AudioError(f"{path} holds no samples; expected audio; replace it or leave it out")
    if start >= there:
        raise AudioError(f"{path} has {there} frames; asked to start at {start}; start earlier")
    if start:
        try:
            file.seek(start)
        except soundfile.LibsndfileError as error:
            raise _damaged(path, error) from None
    return there - start if frames is None else min(frames, there - start)


def _damaged(path: str | Path, error: Exception) -> AudioError:
    reason = str(getattr(error, "error_string", error)).rstrip(".")
    return AudioError(f"{path} is damaged part of the way ({reason}); replace it or leave it out")


def read_audio(
    path: str | Path,
    *,
    start: int = 0,
    frames: int | None = None,
    sample_rate: float | None = None,
    mono: bool = False,
) -> tuple[Audio, int]:
    """Read an audio file, or a part of it, into memory.

    Parameters
    ----------
    path : str or Path
        The file.
    start : int >= 0
        First frame, counted at the file's own sample rate; what lies before is skipped, not decoded.
    frames : int >= 0, optional
        Frames to read, at the file's own rate; fewer come back where the file ends first. All by default.
    sample_rate : float, optional
        Resample to this many Hz. The file's own rate by default.
    mono : bool
        Average the channels.

    Returns
    -------
    audio : np.ndarray [channels, samples] float32
        Full scale at +-1.
    sample_rate : int
        Hz, of the returned audio.

    Raises
    ------
    AudioError
        For no such file, a folder, an empty file, one that is not audio or is damaged.
    """
    with _open(path) as file:
        count = _seek(file, path, start, frames)
        rate = file.samplerate
        try:
            data = file.read(count, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _damaged(path, error) from None
    if len(data) == 0 and count > 0:
        raise AudioError(f"{path} promises {count} frames and gives none: damaged; replace it or leave it out")
    audio = np.ascontiguousarray(data.T)
    if mono and len(audio) > 1:
        audio = audio.mean(axis=0, keepdims=True, dtype=np.float32)
    if sample_rate is not None and sample_rate != rate:
        audio = resample(audio, rate, sample_rate)
        rate = round(sample_rate)
    return audio, rate


def stream(
    path: str | Path,
    block_frames: int = 65536,
    *,
    start: int = 0,
    frames: int | None = None,
    sample_rate: float | None = None,
    mono: bool = False,
) -> Iterator[Audio]:
    """Read an audio file block by block, in memory that does not grow with its length.

    Parameters
    ----------
    path : str or Path
        The file.
    block_frames : int > 0
        Samples of every block but the last, at the rate that comes out.
    start, frames, sample_rate, mono
        As for `read_audio`.

    Yields
    ------
    np.ndarray [channels, block_frames] float32
        The last one may be shorter; none is empty. Their concatenation is what `read_audio` returns.

    Raises
    ------
    AudioError
        As `read_audio`, at the first block or where the damage lies.
    UsageError
        For a block size that is not positive.
    """
    if block_frames <= 0:
        raise UsageError(f"block_frames is {block_frames}; expected a positive number of samples")
    with _open(path) as file:
        left = _seek(file, path, start, frames)
        channels = 1 if mono else file.channels
        resampler = StreamingResampler(file.samplerate, sample_rate or file.samplerate, channels)
        held = np.zeros((channels, 0), dtype=np.float32)
        while left > 0:
            try:
                data = file.read(min(block_frames, left), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise _damaged(path, error) from None
            if len(data) == 0:
                break
            left -= len(data)
            block = data.T.mean(axis=0, keepdims=True, dtype=np.float32) if mono else data.T
            block = resampler.process(block)
            held = np.concatenate([held, block], axis=1) if held.shape[1] else block
            while held.shape[1] >= block_frames:
                yield np.ascontiguousarray(held[:, :block_frames])
                held = held[:, block_frames:]
        held = np.concatenate([held, resampler.finish()], axis=1)
        for at in range(0, held.shape[1], block_frames):
            yield np.ascontiguousarray(held[:, at : at + block_frames])
