"""A session and its tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from blackbox_afx.errors import UsageError
from blackbox_afx.session.plugins import PluginInstance, Record

SCHEMA = 1

Role = Literal["live", "render"]


class Clip(Record, frozen=True, kw_only=True):
    """A piece of a recording on a track.

    Parameters
    ----------
    path : str
        Relative to the session file, with forward slashes; absolute where no relative one exists.
    start_s : float
        Where it begins on the track, seconds.
    offset_s : float
        Where in the file it begins, seconds.
    length_s : float
        Seconds.
    gain_db : float
        Clip gain: the trim that comes before the first plugin.
    channels, sample_rate : int
        Of the file.
    """

    path: str
    start_s: float = 0.0
    offset_s: float = 0.0
    length_s: float
    gain_db: float = 0.0
    channels: int
    sample_rate: int


class Track(Record, frozen=True, kw_only=True):
    """A track: its clips go through its plugins, in order.

    Parameters
    ----------
    name : str
    role : {"live", "render"}
        The original with the plugins, or our own render of the same lanes, for a null test.
    muted : bool
    clips : tuple of Clip
    plugins : tuple of PluginInstance
    """

    name: str
    role: Role = "live"
    muted: bool = False
    clips: tuple[Clip, ...] = ()
    plugins: tuple[PluginInstance, ...] = ()


class Thinning(Record, frozen=True, kw_only=True):
    """Say what thinning the lanes cost.

    Parameters
    ----------
    eps : float
        Largest error of a lane, raw.
    points_before, points_after : int
        Of all lanes.
    error_db : float or None
        Of the sound: RMS of the difference over RMS of the render; None where not measured.
    """

    eps: float
    points_before: int
    points_after: int
    error_db: float | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold all that a DAW needs to play what we rendered.

    Parameters
    ----------
    schema : int
    name : str
    sample_rate : int
        Hertz; of every clip.
    bpm : float
        Constant tempo; only for formats that count in beats.
    tracks : tuple of Track
    thinning : Thinning or None
    warnings : tuple of str
        What the transfer had to say.
    made_with : str
    folder : str
        Where relative paths start; set on reading, never written.
    """

    schema: int = SCHEMA
    name: str
    sample_rate: int
    bpm: float = 120.0
    tracks: tuple[Track, ...]
    thinning: Thinning | None = None
    warnings: tuple[str, ...] = ()
    made_with: str = ""
    folder: str = ""

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise UsageError(
                f"session '{self.name}' has schema {self.schema}, this version reads {SCHEMA}; export it again"
            )
        if not 1 <= self.sample_rate <= 1_000_000:
            raise UsageError(f"session '{self.name}': sample rate {self.sample_rate} Hz; expected 1 to 1000000")
        if not 1 <= self.bpm <= 999:
            raise UsageError(f"session '{self.name}': {self.bpm:g} beats a minute; expected 1 to 999")

    @property
    def length_s(self) -> float:
        """Seconds from 0 to the end of the last clip."""
        return max((clip.start_s + clip.length_s for track in self.tracks for clip in track.clips), default=0.0)

    @property
    def latency_samples(self) -> int:
        """Samples of delay of the slowest track."""
        return max((sum(plugin.latency_samples for plugin in track.plugins) for track in self.tracks), default=0)

    @property
    def live(self) -> tuple[Track, ...]:
        """The tracks that carry plugins' work."""
        return tuple(track for track in self.tracks if track.role == "live")

    def resolve(self, clip: Clip) -> Path:
        """Give the file of a clip."""
        return Path(self.folder) / clip.path
