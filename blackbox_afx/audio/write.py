"""Write audio files beside their place and rename them in: a file is whole or not there.

The container follows the extension. The sample format is kept where the container has it;
where it has not, and for lossy sources, 24-bit PCM is written, or the container's own codec.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from blackbox_afx.audio.read import AudioInfo
from blackbox_afx.errors import AudioError, OutputError
from blackbox_afx.types import Audio

# Extension: container, and the sample format where the wanted one can't be had.
_CONTAINERS = {
    ".wav": ("WAV", "PCM_24"),
    ".wave": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aif": ("AIFF", "PCM_24"),
    ".aiff": ("AIFF", "PCM_24"),
    ".caf": ("CAF", "PCM_24"),
    ".w64": ("W64", "PCM_24"),
    ".rf64": ("RF64", "PCM_24"),
}
# Sample formats worth keeping; others (ADPCM, mu-law, lossy codecs) would be a loss on the way out.
_KEPT = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}
# libsndfile's Vorbis encoder puts a whole write on the stack.
_WRITE_FRAMES = 65536


def _container(path: Path, subtype: str | None) -> tuple[str, str]:
    try:
        container, fallback = _CONTAINERS[path.suffix.lower()]
    except KeyError:
        known = " ".join(sorted(_CONTAINERS))
        raise OutputError(
            f"{path}: can't write audio as '{path.suffix}'; expected one of {known}; choose another extension"
        ) from None
    if subtype in _KEPT and soundfile.check_format(container, subtype):
        return container, subtype
    return container, fallback


class AudioWriter:
    """Write a file block by block; it appears under its name only when all went well.

    Parameters
    ----------
    path : str or Path
        Where to; the extension chooses the container.
    sample_rate : int > 0
        Hz.
    channels : int >= 1
        Channels of every block.
    subtype : str, optional
        libsndfile's name of the sample format (PCM_16, PCM_24, FLOAT, ...).
    like : AudioInfo, optional
        Keep the sample format of this source; `subtype` wins.
    force : bool
        Replace what is there.

    Attributes
    ----------
    path : Path
    subtype : str
        The sample format in use.
    clipped : int
        Samples beyond full scale so far; an integer format cuts them off.

    Raises
    ------
    OutputError
        For a file already there, an unknown extension, a place that can't be written to.
    AudioError
        For blocks with NaN or infinite samples, or another number of channels.

    Examples
    --------
    >>> with AudioWriter("out.wav", 48000, 2) as writer:  # doctest: +SKIP
    ...     for block in stream("in.wav"):
    ...         writer.write(block)
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        channels: int,
        *,
        subtype: str | None = None,
        like: AudioInfo | None = None,
        force: bool = False,
    ) -> None:
        # A link stays a link: the file it points to is what gets replaced.
        self.path = Path(os.path.realpath(path))
        self.channels = channels
        self.force = force
        self.clipped = 0
        container, self.subtype = _container(self.path, subtype or (like.subtype if like else None))
        self._refuse_existing()
        if not self.path.parent.is_dir():
            raise OutputError(f"{self.path}: the folder {self.path.parent} does not exist; create it first")
        part = f".{self.path.stem[:64]}.{secrets.token_hex(4)}.part{self.path.suffix}"
        self._part = self.path.with_name(part)
        try:
            # Python opens it, so that "no space" and "permission denied" keep their names.
            self._handle = self._part.open("x+b")
        except OSError as error:
            reason = error.strerror
            raise OutputError(f"{self.path} can't be written ({reason}); choose another folder") from None
        try:
            self._file = soundfile.SoundFile(self._handle, "w", sample_rate, channels, self.subtype, format=container)
        except (soundfile.LibsndfileError, ValueError, TypeError) as error:
            self._discard()
            reason = str(getattr(error, "error_string", error)).rstrip(".")
            raise OutputError(
                f"{self.path}: {container} can't hold {channels} channels at {sample_rate} Hz "
                f"as {self.subtype} ({reason}); choose another format, such as .wav"
            ) from None

    def _refuse_existing(self) -> None:
        if self.path.is_dir():
            raise OutputError(f"{self.path} is a folder; expected the name of a file to write")
        if self.path.exists() and not self.force:
            raise OutputError(f"{self.path} exists already; choose another name, or --force to replace it")

    def write(self, block: Audio) -> None:
        """Append samples.

        Parameters
        ----------
        block : np.ndarray [channels, samples] float32
            Full scale at +-1.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise AudioError(
                f"{self.path}: got a block of shape {list(block.shape)}; expected [{self.channels}, samples]"
            )
        if not np.isfinite(block).all():
            raise AudioError(f"{self.path}: the audio to write holds NaN or infinite samples; none written")
        self.clipped += int(np.count_nonzero(np.abs(block) > 1.0))
        try:
            for at in range(0, block.shape[1], _WRITE_FRAMES):
                self._file.write(np.ascontiguousarray(block[:, at : at + _WRITE_FRAMES].T))
        except (OSError, soundfile.LibsndfileError) as error:
            raise OutputError(f"{self.path} can't be written ({error}); is the disk full?") from None

    def close(self) -> None:
        """Finish the file and give it its name."""
        try:
            self._file.close()
            self._handle.flush()
            os.fsync(self._handle.fileno())
            self._handle.close()
            self._refuse_existing()
            self._part.replace(self.path)
        except (OSError, soundfile.LibsndfileError) as error:
            self._discard()
            raise OutputError(f"{self.path} can't be written ({error}); is the disk full?") from None
        except OutputError:
            self._discard()
            raise

    def _discard(self) -> None:
        """Leave nothing behind."""
        file = getattr(self, "_file", None)
        try:
            if file is not None and not file.closed:
                file.close()
        except (OSError, soundfile.LibsndfileError):
            pass
        self._handle.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()


def write_audio(
    path: str | Path,
    audio: Audio,
    sample_rate: int,
    *,
    subtype: str | None = None,
    like: AudioInfo | None = None,
    force: bool = False,
) -> int:
    """Write a recording, whole or not at all.

    Parameters
    ----------
    path, sample_rate, subtype, like, force
        As for `AudioWriter`.
    audio : np.ndarray [channels, samples] float32
        Full scale at +-1.

    Returns
    -------
    int
        Samples beyond full scale, which an integer format cut off.
    """
    with AudioWriter(path, sample_rate, audio.shape[0], subtype=subtype, like=like, force=force) as writer:
        writer.write(audio)
    return writer.clipped
