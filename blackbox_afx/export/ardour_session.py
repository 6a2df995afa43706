"""The XML of an Ardour session: routes, regions, plugins, automation.

Conventions: audio times are superclocks, ``a<n>``, 282240000 a second, in which every sample of every usual rate is a
whole number. Ids are unique in the document. No white space between elements: Ardour takes it for a list of points.
"""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree as ET

import msgspec
import numpy as np

from blackbox_afx.export.ardour_table import parameter_numbers, plain_map
from blackbox_afx.export.folder import xml_text
from blackbox_afx.export.lanes import latency_shift_s, plain_points, shift_points
from blackbox_afx.session import Clip, ControlValue, PluginInstance, Session, Track

SUPERCLOCKS = 282_240_000
"""A second."""

VERSION = "7002"
MASTER_NAME = "Master"

TYPES = {"vst3": "vst3", "lv2": "lv2", "vst2": "lxvst"}
"""Plugin format to Ardour's name of it; VST2 is Linux's."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A recording in the session's folder."""

    name: str
    channels: int
    frames: int


class SessionDocument:
    """Build the document of one session; what it can't hold is listed in `warnings`.

    Parameters
    ----------
    session : Session
    name : str
        Of the ``.ardour`` file.
    latency : {"shift", "none"}
    """

    def __init__(self, session: Session, name: str, *, latency: str) -> None:
        self.session = session
        self.name = name
        self.latency = latency
        self.warnings: list[str] = []
        self._last_id = 1000
        self._source_ids: dict[str, list[str]] = {}

    def encode(self, sources: dict[str, Source]) -> bytes:
        """Write the document.

        Parameters
        ----------
        sources : dict of str to Source
            The recording of each clip's path.

        Returns
        -------
        bytes
            UTF-8.
        """
        session = self.session
        root = ET.Element(
            "Session",
            {
                "version": VERSION,
                "name": xml_text(self.name),
                "sample-rate": str(session.sample_rate),
                "session-range-is-free": "0",
                "name-counter": "1",
                "event-counter": "0",
                "vca-counter": "1",
            },
        )
        made = session.made_with or "blackbox_afx"
        ET.SubElement(root, "ProgramVersion", {"created-with": made, "modified-with": made})
        config = ET.SubElement(root, "Config")
        # Without the fades that a transport start makes, the first milliseconds are what was rendered.
        for option, value in (("use-transport-fades", "0"), ("native-file-data-format", "FormatFloat")):
            ET.SubElement(config, "Option", name=option, value=value)
        ET.SubElement(root, "Metadata")
        self._add_sources(root, sources)
        regions = ET.SubElement(root, "Regions")
        locations = ET.SubElement(root, "Locations")
        ET.SubElement(
            locations,
            "Location",
            {
                "id": self._id(),
                "name": "session",
                "start": "a0",
                "end": _at(session.length_s),
                "flags": "IsSessionRange",
                "locked": "0",
                "timestamp": "0",
                "cue": "0",
            },
        )
        ET.SubElement(root, "Bundles")
        ET.SubElement(root, "VCAManager")
        routes = ET.SubElement(root, "Routes")
        playlists = ET.SubElement(root, "Playlists")
        self._add_master(routes)
        taken = {MASTER_NAME}
        for order, track in enumerate(session.tracks, start=1):
            self._add_track(routes, playlists, regions, track, _unique(_route_name(track.name), taken), order)
        ET.SubElement(root, "UnusedPlaylists")
        ET.SubElement(root, "RouteGroups")
        self._add_tempo(root)
        root.set("id-counter", self._id())
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="utf-8")

    def _id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    def _add_sources(self, root: ET.Element, sources: dict[str, Source]) -> None:
        parent = ET.SubElement(root, "Sources")
        for path, source in sources.items():
            self._source_ids[path] = [self._id() for _ in range(source.channels)]
            for channel, number in enumerate(self._source_ids[path]):
                ET.SubElement(
                    parent,
                    "Source",
                    {
                        "name": xml_text(source.name),
                        "take-id": "",
                        "type": "audio",
                        "flags": "",
                        "id": number,
                        "channel": str(channel),
                        "origin": "",
                        "gain": "1",
                    },
                )

    def _add_master(self, routes: ET.Element) -> None:
        route = ET.SubElement(
            routes,
            "Route",
            {
                "version": VERSION,
                "id": self._id(),
                "name": MASTER_NAME,
                "default-type": "audio",
                "strict-io": "1",
                "active": "1",
                "denormal-protection": "0",
                "meter-point": "MeterOutput",
                "disk-io-point": "DiskIOPreFader",
                "meter-type": "MeterK14",
            },
        )
        ET.SubElement(route, "PresentationInfo", order="0", flags="MasterOut,OrderSet", color="0")
        self._add_ports(route, MASTER_NAME, 2, [["system:playback_1"], ["system:playback_2"]])
        ET.SubElement(route, "MuteMaster", {"mute-point": "PostFader,Listen,Main", "muted": "0"})
        self._add_amplifier(route)
        self._add_main_out(route, MASTER_NAME)

    def _add_track(
        self,
        routes: ET.Element,
        playlists: ET.Element,
        regions: ET.Element,
        track: Track,
        name: str,
        order: int,
    ) -> None:
        mono = all(clip.channels == 1 for clip in track.clips)
        # A stereo plugin on a mono recording gets it on both sides; its left output is what our render keeps.
        width = 1 if mono and all(plugin.channels != 2 for plugin in track.plugins) else 2
        number, playlist = self._id(), self._id()
        route = ET.SubElement(
            routes,
            "Route",
            {
                "version": VERSION,
                "id": number,
                "name": name,
                "default-type": "audio",
                "strict-io": "0",
                "active": "1",
                "denormal-protection": "0",
                "meter-point": "MeterPostFader",
                "disk-io-point": "DiskIOPreFader",
                "meter-type": "MeterPeak",
                "audio-playlist": playlist,
                "saved-meter-point": "MeterPostFader",
                "alignment-choice": "Automatic",
                "mode": "Normal",
            },
        )
        ET.SubElement(route, "PresentationInfo", order=str(order), flags="AudioTrack,OrderSet", color="0")
        both = [f"{MASTER_NAME}/audio_in {side}" for side in (1, 2)]
        outputs = [both, []] if mono and width == 2 else [both] if mono else [[side] for side in both]
        self._add_ports(route, name, width, outputs)
        ET.SubElement(route, "MuteMaster", {"mute-point": "PostFader,Listen,Main", "muted": str(int(track.muted))})
        ET.SubElement(
            route,
            "Processor",
            {
                "id": self._id(),
                "name": f"player:{name}",
                "active": "1",
                "user-latency": "0",
                "use-user-latency": "0",
                "type": "diskreader",
            },
        )
        for plugin in track.plugins:
            self._add_plugin(route, plugin, width)
        self._add_amplifier(route)
        self._add_main_out(route, name)
        ET.SubElement(route, "Slavable")
        parent = ET.SubElement(
            playlists,
            "Playlist",
            {
                "id": playlist,
                "name": name,
                "type": "audio",
                "orig-track-id": number,
                "pgroup-id": "",
                "shared-with-ids": "",
                "frozen": "0",
                "combine-ops": "0",
            },
        )
        for layer, clip in enumerate(track.clips):
            self._add_region(regions, clip, width, 0, whole=True)
            self._add_region(parent, clip, width, layer, whole=False)

    def _add_region(self, parent: ET.Element, clip: Clip, width: int, layer: int, *, whole: bool) -> None:
        numbers = self._source_ids[clip.path]
        numbers = (numbers * 2)[:width] if len(numbers) < width else numbers
        region = ET.SubElement(
            parent,
            "Region",
            {
                "name": xml_text(clip.path.rsplit("/", 1)[-1]),
                "muted": "0",
                "opaque": "1",
                "locked": "0",
                "video-locked": "0",
                "automatic": "0",
                "whole-file": str(int(whole)),
                "import": "0",
                "external": "0",
                "hidden": "0",
                "position-locked": "0",
                "valid-transients": "0",
                "start": _at(clip.offset_s),
                "length": f"{_at(clip.length_s)}@{'a0' if whole else _at(clip.start_s)}",
                "sync-position": "a0",
                "stretch": "1",
                "shift": "1",
                "layering-index": str(layer),
                "envelope-active": "0",
                "default-fade-in": "0",
                "default-fade-out": "0",
                "fade-in-active": "0",
                "fade-out-active": "0",
                "scale-amplitude": "1" if whole else _number(10 ** (clip.gain_db / 20)),
                "id": self._id(),
                "type": "audio",
                "first-edit": "nothing",
                "channels": str(width),
            },
        )
        for channel, number in enumerate(numbers):
            region.set(f"source-{channel}", number)
            region.set(f"master-source-{channel}", number)
        for part in ("Envelope", "FadeIn", "FadeOut"):
            ET.SubElement(region, part, default="yes")

    def _add_ports(self, route: ET.Element, name: str, inputs: int, outputs: list[list[str]]) -> None:
        for direction, ports in (("Input", [[]] * inputs), ("Output", outputs)):
            io = ET.SubElement(
                route,
                "IO",
                {"name": name, "id": self._id(), "direction": direction, "default-type": "audio"},
            )
            for k, connections in enumerate(ports, start=1):
                kind = "in" if direction == "Input" else "out"
                port = ET.SubElement(io, "Port", type="audio", name=f"{name}/audio_{kind} {k}")
                for other in connections:
                    ET.SubElement(port, "Connection", other=other)

    def _add_amplifier(self, route: ET.Element) -> None:
        amplifier = ET.SubElement(
            route,
            "Processor",
            {
                "id": self._id(),
                "name": "Amp",
                "active": "1",
                "user-latency": "0",
                "use-user-latency": "0",
                "type": "amp",
            },
        )
        automation = ET.SubElement(amplifier, "Automation")
        self._add_list(automation, "gain", "Exponential", "Off", [])
        ET.SubElement(amplifier, "Controllable", name="gaincontrol", id=self._id(), flags="GainLike", value="1")

    def _add_main_out(self, route: ET.Element, name: str) -> None:
        output = ET.SubElement(
            route,
            "Processor",
            {
                "id": self._id(),
                "name": name,
                "active": "1",
                "user-latency": "0",
                "use-user-latency": "0",
                "own-input": "1",
                "own-output": "0",
                "output": name,
                "type": "main-outs",
                "role": "Main",
            },
        )
        ET.SubElement(output, "PannerShell", {"bypassed": "1", "user-panner": "", "linked-to-route": "1"})

    def _add_plugin(self, route: ET.Element, plugin: PluginInstance, width: int) -> None:
        numbers = parameter_numbers(plugin)
        processor = ET.SubElement(
            route,
            "Processor",
            {
                "id": self._id(),
                "name": xml_text(plugin.label),
                "active": str(int(not plugin.bypassed)),
                "user-latency": "0",
                "use-user-latency": "0",
                "type": TYPES[plugin.format],
                "unique-id": {"vst3": plugin.class_id, "lv2": plugin.uri}.get(plugin.format, str(plugin.unique_id)),
                # A mono plugin on a stereo track: one copy each side, all moved by the same lanes.
                "count": str(width if plugin.channels == 1 else 1),
                "custom": "0",
            },
        )
        automation = ET.SubElement(processor, "Automation")
        shift = latency_shift_s(plugin, self.session.sample_rate, self.latency)
        values = {value.index: plain_map(plugin, value, self.warnings) for value in plugin.values}
        for lane in plugin.lanes:
            value = values[lane.control]
            number = numbers.get(value.index)
            if number is None:
                self.warnings.append(
                    f"{plugin.label}: Ardour does not automate '{value.name}'; its lane is left out and it stays at "
                    f"{value.text or value.plain}"
                )
                continue
            times, plain = plain_points(lane, value)
            times, plain = shift_points(times, plain, shift, lane.hold, step_s=1 / self.session.sample_rate)
            style = "Discrete" if lane.hold else "Linear"
            self._add_list(automation, f"parameter-{number}", style, "Play", _events(times, plain))
        state = ET.SubElement(
            processor,
            TYPES[plugin.format],
            {"last-preset-uri": "", "last-preset-label": "", "parameter-changed-since-last-preset": "0"},
        )
        if plugin.format == "vst2":
            settings = {f"param-{value.index}": _number(value.plain) for value in values.values()}
            ET.SubElement(state, "parameters", settings)
        else:
            for value in values.values():
                self._add_port(state, plugin, value)
        if plugin.state is not None and plugin.format == "vst3":
            ET.SubElement(state, "chunk").text = base64.b64encode(plugin.state).decode()
        for value in values.values():
            number = numbers.get(value.index)
            if number is None:
                continue
            attributes = {
                "name": xml_text(value.name),
                "id": self._id(),
                "flags": "",
                "value": _number(value.plain),
                "parameter": str(number),
            }
            if plugin.format == "lv2":
                attributes["symbol"] = value.symbol
            ET.SubElement(processor, "Controllable", attributes)

    def _add_port(self, state: ET.Element, plugin: PluginInstance, value: ControlValue) -> None:
        if plugin.format == "vst3" and value.param_id is not None:
            ET.SubElement(state, "Port", id=str(value.param_id), value=_number(value.plain))
        elif plugin.format == "lv2" and value.symbol:
            ET.SubElement(state, "Port", symbol=value.symbol, value=_number(value.plain))
        else:
            self.warnings.append(
                f"{plugin.label}: '{value.name}' has no {'param id' if plugin.format == 'vst3' else 'port symbol'} "
                "and is not set; probe the plugin again"
            )

    def _add_list(self, parent: ET.Element, parameter: str, style: str, state: str, events: list[str]) -> None:
        element = ET.SubElement(
            parent,
            "AutomationList",
            {
                "automation-id": parameter,
                "id": self._id(),
                "interpolation-style": style,
                "time-domain": "AudioTime",
                "state": state,
            },
        )
        if events:
            ET.SubElement(element, "events").text = "".join(events)

    def _add_tempo(self, root: ET.Element) -> None:
        tempo = ET.SubElement(root, "TempoMap", {"superclocks-per-second": str(SUPERCLOCKS)})
        at = {"sclock": "0", "quarters": "0:0", "bbt": "1|1|0"}
        bpm = _number(self.session.bpm)
        ET.SubElement(
            ET.SubElement(tempo, "Tempos"),
            "Tempo",
            {
                "npm": bpm,
                "enpm": bpm,
                "note-type": "4",
                "type": "Tempo::Constant",
                "active": "1",
                "locked-to-meter": "0",
                "continuing": "0",
                **at,
                "omega": "0",
            },
        )
        ET.SubElement(ET.SubElement(tempo, "Meters"), "Meter", {"note-value": "4", "divisions-per-bar": "4", **at})
        ET.SubElement(tempo, "MusicTimes")


def _at(seconds: float) -> str:
    return f"a{round(seconds * SUPERCLOCKS)}"


def _number(value: float) -> str:
    return f"{value:.9g}"


def _events(times: np.ndarray, plain: np.ndarray) -> list[str]:
    """Write points one a line; those that fall on one superclock are one point, the later one."""
    clocks = np.round(times * SUPERCLOCKS).astype(np.int64)
    last = np.append(clocks[1:] != clocks[:-1], True)
    return [f"a{clock} {value:.9g}\n" for clock, value in zip(clocks[last], plain[last], strict=True)]


def _route_name(name: str) -> str:
    # Ports are named ROUTE/audio_out 1, and connections CLIENT:PORT.
    return re.sub(r"[:/\\\x00-\x1f\x7f]", "-", xml_text(name)).strip() or "Track"


def _unique(name: str, taken: set[str]) -> str:
    unique, count = name, 1
    while unique in taken:
        count += 1
        unique = f"{name} {count}"
    taken.add(unique)
    return unique
