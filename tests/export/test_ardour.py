"""Ardour sessions: what is in the file."""

from __future__ import annotations

import base64
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.export import export, exporter
from blackbox_afx.export.ardour_session import SUPERCLOCKS, SessionDocument, Source
from blackbox_afx.export.ardour_table import parameter_numbers, plain_map
from blackbox_afx.export.folder import legal_name
from blackbox_afx.session import Clip, ControlValue, Lane, Parameter, PluginInstance, Session, Track
from blackbox_afx.testing import check_exporter
from blackbox_afx.testing.exporters import example_session


def read(path: Path) -> ET.Element:
    return ET.fromstring(path.read_bytes())


def lanes_of(root: ET.Element) -> dict[str, tuple[str, list[tuple[float, float]]]]:
    found = {}
    for element in root.iter("AutomationList"):
        if element.get("state") == "Play":
            points = []
            for line in (element.findtext("events") or "").strip().splitlines():
                time, value = line.split()
                points.append((int(time.removeprefix("a")) / SUPERCLOCKS, float(value)))
            found[element.get("automation-id")] = (element.get("interpolation-style"), points)
    return found


def test_it_conforms(tmp_path: Path) -> None:
    """The suite that all exporters pass."""
    check_exporter(exporter("ardour"), folder=tmp_path)


def test_lanes_are_plain_and_in_time(tmp_path: Path) -> None:
    """Values as the plugin shows them; ramps linear, switches held; a log control has points between."""
    made = export(example_session(tmp_path), "ardour", tmp_path / "s", bpm=87.5)
    root = read(made.path)
    lanes = lanes_of(root)
    style, points = lanes["parameter-0"]
    assert style == "Linear"
    assert points == [(0.0, 0.0), (0.75, 10.0), (2.0, -10.0)]
    style, points = lanes["parameter-2"]
    assert style == "Discrete"
    assert points == [(0.0, 1.0), (0.5, 0.0), (2.0, 0.0)]
    style, points = lanes["parameter-1"]
    assert style == "Linear"
    assert points[0] == (0.0, 20.0)
    moments = np.linspace(0, 1, 300)
    drawn = np.log(np.interp(moments, *np.array(points).T) / 20) / np.log(1000)
    np.testing.assert_allclose(drawn, moments, atol=0.0006)
    assert root.find("TempoMap/Tempos/Tempo").get("npm") == "87.5"
    assert not made.warnings


def test_tracks_clips_state_and_trim(tmp_path: Path) -> None:
    """The original with its trim and the live plugin; our render beside it, muted and untouched."""
    session = example_session(tmp_path, channels=2)
    made = export(session, "ardour", tmp_path / "s")
    root = read(made.path)
    routes = {route.get("name"): route for route in root.iter("Route")}
    assert [route.find("MuteMaster").get("muted") for route in routes.values()] == ["0", "0", "1"]
    gains = [float(region.get("scale-amplitude")) for region in root.iterfind("Playlists/Playlist/Region")]
    assert gains == [pytest.approx(10 ** (-3 / 20)), 1.0]
    plugin = routes["Example"].find("Processor[@type='vst3']")
    assert plugin.get("unique-id") == session.tracks[0].plugins[0].class_id
    assert base64.b64decode(plugin.findtext("vst3/chunk")) == session.tracks[0].plugins[0].state
    ports = {port.get("id"): float(port.get("value")) for port in plugin.iterfind("vst3/Port")}
    assert ports == {"7": 0.0, str(2**31 + 5): 20.0, "9": 1.0, "3": -10.0}
    copied = made.path.parent / "interchange" / "s" / "audiofiles" / "input.wav"
    assert copied.read_bytes() == (tmp_path / "input.wav").read_bytes()
    end = root.find("Locations/Location[@flags='IsSessionRange']").get("end")
    assert int(end[1:]) == 2 * SUPERCLOCKS
    ids = [element.get("id") for element in root.iter() if element.get("id") and element.tag != "Port"]
    assert len(set(ids)) == len(ids)
    assert int(root.get("id-counter")) > max(map(int, ids[1:]))


def test_a_bypassed_plugin_is_switched_off(tmp_path: Path) -> None:
    """Set, moved, but not active."""
    session = example_session(tmp_path)
    track = session.tracks[0]
    off = msgspec.structs.replace(track, plugins=(msgspec.structs.replace(track.plugins[0], bypassed=True),))
    made = export(msgspec.structs.replace(session, tracks=(off,)), "ardour", tmp_path / "s")
    assert read(made.path).find(".//Processor[@type='vst3']").get("active") == "0"


def test_latency_moves_lanes_or_not(tmp_path: Path) -> None:
    """480 samples earlier, with the value at 0 kept; or as they are."""
    session = example_session(tmp_path, latency=480)
    _, moved = lanes_of(read(export(session, "ardour", tmp_path / "a").path))["parameter-0"]
    assert moved[0] == (0.0, 0.0)
    assert moved[2] == (pytest.approx(0.74), 10.0)
    assert moved[-1] == (2.0, -10.0)
    _, still = lanes_of(read(export(session, "ardour", tmp_path / "b", latency="none").path))["parameter-0"]
    assert [time for time, _ in still] == [0.0, 0.75, 2.0]


def test_parameters_are_counted_as_ardour_does() -> None:
    """Program parameters, hidden controls that nobody may touch and JUCE's MIDI parameters take no number."""
    table = (
        Parameter(index=0, param_id=90, name="Program", program=True),
        Parameter(index=1, param_id=5, name="Gain"),
        Parameter(index=2, param_id=6, name="Room", automatable=False),
        Parameter(index=3, param_id=7, name="Meter", automatable=False, readonly=True),
        Parameter(index=4, param_id=8, name="MIDI CC 0|1"),
        Parameter(index=5, param_id=9, name="Tone"),
    )
    plugin = PluginInstance(format="vst3", label="P", table=table)
    assert parameter_numbers(plugin) == {1: 0, 3: 1, 5: 2}


def test_what_is_not_automated_is_named(tmp_path: Path) -> None:
    """A lane for a control without a number becomes a warning, and the control keeps its value."""
    session = example_session(tmp_path)
    plugin = session.tracks[0].plugins[0]
    table = tuple(msgspec.structs.replace(row, automatable=row.index != 0) for row in plugin.table)
    track = msgspec.structs.replace(session.tracks[0], plugins=(msgspec.structs.replace(plugin, table=table),))
    made = export(msgspec.structs.replace(session, tracks=(track,)), "ardour", tmp_path / "s")
    assert any("'Example'" in warning for warning in made.warnings)
    assert set(lanes_of(read(made.path))) == {"parameter-0", "parameter-1"}  # the other two moved up


def test_the_plugins_own_plain_values_win() -> None:
    """A plugin that words its values in units but calls raw plain gets lanes in raw."""
    value = ControlValue(index=0, name="G", unit="dB", raw=0.75, plain=10, plain_minimum=-20, plain_maximum=20)
    samples = tuple((k / 8, k / 8) for k in range(9))
    table = (Parameter(index=0, param_id=1, name="G", plain_samples=samples),)
    warnings: list[str] = []
    mapped = plain_map(PluginInstance(format="vst3", label="P", table=table), value, warnings)
    assert (mapped.plain, mapped.plain_minimum, mapped.plain_maximum) == (0.75, 0.0, 1.0)
    assert not warnings
    bent = (Parameter(index=0, param_id=1, name="G", plain_samples=tuple((k / 8, (k / 8) ** 2) for k in range(9))),)
    mapped = plain_map(PluginInstance(format="vst3", label="P", table=bent), value, warnings)
    assert mapped.plain == pytest.approx(0.5625)
    assert "'G'" in warnings[0]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_any_name_makes_a_document_that_can_be_read(name: str) -> None:
    """Control characters, halves of pairs, marks that XML or ports use: what comes back is the name or its nearest."""
    session = named(name)
    document = SessionDocument(session, legal_name(name), latency="shift")
    source = Source(name=f"{legal_name(name)}.wav", channels=1, frames=96000)
    root = ET.fromstring(document.encode({"input.wav": source, "render.wav": source}))
    if name.isprintable():
        assert root.find(".//Processor[@type='vst3']").get("name") == name
    names = [route.get("name") for route in root.iter("Route")]
    assert len(set(names)) == 3
    for port in root.iter("Connection"):
        assert port.get("other").split("/")[0] in ("Master", "system:playback_1", "system:playback_2")


def named(name: str) -> Session:
    plugin = PluginInstance(
        format="vst3",
        label=name,
        class_id="0" * 32,
        values=(ControlValue(index=0, param_id=0, name=name, raw=0, plain=0, plain_minimum=0, plain_maximum=1),),
        table=(Parameter(index=0, param_id=0, name=name),),
    )
    clips = [Clip(path=f"{stem}.wav", length_s=2.0, channels=1, sample_rate=48000) for stem in ("input", "render")]
    tracks = (
        Track(name=name, clips=(clips[0],), plugins=(plugin,)),
        Track(name=name, role="render", muted=True, clips=(clips[1],)),
    )
    return Session(name=name, sample_rate=48000, tracks=tracks)


@given(st.text())
def test_legal_names_are_legal(name: str) -> None:
    """Never empty, never too long, never with what a file system refuses; legal ones stay."""
    legal = legal_name(name)
    assert 0 < len(legal.encode("utf-8")) <= 200
    assert not set(legal) & set('/\\:*?"<>|\0')
    assert legal_name(legal) == legal


def test_an_hour_of_two_hundred_lanes(tmp_path: Path) -> None:
    """Every point of 200 lanes of 500 points comes back where it was put."""
    rng = np.random.default_rng(0)
    times = np.concatenate([[0.0], np.sort(rng.uniform(0.001, 3599, 498)), [3600.0]])
    values, lanes = [], []
    for k in range(200):
        raw = rng.uniform(0, 1, 500)
        plain = -20 + 40 * raw
        shared = {"plain_minimum": -20.0, "plain_maximum": 20.0}
        values.append(ControlValue(index=k, param_id=k, name=f"C{k}", raw=raw[0], plain=plain[0], **shared))
        lanes.append(Lane(control=k, times=tuple(times), raw=tuple(raw), plain=tuple(plain)))
    session = example_session(tmp_path)
    table = tuple(Parameter(index=k, param_id=k, name=f"C{k}") for k in range(200))
    plugin = msgspec.structs.replace(
        session.tracks[0].plugins[0], values=tuple(values), lanes=tuple(lanes), table=table
    )
    track = msgspec.structs.replace(session.tracks[0], plugins=(plugin,))
    made = export(msgspec.structs.replace(session, tracks=(track,)), "ardour", tmp_path / "s")
    found = lanes_of(read(made.path))
    assert len(found) == 200
    for k, lane in enumerate(lanes):
        points = np.array(found[f"parameter-{k}"][1])
        np.testing.assert_allclose(points[:, 0], lane.times, atol=1 / SUPERCLOCKS)
        np.testing.assert_allclose(points[:, 1], lane.plain, atol=1e-7)


def broken(session: Session, what: str) -> Session:
    track = session.tracks[0]
    clip, plugin = track.clips[0], track.plugins[0]
    replace = msgspec.structs.replace
    changed = {
        "rate": replace(track, clips=(replace(clip, sample_rate=44100),)),
        "channels": replace(track, clips=(replace(clip, channels=6),)),
        "mixed": replace(track, clips=(clip, replace(clip, channels=2))),
        "no id": replace(track, plugins=(replace(plugin, class_id=""),)),
        "no table": replace(track, plugins=(replace(plugin, table=()),)),
        "no audio": replace(track, clips=()),
    }[what]
    return replace(session, tracks=(changed,))


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("rate", "44100 Hz"),
        ("channels", "6 channels"),
        ("mixed", "mono and stereo"),
        ("no id", "class id"),
        ("no table", "parameter table"),
        ("no audio", "no audio"),
    ],
)
def test_what_a_session_can_not_hold_is_refused(tmp_path: Path, what: str, says: str) -> None:
    """An error that names it, and nothing written."""
    session = broken(example_session(tmp_path), what)
    with pytest.raises(UsageError, match=says):
        export(session, "ardour", tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_other_folders_are_never_replaced(tmp_path: Path) -> None:
    """Force replaces a session of that name, not somebody's folder."""
    session = example_session(tmp_path)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "song.txt").write_text("mine")
    with pytest.raises(OutputError, match="something else"):
        export(session, "ardour", tmp_path / "precious", force=True)
    assert (tmp_path / "precious" / "song.txt").read_text() == "mine"


def test_recordings_that_ardour_can_not_read_in_place_are_decoded(tmp_path: Path) -> None:
    """Ogg becomes a float WAV of the same samples."""
    session = example_session(tmp_path)
    audio, rate = soundfile.read(tmp_path / "input.wav")
    soundfile.write(tmp_path / "input.ogg", audio, rate)
    track = session.tracks[0]
    clip = msgspec.structs.replace(track.clips[0], path="input.ogg")
    session = msgspec.structs.replace(session, tracks=(msgspec.structs.replace(track, clips=(clip,)),))
    made = export(session, "ardour", tmp_path / "s")
    copied, _ = soundfile.read(made.path.parent / "interchange" / "s" / "audiofiles" / "input.wav")
    np.testing.assert_allclose(copied, soundfile.read(tmp_path / "input.ogg")[0], atol=1e-6)
