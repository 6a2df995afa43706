"""The two documents in a DAWproject file.

Conventions: the schemas fix the order of elements. Every parameter carries its VST3 param id, without which programs
drop lanes, and every point says ``linear`` or ``hold``, since hold is the default.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec

from blackbox_afx import __version__
from blackbox_afx.errors import UsageError
from blackbox_afx.export.folder import xml_text
from blackbox_afx.export.lanes import lane_title
from blackbox_afx.export.moving import decimal, raw_lanes
from blackbox_afx.session import Clip, PluginInstance, Session, Track

_MASTER = "master-channel"


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A recording in the file."""

    place: str
    seconds: float
    channels: int
    sample_rate: int


class DawprojectDocument:
    """Build ``project.xml``.

    Parameters
    ----------
    session : Session
    media : dict of str to Media
        By the clips' paths.
    latency : {"shift", "none"}

    Attributes
    ----------
    presets : list of str
        Where the document expects the plugins' states, in their order.
    warnings : list of str
        What the format can't hold.
    """

    def __init__(self, session: Session, media: dict[str, Media], *, latency: str) -> None:
        self.session = session
        self.media = media
        self.latency = latency
        self.presets: list[str] = []
        self.warnings: list[str] = []

    def encode(self) -> bytes:
        """Write the document as UTF-8."""
        session = self.session
        root = ET.Element("Project", version="1.0")
        ET.SubElement(root, "Application", name="blackbox_afx", version=__version__)
        transport = ET.SubElement(root, "Transport")
        _real(transport, "Tempo", "tempo", "bpm", min(20.0, session.bpm), 999.0, session.bpm, name="Tempo")
        ET.SubElement(transport, "TimeSignature", id="signature", numerator="4", denominator="4")
        structure = ET.SubElement(root, "Structure")
        arrangement = ET.SubElement(root, "Arrangement", id="arrangement")
        lanes = ET.SubElement(arrangement, "Lanes", id="arrangement-lanes", timeUnit="beats")
        for number, track in enumerate(session.tracks, 1):
            key = f"track{number}"
            channels = max((clip.channels for clip in track.clips), default=2)
            channel = self._add_track(structure, key, track.name, "audio", "regular", channels)
            channel.set("destination", _MASTER)
            timeline = ET.SubElement(lanes, "Lanes", id=f"{key}-lanes", track=key)
            self._add_clips(timeline, key, track)
            if track.plugins:
                self._add_plugins(channel, timeline, key, track, channels)
            _mixer(channel, key, track.muted)
        master = self._add_track(structure, "master", "Master", "audio notes", "master", 2)
        _mixer(master, "master", False)
        ET.SubElement(root, "Scenes")
        return _encode(root)

    def _add_track(
        self, structure: ET.Element, key: str, name: str, content: str, role: str, channels: int
    ) -> ET.Element:
        track = ET.SubElement(structure, "Track", id=key, name=xml_text(name), contentType=content, loaded="true")
        return ET.SubElement(
            track, "Channel", id=f"{key}-channel", role=role, audioChannels=str(channels), solo="false"
        )

    def _add_clips(self, timeline: ET.Element, key: str, track: Track) -> None:
        clips = ET.SubElement(timeline, "Clips", id=f"{key}-clips")
        for number, clip in enumerate(track.clips, 1):
            element = ET.SubElement(
                clips,
                "Clip",
                {
                    "name": xml_text(self.session.resolve(clip).stem),
                    "time": self._beats(clip.start_s),
                    "duration": self._beats(clip.length_s),
                    "contentTimeUnit": "seconds",
                    "playStart": decimal(clip.offset_s),
                    "playStop": decimal(clip.offset_s + clip.length_s),
                },
            )
            self._add_content(element, f"{key}-clip{number}", clip)

    def _add_content(self, element: ET.Element, key: str, clip: Clip) -> None:
        parent = element
        if clip.gain_db:
            # A clip has no gain of its own: it is an expression beside the audio, as Bitwig is reported to write it.
            parent = ET.SubElement(element, "Lanes", id=f"{key}-lanes", timeUnit="seconds")
        media = self.media[clip.path]
        audio = ET.SubElement(
            parent,
            "Audio",
            {
                "id": f"{key}-audio",
                "duration": decimal(media.seconds),
                "channels": str(media.channels),
                "sampleRate": str(media.sample_rate),
                "algorithm": "raw",
            },
        )
        ET.SubElement(audio, "File", path=media.place, external="false")
        if clip.gain_db:
            gain = ET.SubElement(parent, "Points", id=f"{key}-gain", unit="linear")
            ET.SubElement(gain, "Target", expression="gain")
            amount = decimal(10 ** (clip.gain_db / 20))
            ET.SubElement(gain, "RealPoint", time="0", value=amount, interpolation="hold")
            self.warnings.append(
                f"the clip '{self.session.resolve(clip).stem}' is brought {clip.gain_db:+.1f} dB by a gain expression; "
                "not every program reads it: look at the clip's gain after import"
            )

    def _add_plugins(self, channel: ET.Element, timeline: ET.Element, key: str, track: Track, channels: int) -> None:
        devices = ET.SubElement(channel, "Devices")
        for number, plugin in enumerate(track.plugins, 1):
            if plugin.channels == 1 and channels == 2:
                self.warnings.append(
                    f"{plugin.label} is mono on a stereo track: our render runs one on each side, what a DAW makes of "
                    "it is its own choice; use the stereo twin where there is one"
                )
            self._add_plugin(devices, timeline, f"{key}-plugin{number}", plugin)

    def _add_plugin(self, devices: ET.Element, timeline: ET.Element, key: str, plugin: PluginInstance) -> None:
        device = ET.SubElement(
            devices,
            "Vst3Plugin",
            {
                "id": key,
                "name": xml_text(plugin.label),
                "deviceName": xml_text(plugin.plugin_name or plugin.label),
                "deviceID": plugin.class_id,
                "deviceRole": "audioFX",
                "loaded": "true",
            },
        )
        if plugin.vendor:
            device.set("deviceVendor", xml_text(plugin.vendor))
        if plugin.version:
            device.set("pluginVersion", xml_text(plugin.version))
        parameters = ET.SubElement(device, "Parameters")
        for value in plugin.values:
            if value.param_id is None:
                raise UsageError(f"{plugin.label}: '{value.name}' lacks its param id; probe the plugin again")
            parameter = _real(
                parameters, "RealParameter", f"{key}-{value.index}", "normalized", 0, 1, value.raw, name=value.name
            )
            parameter.set("parameterID", str(signed(value.param_id)))
            if value.text:
                parameter.set("comment", xml_text(value.text))
        ET.SubElement(device, "Enabled", id=f"{key}-enabled", name="On", value=_flag(not plugin.bypassed))
        self.presets.append(f"plugins/{key}.vstpreset")
        ET.SubElement(device, "State", path=self.presets[-1], external="false")
        for lane in raw_lanes(plugin, self.session, self.latency, self.warnings):
            points = ET.SubElement(
                timeline,
                "Points",
                id=f"{key}-{lane.value.index}-points",
                name=xml_text(lane_title(plugin, lane.value)),
                unit="normalized",
            )
            ET.SubElement(points, "Target", parameter=f"{key}-{lane.value.index}")
            ramp = "hold" if lane.hold else "linear"
            for time, raw in zip(lane.times.tolist(), lane.raw.tolist(), strict=True):
                ET.SubElement(points, "RealPoint", time=self._beats(time), value=decimal(raw), interpolation=ramp)

    def _beats(self, seconds: float) -> str:
        return decimal(seconds * self.session.bpm / 60.0)


def metadata(session: Session) -> bytes:
    """Write ``metadata.xml``."""
    root = ET.Element("MetaData")
    ET.SubElement(root, "Title").text = xml_text(session.name)
    ET.SubElement(root, "Comment").text = xml_text(
        f"Settings and automation by {session.made_with or 'blackbox_afx'}, at a constant {session.bpm:g} bpm."
    )
    return _encode(root)


def signed(param_id: int) -> int:
    """Give a param id, 32 bits without sign in VST3, as the signed number that the schema asks for."""
    return param_id - (1 << 32) if param_id >= 1 << 31 else param_id


def _encode(root: ET.Element) -> bytes:
    ET.indent(root)
    return ET.tostring(root, encoding="UTF-8", xml_declaration=True)


def _flag(on: bool) -> str:
    return "true" if on else "false"


def _real(
    parent: ET.Element, tag: str, key: str, unit: str, low: float, high: float, value: float, *, name: str
) -> ET.Element:
    return ET.SubElement(
        parent,
        tag,
        {
            "id": key,
            "name": xml_text(name),
            "unit": unit,
            "min": decimal(low),
            "max": decimal(high),
            "value": decimal(value),
        },
    )


def _mixer(channel: ET.Element, key: str, muted: bool) -> None:
    ET.SubElement(channel, "Mute", id=f"{key}-mute", name="Mute", value=_flag(muted))
    _real(channel, "Pan", f"{key}-pan", "normalized", 0, 1, 0.5, name="Pan")
    _real(channel, "Volume", f"{key}-volume", "linear", 0, 2, 1, name="Volume")
