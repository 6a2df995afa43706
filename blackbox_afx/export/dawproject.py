"""Write DAWproject 1.0: one file that Bitwig, Studio One, Cubase and others import, recordings and presets inside.

Conventions: time is in beats at the session's constant tempo, values of parameters and lanes are raw, which the format
calls normalized. The ZIP is stored without data descriptors: some programs lose presets otherwise.

References
----------
Bitwig, "DAWproject", https://github.com/bitwig/dawproject, ``Project.xsd`` and ``MetaData.xsd``.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from blackbox_afx.audio import AudioWriter, info, stream
from blackbox_afx.errors import UsageError
from blackbox_afx.export import Exported, Latency
from blackbox_afx.export.dawproject_xml import DawprojectDocument, Media, metadata
from blackbox_afx.export.folder import legal_name
from blackbox_afx.export.moving import UNTESTED, latency_notes, plugins_of, refuse_options
from blackbox_afx.export.place import check_place, new_file
from blackbox_afx.export.preset_file import preset_of
from blackbox_afx.session import Session

# The same session gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


class DawprojectExporter:
    """Write a DAWproject file: an `Exporter`."""

    name = "dawproject"
    suffix = ".dawproject"
    formats = frozenset({"vst3"})
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
            The file to make.
        force : bool
        latency : {"shift", "none"}

        Raises
        ------
        UsageError
            A plugin that is no VST3, or lacks its class id, its state or a param id.
        AudioError
            A recording can't be read.
        OutputError
            It exists and `force` is false, or can't be written.
        """
        refuse_options(self.name, options)
        path = Path(path)
        plugins = plugins_of(session, "a DAWproject", self.formats)
        for plugin in plugins:
            if len(plugin.class_id) != 32:
                raise UsageError(f"{plugin.label}: the session lacks its class id; probe the plugin again")
        states = [preset_of(plugin) for plugin in plugins]
        check_place(session, path, force=force)
        media = _media(session)
        warnings = latency_notes(session, latency, UNTESTED)
        document = DawprojectDocument(session, media, latency=latency)
        project = document.encode()
        with new_file(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
            _put(archive, "metadata.xml", metadata(session))
            _put(archive, "project.xml", project)
            for place, state in zip(document.presets, states, strict=True):
                _put(archive, place, state)
            for origin, item in media.items():
                _put_audio(archive, item.place, Path(session.folder) / origin)
        return Exported(path=path, files=(path,), warnings=(*warnings, *document.warnings))


def _media(session: Session) -> dict[str, Media]:
    """Look at every recording and give it a place in the file."""
    media: dict[str, Media] = {}
    for track in session.tracks:
        for clip in track.clips:
            if clip.path in media:
                continue
            about = info(session.resolve(clip))
            name = legal_name(session.resolve(clip).stem, "audio")
            media[clip.path] = Media(
                place=f"audio/{len(media) + 1} {name}.wav",
                seconds=about.frames / about.sample_rate,
                channels=about.channels,
                sample_rate=about.sample_rate,
            )
    return media


def _put(archive: zipfile.ZipFile, place: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(place, _DATE), data)


def _put_audio(archive: zipfile.ZipFile, place: str, origin: Path) -> None:
    """Put a recording in: WAV as it is, all else as float WAV, which every program reads."""
    if origin.suffix.lower() in (".wav", ".wave"):
        _copy(archive, place, origin)
        return
    about = info(origin)
    with tempfile.TemporaryDirectory(prefix="afx-") as folder:
        wav = Path(folder) / "audio.wav"
        with AudioWriter(wav, about.sample_rate, about.channels, subtype="FLOAT") as writer:
            for block in stream(origin, 1 << 16):
                writer.write(block)
        _copy(archive, place, wav)


def _copy(archive: zipfile.ZipFile, place: str, origin: Path) -> None:
    entry = zipfile.ZipInfo(place, _DATE)
    entry.file_size = origin.stat().st_size  # tells zipfile whether 4 GiB are enough
    with origin.open("rb") as source, archive.open(entry, "w") as target:
        while block := source.read(1 << 20):
            target.write(block)
