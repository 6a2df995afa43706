"""Write a REAPER project. Experimental: no REAPER has opened one; the ReaScript export is the safer way.

Conventions: a text of nested ``<NAME ...`` and ``>`` lines. Times are seconds, values of lanes raw. Plugins' states go
in as REAPER frames them: three stretches of base64, the second of which holds the ``Comp`` and ``Cont`` chunks of a
`.vstpreset`.

Notes
-----
REAPER documents none of this; the framing was read off projects that it had written.
"""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blackbox_afx.errors import UsageError
from blackbox_afx.export import Exported, Latency
from blackbox_afx.export.folder import xml_text
from blackbox_afx.export.moving import UNTESTED, decimal, latency_notes, plugins_of, raw_lanes, refuse_options
from blackbox_afx.export.place import check_recordings, write_files
from blackbox_afx.export.preset_file import preset_of, read_preset
from blackbox_afx.export.reascript import pin_masks
from blackbox_afx.session import Clip, PluginInstance, Session, Track, relative_path

_MAGIC = 0xFEED5EEE
_WIDTH = 96  # bytes a line, 128 letters of base64
_SOURCES = {".wav": "WAVE", ".wave": "WAVE", ".aif": "WAVE", ".aiff": "WAVE", ".flac": "FLAC", ".mp3": "MP3"}
_SOURCES |= {".ogg": "VORBIS", ".opus": "VORBIS"}


class RppExporter:
    """Write a REAPER project: an `Exporter`."""

    name = "rpp"
    suffix = ".rpp"
    formats = frozenset({"vst3"})
    experimental = True

    def write(
        self,
        session: Session,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        latency: Latency = "shift",
        **options: Any,
    ) -> Exported:
        """Write a project that refers to the recordings where they lie; see `Exporter.write`.

        Raises
        ------
        UsageError
            A plugin that is no VST3, or lacks its class id or state.
        AudioError
            A recording is not where the session says, or is no audio.
        OutputError
            It exists and `force` is false, or can't be written.
        """
        refuse_options(self.name, options)
        path = Path(path)
        plugins_of(session, "a REAPER project", self.formats)
        warnings = [
            "a REAPER project is an experimental export: no REAPER has opened one; --to reascript is safer",
            *latency_notes(session, latency, UNTESTED),
        ]
        lines = [
            '<REAPER_PROJECT 0.1 "7.0" 0',
            f"  SAMPLERATE {session.sample_rate} 1 0",
            f"  TEMPO {decimal(session.bpm)} 4 4",
            # Envelopes stay where they are in seconds.
            "  TEMPOENVLOCKMODE 0",
        ]
        for track in session.tracks:
            lines += ["  " + line for line in _track(session, track, path, latency, warnings)]
        lines.append(">")
        check_recordings(session)
        write_files(session, {path: ("\n".join(lines) + "\n").encode("utf-8")}, force=force)
        return Exported(path=path, files=(path,), warnings=tuple(warnings))


def _track(session: Session, track: Track, path: Path, latency: str, warnings: list[str]) -> Iterator[str]:
    yield "<TRACK"
    yield f"  NAME {quote(track.name)}"
    yield "  VOLPAN 1 0 -1 -1 1"
    yield f"  MUTESOLO {int(track.muted)} 0 0"
    yield "  NCHAN 2"
    yield "  FX 1"
    if track.plugins:
        stereo = any(clip.channels == 2 for clip in track.clips)
        yield "  <FXCHAIN"
        yield "    SHOW 0"
        yield "    LASTSEL 0"
        yield "    DOCKED 0"
        for plugin in track.plugins:
            for pins in pin_masks(plugin, stereo):
                for line in _plugin(session, plugin, pins, latency, warnings):
                    yield "    " + line
        yield "  >"
    for clip in track.clips:
        for line in _item(session, clip, path):
            yield "  " + line
    yield ">"


def _plugin(
    session: Session, plugin: PluginInstance, pins: list[dict[str, int]], latency: str, warnings: list[str]
) -> Iterator[str]:
    number = reaper_id(plugin)
    name = quote(f"VST3: {plugin.plugin_name or plugin.label} ({plugin.vendor})")
    file = quote(Path(plugin.file).name or f"{plugin.plugin_name}.vst3")
    yield f"BYPASS {int(plugin.bypassed)} 0 0"
    yield f'<VST {name} {file} 0 "" {number}{{{plugin.class_id}}} ""'
    masks = [pin["mask"] for pin in pins] or [1, 2, 1, 2]
    inputs, outputs = masks[: len(masks) // 2], masks[len(masks) // 2 :]
    for part in state_parts(plugin, inputs, outputs):
        for start in range(0, len(part), _WIDTH):
            yield "  " + base64.b64encode(part[start : start + _WIDTH]).decode()
    yield ">"
    for lane in raw_lanes(plugin, session, latency, warnings):
        value, shape = lane.value, int(lane.hold)
        if value.param_id is None:
            raise UsageError(f"{plugin.label}: '{value.name}' lacks its param id; probe the plugin again")
        yield f"<PARMENV {value.index}:{value.param_id} 0 1 0.5 {quote(value.name)}"
        yield "  ACT 1 -1"
        yield "  VIS 1 1 1"
        yield "  LANEHEIGHT 0 0"
        yield "  ARM 0"
        yield f"  DEFSHAPE {shape} -1 -1"
        for time, raw in zip(lane.times.tolist(), lane.raw.tolist(), strict=True):
            yield f"  PT {decimal(time)} {decimal(raw)} {shape}"
        yield ">"
    yield "WAK 0 0"


def _item(session: Session, clip: Clip, path: Path) -> Iterator[str]:
    origin = session.resolve(clip)
    seen = relative_path(origin, path.parent)
    file = str(origin.resolve()) if seen.startswith("..") else seen
    if len(file.splitlines()) != 1:
        raise UsageError(f"{file!r}: a REAPER project can't name a file with a line break; rename it")
    if all(mark in file for mark in "\"'`"):
        raise UsageError(f"{file}: a REAPER project can't name a file with all of \" ' `; rename it")
    yield "<ITEM"
    yield f"  POSITION {decimal(clip.start_s)}"
    yield f"  LENGTH {decimal(clip.length_s)}"
    yield "  LOOP 0"
    yield "  FADEIN 1 0 0 1 0 0 0"
    yield "  FADEOUT 1 0 0 1 0 0 0"
    yield f"  NAME {quote(origin.stem)}"
    yield f"  VOLPAN 1 0 {decimal(10 ** (clip.gain_db / 20))} -1"
    yield f"  SOFFS {decimal(clip.offset_s)}"
    yield f"  <SOURCE {_SOURCES.get(origin.suffix.lower(), 'WAVE')}"
    yield f"    FILE {quote(file)}"
    yield "  >"
    yield ">"


def reaper_id(plugin: PluginInstance) -> int:
    """Give the number that REAPER makes of a VST3's class id: 31 bits of FNV-1a over the id in COM's byte order.

    Raises
    ------
    UsageError
        The class id is none.
    """
    try:
        raw = bytes.fromhex(plugin.class_id)
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise UsageError(f"{plugin.label}: the session lacks its class id; probe the plugin again")
    number = 0x811C9DC5
    for byte in raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]:
        number = ((number ^ byte) * 0x01000193) & 0xFFFFFFFF
    return number & 0x7FFFFFFF


def state_parts(plugin: PluginInstance, inputs: list[int], outputs: list[int]) -> tuple[bytes, bytes, bytes]:
    """Frame a VST3's state as REAPER does.

    Parameters
    ----------
    plugin : PluginInstance
        With a `.vstpreset` as its state.
    inputs, outputs : list of int
        Mask of the track's channels for each pin.
    """
    _, chunks = read_preset(preset_of(plugin), plugin.label)
    body = b"".join(
        struct.pack("<II", len(chunk), mark) + chunk
        for chunk, mark in ((chunks.get("Comp", b""), 1), (chunks.get("Cont", b""), 0))
    )
    head = struct.pack("<II", reaper_id(plugin), _MAGIC)
    for masks in (inputs, outputs):
        head += struct.pack(f"<I{len(masks)}Q", len(masks), *masks)
    return head + struct.pack("<III", len(body), 1, 0x00100000), body, b"\0\0" + struct.pack("<I", 0x10)


def quote(text: str) -> str:
    """Quote a text as REAPER does: by the first of ``"``, ``'`` and the backtick that is not in it."""
    text = " ".join(xml_text(text).splitlines())
    for mark in "\"'`":
        if mark not in text:
            return f"{mark}{text}{mark}"
    return "`" + text.replace("`", "'") + "`"
