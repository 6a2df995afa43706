"""Write a ReaScript: a Lua program that REAPER runs to build the tracks, plugins, settings and lanes by itself.

Conventions: the session is a Lua table; `reascript.lua`, the same for every session, follows it. Plugins and parameters
are found by name when it runs, so that no file format of REAPER's has to be met. Presets of VST3s lie beside the
script. Values are raw; for LV2, whose parameters REAPER may show in plain units, the script holds both.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx import __version__
from blackbox_afx.errors import UsageError
from blackbox_afx.export import Exported, Latency
from blackbox_afx.export.folder import xml_text
from blackbox_afx.export.lanes import control_of, latency_shift_s, plain_points, shift_points
from blackbox_afx.export.moving import UNTESTED, RawLane, latency_notes, plugins_of, raw_lanes, refuse_options
from blackbox_afx.export.place import check_recordings, write_files
from blackbox_afx.export.preset_file import preset_of
from blackbox_afx.export.vstpreset import preset_paths
from blackbox_afx.session import Clip, ControlValue, PluginInstance, Session, Track, relative_path

PREFIX = {"vst3": "VST3", "vst2": "VST", "lv2": "LV2"}
"""How REAPER's names of plugins start."""

_LINEAR, _SQUARE = 0, 1


class ReascriptExporter:
    """Write a Lua script for REAPER: an `Exporter`."""

    name = "reascript"
    suffix = ".lua"
    formats = frozenset({"vst3", "vst2", "lv2"})
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
        """Write the script, and a preset for each VST3 beside it; see `Exporter.write`.

        Raises
        ------
        UsageError
            A plugin that REAPER can't host; a VST3 whose state is no preset.
        AudioError
            A recording is not where the session says, or is no audio.
        OutputError
            A file exists and `force` is false, or can't be written.
        """
        refuse_options(self.name, options)
        path = Path(path)
        plugins = plugins_of(session, "a ReaScript", self.formats)
        with_state = [plugin for plugin in plugins if plugin.format == "vst3" and plugin.state is not None]
        places = preset_paths(path.with_suffix(""), with_state, number=True)
        presets = {id(plugin): place for plugin, place in zip(with_state, places, strict=True)}
        warnings = latency_notes(session, latency, UNTESTED)
        tracks = [_track(session, track, path, presets, latency, warnings) for track in session.tracks]
        table = {"name": session.name, "tracks": tracks}
        text = (
            f"-- Made by blackbox_afx {__version__}. In REAPER: Actions, Show action list, New action,\n"
            "-- Load ReaScript; then run it. It adds tracks to the current project and changes nothing else.\n"
            f"local session = {lua(table)}\n\n"
        )
        body = resources.files("blackbox_afx.export").joinpath("reascript.lua").read_text(encoding="utf-8")
        content = {path: (text + body).encode("utf-8")}
        content |= {presets[id(plugin)]: preset_of(plugin) for plugin in with_state}
        check_recordings(session)
        write_files(session, content, force=force)
        return Exported(path=path, files=tuple(content), warnings=tuple(warnings))


def _track(
    session: Session, track: Track, path: Path, presets: dict[int, Path], latency: str, warnings: list[str]
) -> dict[str, Any]:
    stereo = any(clip.channels == 2 for clip in track.clips)
    plugins = []
    for plugin in track.plugins:
        entry = _plugin(session, plugin, latency, warnings)
        preset = presets.get(id(plugin))
        entry["preset"] = preset.name if preset else None
        plugins += [entry | {"pins": pins} for pins in pin_masks(plugin, stereo)]
    return {
        "name": track.name,
        "muted": track.muted,
        "clips": [_clip(session, clip, path) for clip in track.clips],
        "plugins": plugins,
    }


def pin_masks(plugin: PluginInstance, stereo: bool) -> list[list[dict[str, int]]]:
    """Say how often a plugin goes on a track and which of its channels each instance works on.

    Parameters
    ----------
    plugin : PluginInstance
    stereo : bool
        Whether the track is.

    Returns
    -------
    list of list of dict
        One list an instance: ``output`` (0 or 1), ``number`` of the pin and ``mask`` of channels; empty where REAPER's
        own way is right. A mono plugin runs once on each side of a stereo track; on a mono one it feeds both sides.
    """
    if plugin.channels != 1:
        return [[]]
    sides = [(1, 1), (2, 2)] if stereo else [(1, 3)]
    return [
        [{"output": 0, "number": 0, "mask": heard}, {"output": 1, "number": 0, "mask": fed}] for heard, fed in sides
    ]


def _clip(session: Session, clip: Clip, path: Path) -> dict[str, Any]:
    origin = session.resolve(clip)
    file = relative_path(origin, path.parent)
    return {
        # A colon in second place would make it look like a drive.
        "file": f"./{file}" if file[1:2] == ":" and not origin.drive else file,
        "name": origin.stem,
        "start": clip.start_s,
        "offset": clip.offset_s,
        "length": clip.length_s,
        "gain": 10 ** (clip.gain_db / 20),
    }


def _plugin(session: Session, plugin: PluginInstance, latency: str, warnings: list[str]) -> dict[str, Any]:
    prefix, name = PREFIX[plugin.format], plugin.plugin_name or plugin.label
    names = [f"{prefix}: {name} ({plugin.vendor})"] if plugin.vendor else []
    lanes = {lane.value.index: lane for lane in raw_lanes(plugin, session, latency, warnings)}
    shift = latency_shift_s(plugin, session.sample_rate, latency)
    controls = []
    for value in plugin.values:
        lane = lanes.get(value.index)
        control: dict[str, Any] = {"index": value.index, "name": value.name, "raw": value.raw}
        if plugin.format == "lv2":
            control["plain"] = value.plain
        if lane is not None:
            control["lane"] = _lane(plugin, value, lane, shift, 1 / session.sample_rate)
        controls.append(control)
    return {
        "label": plugin.label,
        "prefix": prefix,
        "names": [*names, f"{prefix}: {name}", f"{prefix}:{name}", name],
        "bypassed": plugin.bypassed,
        "controls": controls,
    }


def _lane(plugin: PluginInstance, value: ControlValue, lane: RawLane, shift: float, step_s: float) -> dict[str, Any]:
    shape = _SQUARE if lane.hold else _LINEAR
    if plugin.format != "lv2":
        return {"shape": shape, "times": lane.times, "raw": lane.raw}
    # Ramps that are straight in raw may need more points to be so in plain units; the same points serve both.
    kept = next(kept for kept in plugin.lanes if kept.control == value.index)
    times, plain = shift_points(*plain_points(kept, value), shift, lane.hold, step_s=step_s)
    return {"shape": shape, "times": times, "raw": control_of(value).raw_from_plain(plain), "plain": plain}


def lua(thing: Any, depth: int = 0) -> str:
    """Word plain containers, numbers and arrays as a Lua expression; None is left out of tables.

    Raises
    ------
    UsageError
        A number that is not finite.
    """
    indent, end = "  " * (depth + 1), "  " * depth
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, int):
        return str(thing)
    if isinstance(thing, float):
        if not np.isfinite(thing):
            raise UsageError(f"the session holds {thing}; expected finite numbers")
        return repr(thing)
    if isinstance(thing, str):
        return lua_text(thing)
    if isinstance(thing, np.ndarray):
        return "{ " + ", ".join(repr(number) for number in thing.tolist()) + " }"
    if isinstance(thing, dict):
        rows = [f"{indent}{key} = {lua(item, depth + 1)},\n" for key, item in thing.items() if item is not None]
    else:
        rows = [f"{indent}{lua(item, depth + 1)},\n" for item in thing]
    return "{\n" + "".join(rows) + end + "}" if rows else "{}"


def lua_text(text: str) -> str:
    """Quote a text for Lua; UTF-8 stays as it is, what would end the line or the text is escaped."""
    escaped = []
    for letter in xml_text(text):
        if letter in '"\\':
            escaped.append("\\" + letter)
        elif ord(letter) < 32 or ord(letter) == 127:
            escaped.append(f"\\{ord(letter):03d}")
        else:
            escaped.append(letter)
    return '"' + "".join(escaped) + '"'
