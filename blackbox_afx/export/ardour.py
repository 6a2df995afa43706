"""Write Ardour sessions: the original with the live plugins and their lanes, and, muted, our own render.

Conventions: one folder, `NAME/NAME.ardour`, with copies of the recordings in it. The master bus is stereo; a mono
track goes to both of its sides at full level, without a panner, so that nothing but the plugins changes the sound.
Written for Ardour 7 (session version 7002), which later versions read.

Notes
-----
How Ardour plays a lane, found by experiment with 7.3: values are plain, and so are the ramps between them. A VST3 is
told the lane's value at the start of each process cycle, and most act on just that; an LV2's cycle is cut at every
point. A plugin with latency is told the value of the moment that leaves it, so lanes are moved earlier by its latency
(``latency="shift"``) for the plugin to hear what it heard in our render.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from blackbox_afx.audio import AudioWriter, info, stream
from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.export import Exported, Latency
from blackbox_afx.export.ardour_session import SessionDocument, Source
from blackbox_afx.export.folder import legal_name, new_folder
from blackbox_afx.session import Clip, Session, Track

_COPIED = {".wav", ".aif", ".aiff", ".flac"}
_FOLDERS = ("midifiles", "audiofiles")


class ArdourExporter:
    """Write a session folder for Ardour 7 and later, and Mixbus: an `Exporter`."""

    name = "ardour"
    suffix = ""
    formats = frozenset({"vst3", "lv2", "vst2"})
    experimental = False

    def write(
        self,
        session: Session,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        latency: Latency = "shift",
        **options: Any,
    ) -> Exported:
        """Write a session; see `Exporter.write`.

        Parameters
        ----------
        session : Session
        path : path
            The folder to make; the session in it bears its name.
        force : bool
            Replace an Ardour session of that name; any other folder is left alone.
        latency : {"shift", "none"}

        Returns
        -------
        Exported
            `path` is the ``.ardour`` file.

        Raises
        ------
        UsageError
            A plugin of a format that Ardour can't hold as we know it; a clip of another sample rate; more than two
            channels.
        OutputError
            The folder is there, or can't be written.
        """
        if options:
            raise UsageError(f"ardour: no option is called {', '.join(sorted(options))}; it has force, bpm, latency")
        folder = Path(path)
        if folder.suffix == ".ardour":
            folder = folder.with_suffix("")
        name = legal_name(folder.name)
        folder = folder.with_name(name)
        check_session(session, self.formats)
        document = SessionDocument(session, name, latency=latency)

        def ours(there: Path) -> bool:
            return (there / f"{name}.ardour").is_file() and (there / "interchange").is_dir()

        with new_folder(folder, force=force, ours=ours) as part:
            audio = part / "interchange" / name / "audiofiles"
            for kind in _FOLDERS:
                (part / "interchange" / name / kind).mkdir(parents=True)
            for extra in ("export", "peaks", "dead", "analysis", "plugins", "externals"):
                (part / extra).mkdir()
            sources: dict[str, Source] = {}
            for track in session.tracks:
                for clip in track.clips:
                    if clip.path not in sources:
                        sources[clip.path] = _copy(session, clip, audio, {source.name for source in sources.values()})
            (part / f"{name}.ardour").write_bytes(document.encode(sources))
        return Exported(
            path=folder / f"{name}.ardour", files=(folder / f"{name}.ardour",), warnings=tuple(document.warnings)
        )


def check_session(session: Session, formats: frozenset[str]) -> None:
    """Refuse what an Ardour session can't hold.

    Raises
    ------
    UsageError
        Naming the track, clip or plugin.
    """
    if not session.tracks or session.length_s <= 0:
        raise UsageError(f"session '{session.name}' has no audio; an Ardour session needs at least one clip")
    for track in session.tracks:
        _check_track(session, track, formats)


def _check_track(session: Session, track: Track, formats: frozenset[str]) -> None:
    for clip in track.clips:
        if clip.channels not in (1, 2):
            raise UsageError(f"{clip.path}: {clip.channels} channels; expected mono or stereo")
        if clip.sample_rate != session.sample_rate:
            raise UsageError(
                f"{clip.path} has {clip.sample_rate} Hz, the session {session.sample_rate} Hz; resample the recording "
                "first, since Ardour plays it at the wrong speed otherwise"
            )
    if len({clip.channels for clip in track.clips}) > 1:
        raise UsageError(f"track '{track.name}' has mono and stereo clips; put them on two tracks")
    for plugin in track.plugins:
        if plugin.format not in formats:
            raise UsageError(
                f"{plugin.label}: an Ardour session can hold VST3, LV2 and VST2 plugins, this is {plugin.format}; "
                "use such a plugin, or render it"
            )
        if not (plugin.class_id or plugin.uri or plugin.unique_id is not None):
            raise UsageError(
                f"{plugin.label}: the session lacks its class id, URI or unique id; probe the plugin again"
            )
        if not plugin.table and plugin.format != "vst2":
            raise UsageError(f"{plugin.label}: the session lacks its parameter table; probe the plugin again")


def _copy(session: Session, clip: Clip, folder: Path, taken: set[str]) -> Source:
    """Bring a recording into the session, as it is where Ardour reads it in place, else as float WAV."""
    origin = session.resolve(clip)
    about = info(origin)
    keep = origin.suffix.lower() in _COPIED
    stem, suffix = legal_name(origin.stem, "audio"), origin.suffix if keep else ".wav"
    name, count = stem + suffix, 1
    while name in taken:
        count += 1
        name = f"{stem}-{count}{suffix}"
    try:
        if keep:
            shutil.copyfile(origin, folder / name)
        else:
            with AudioWriter(folder / name, about.sample_rate, about.channels, subtype="FLOAT") as writer:
                for block in stream(origin, 1 << 16):
                    writer.write(block)
    except OSError as error:
        raise OutputError(f"{origin}: can't be copied into the session ({error.strerror})") from None
    return Source(name=name, channels=about.channels, frames=about.frames)
