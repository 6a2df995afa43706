"""DAWproject files: valid against Bitwig's schemas, read back by `xmlschema`, stored as strict programs want it."""

from __future__ import annotations

import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings

from blackbox_afx.audio import read_audio
from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.export import export
from blackbox_afx.export.dawproject_xml import signed
from blackbox_afx.export.folder import xml_text
from blackbox_afx.session import Session
from blackbox_afx.testing.exporters import check_exporter, example_session
from tests.export.varied import NAMES, crowded, point_lists, with_lane, with_names

SCHEMAS = Path(__file__).parent.parent / "data" / "dawproject"
etree = pytest.importorskip("lxml.etree")
xmlschema = pytest.importorskip("xmlschema")


@cache
def validators(name: str) -> tuple[Any, Any]:
    """Two implementations of XML Schema."""
    return etree.XMLSchema(file=str(SCHEMAS / name)), xmlschema.XMLSchema(str(SCHEMAS / name))


def valid(archive: zipfile.ZipFile) -> Any:
    """Check both documents with lxml, and give the project as `xmlschema` reads it by the schema."""
    for document, schema in (("project.xml", "Project.xsd"), ("metadata.xml", "MetaData.xsd")):
        validators(schema)[0].assertValid(etree.fromstring(archive.read(document)))
    return validators("Project.xsd")[1].to_dict(archive.read("project.xml").decode())


def save(session: Session, folder: Path, **options: Any) -> zipfile.ZipFile:
    done = export(session, "dawproject", folder / "out.dawproject", force=True, **options)
    return zipfile.ZipFile(done.path)


def lanes_of(project: Any) -> list[Any]:
    """The automation of the first track."""
    return project["Arrangement"]["Lanes"]["Lanes"][0]["Points"]


def test_conforms(tmp_path: Path) -> None:
    from blackbox_afx.export import exporter

    check_exporter(exporter("dawproject"), folder=tmp_path)


def test_valid_by_both_validators(tmp_path: Path) -> None:
    with save(example_session(tmp_path, channels=2), tmp_path) as archive:
        assert archive.testzip() is None
        valid(archive)
        for document, schema in (("project.xml", "Project.xsd"), ("metadata.xml", "MetaData.xsd")):
            validators(schema)[1].validate(archive.read(document).decode())


def test_stored_without_data_descriptors(tmp_path: Path) -> None:
    with save(example_session(tmp_path), tmp_path) as archive:
        data = (tmp_path / "out.dawproject").read_bytes()
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            # In the local header, which the list at the end merely repeats: flags and checksum.
            header = data[entry.header_offset :]
            assert int.from_bytes(header[6:8], "little") & 0x08 == 0
            assert int.from_bytes(header[14:18], "little") == entry.CRC != 0


def test_parameters_carry_their_ids_and_values(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    with save(session, tmp_path) as archive:
        project = valid(archive)
    device = project["Structure"]["Track"][0]["Channel"]["Devices"]["Vst3Plugin"][0]
    (plugin,) = session.tracks[0].plugins
    assert device["@deviceID"] == plugin.class_id
    rows = device["Parameters"]["RealParameter"]
    assert [row["@parameterID"] for row in rows] == [signed(value.param_id or 0) for value in plugin.values]
    assert [float(row["@value"]) for row in rows] == [value.raw for value in plugin.values]
    assert [row["@unit"] for row in rows] == ["normalized"] * len(rows)
    assert np.array([signed(2**31 + 5)], np.int32).astype(np.uint32).tolist() == [2**31 + 5]


def test_lanes_in_beats_with_stated_interpolation(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    with save(session, tmp_path, bpm=90.0) as archive:
        project = valid(archive)
    assert float(project["Transport"]["Tempo"]["@value"]) == 90
    assert project["Arrangement"]["Lanes"]["@timeUnit"] == "beats"
    (plugin,) = session.tracks[0].plugins
    ids = {
        row["@id"]: row["@parameterID"]
        for row in project["Structure"]["Track"][0]["Channel"]["Devices"]["Vst3Plugin"][0]["Parameters"][
            "RealParameter"
        ]
    }
    written = lanes_of(project)
    assert len(written) == len(plugin.lanes)
    for lane, points in zip(plugin.lanes, written, strict=True):
        value = plugin.value(lane.control)
        assert ids[points["Target"]["@parameter"]] == signed(value.param_id or 0)
        assert points["@unit"] == "normalized"
        assert [float(point["@time"]) for point in points["RealPoint"]] == pytest.approx([t * 1.5 for t in lane.times])
        assert [float(point["@value"]) for point in points["RealPoint"]] == pytest.approx(lane.raw)
        assert {point["@interpolation"] for point in points["RealPoint"]} == {"hold" if lane.hold else "linear"}


def test_audio_state_trim_and_muted_render(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    with save(session, tmp_path) as archive:
        project = valid(archive)
        tracks = project["Structure"]["Track"]
        timelines = project["Arrangement"]["Lanes"]["Lanes"]
        state = tracks[0]["Channel"]["Devices"]["Vst3Plugin"][0]["State"]
        assert archive.read(state["@path"]) == session.tracks[0].plugins[0].state
        content = timelines[0]["Clips"][0]["Clip"][0]["Lanes"]
        assert archive.read(content["Audio"][0]["File"]["@path"]) == (tmp_path / "input.wav").read_bytes()
        (gain,) = content["Points"]
        assert gain["Target"]["@expression"] == "gain"
        assert 20 * np.log10(float(gain["RealPoint"][0]["@value"])) == pytest.approx(-3.0, abs=1e-6)
        ours = timelines[1]["Clips"][0]["Clip"][0]["Audio"]
        assert archive.read(ours["File"]["@path"]) == (tmp_path / "render.wav").read_bytes()
    assert [track["Channel"]["Mute"]["@value"] for track in tracks] == [False, True, False]
    assert [track["Channel"]["@role"] for track in tracks] == ["regular", "regular", "master"]
    clip = timelines[0]["Clips"][0]["Clip"][0]
    assert (clip["@duration"], clip["@playStop"], clip["@contentTimeUnit"]) == (4.0, 2.0, "seconds")


def test_other_containers_become_float_wav(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    audio, rate = read_audio(tmp_path / "input.wav")
    soundfile.write(tmp_path / "input.flac", audio.T, rate, subtype="PCM_24")
    live, ours = session.tracks
    live = msgspec.structs.replace(live, clips=(msgspec.structs.replace(live.clips[0], path="input.flac"),))
    with save(msgspec.structs.replace(session, tracks=(live, ours)), tmp_path) as archive:
        valid(archive)
        place = next(name for name in archive.namelist() if name.startswith("audio/1"))
        (tmp_path / "back.wav").write_bytes(archive.read(place))
    assert place.endswith(".wav")
    np.testing.assert_array_equal(read_audio(tmp_path / "back.wav")[0], read_audio(tmp_path / "input.flac")[0])


def test_latency_moves_lanes_earlier_or_not(tmp_path: Path) -> None:
    session = example_session(tmp_path, latency=480)
    for latency, peak in (("shift", 0.74), ("none", 0.75)):
        with save(session, tmp_path, latency=latency) as archive:
            points = lanes_of(valid(archive))[0]["RealPoint"]
        top = max(points, key=lambda point: float(point["@value"]))
        assert float(top["@time"]) / 2 == pytest.approx(peak)
        assert (float(points[0]["@time"]), float(points[-1]["@time"])) == (0, 4)
    warnings = export(session, "dawproject", tmp_path / "w.dawproject").warnings
    assert any("480 samples earlier" in text and "--latency none" in text for text in warnings)


def test_mono_plugin_on_a_stereo_track_is_told(tmp_path: Path) -> None:
    session = example_session(tmp_path, channels=2)
    live, ours = session.tracks
    mono = msgspec.structs.replace(live.plugins[0], channels=1)
    session = msgspec.structs.replace(session, tracks=(msgspec.structs.replace(live, plugins=(mono,)), ours))
    warnings = export(session, "dawproject", tmp_path / "out.dawproject").warnings
    assert any(mono.label in text and "mono on a stereo track" in text for text in warnings)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"class_id": ""}, "class id"),
        ({"state": None}, "state"),
        ({"state": b"VC2!"}, "no .vstpreset"),
        ({"class_id": "0" * 32}, "names 0000"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    session = example_session(tmp_path)
    live, ours = session.tracks
    plugin = msgspec.structs.replace(live.plugins[0], **change)
    session = msgspec.structs.replace(session, tracks=(msgspec.structs.replace(live, plugins=(plugin,)), ours))
    with pytest.raises(UsageError, match=told):
        export(session, "dawproject", tmp_path / "out.dawproject")
    assert not (tmp_path / "out.dawproject").exists()


def test_an_lv2_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Example is a plugin of format lv2, which a DAWproject can't hold"):
        export(example_session(tmp_path, format="lv2"), "dawproject", tmp_path / "out.dawproject")


def test_the_recording_is_never_replaced(tmp_path: Path) -> None:
    before = (session := example_session(tmp_path)) and (tmp_path / "input.wav").read_bytes()
    with pytest.raises(OutputError, match="recordings"):
        export(session, "dawproject", tmp_path / "input.wav", force=True)
    assert (tmp_path / "input.wav").read_bytes() == before


def test_same_session_same_bytes(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    for name in ("a", "b"):
        export(session, "dawproject", tmp_path / f"{name}.dawproject")
    assert (tmp_path / "a.dawproject").read_bytes() == (tmp_path / "b.dawproject").read_bytes()


@settings(max_examples=30, deadline=None)
@given(track=NAMES, plugin=NAMES, control=NAMES)
def test_any_name(track: str, plugin: str, control: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = with_names(example_session(folder), track, plugin, control)
        with save(session, folder) as archive:
            valid(archive)
            root = ET.fromstring(archive.read("project.xml"))
    found = root.find("Structure/Track")
    device = root.find("Structure/Track/Channel/Devices/Vst3Plugin")
    parameter = root.find("Structure/Track/Channel/Devices/Vst3Plugin/Parameters/RealParameter")
    assert found is not None
    assert device is not None
    assert parameter is not None
    assert found.get("name") == xml_text(track)
    assert device.get("name") == device.get("deviceName") == xml_text(plugin)
    assert parameter.get("name") == xml_text(control)


@pytest.mark.parametrize("name", ["R&D", "ギター 音量", "🎛", "a'b`c", "x <y>", "Größe ]]>"])
def test_any_path(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    session = example_session(folder)
    (folder / "input.wav").rename(folder / f"{name}.wav")
    live, ours = session.tracks
    live = msgspec.structs.replace(live, clips=(msgspec.structs.replace(live.clips[0], path=f"{name}.wav"),))
    with save(msgspec.structs.replace(session, tracks=(live, ours)), folder) as archive:
        project = valid(archive)
        clip = project["Arrangement"]["Lanes"]["Lanes"][0]["Clips"][0]["Clip"][0]
        assert clip["@name"] == name
        place = clip["Lanes"]["Audio"][0]["File"]["@path"]
        assert archive.read(place) == (folder / f"{name}.wav").read_bytes()


@settings(max_examples=30, deadline=None)
@given(points=point_lists())
def test_any_lane(points: tuple[tuple[float, ...], tuple[float, ...], bool]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with save(with_lane(example_session(folder), *points), folder) as archive:
            (lane,) = lanes_of(valid(archive))
    times, raw, hold = points
    assert [float(point["@time"]) / 2 for point in lane["RealPoint"]] == pytest.approx(times, abs=1e-9)
    assert [float(point["@value"]) for point in lane["RealPoint"]] == pytest.approx(raw, abs=1e-9)
    assert {point["@interpolation"] for point in lane["RealPoint"]} == {"hold" if hold else "linear"}


def test_two_hundred_lanes_of_an_hour(tmp_path: Path) -> None:
    session = crowded(tmp_path, 200)
    with save(session, tmp_path) as archive:
        validators("Project.xsd")[0].assertValid(root := etree.fromstring(archive.read("project.xml")))
    assert len(root.findall(".//Points/RealPoint")) == 200 * 200 + 1  # and the clip's gain
    assert max(float(point.get("time")) for point in root.iter("RealPoint")) == 7200


@pytest.mark.zam
def test_a_real_chain(tmp_path: Path) -> None:
    from tests.export.real_sessions import make_case

    case = make_case(tmp_path, ["ZamEQ2", "ZamCompX2"], channels=2, seconds=1.0)
    with save(case.session, tmp_path) as archive:
        project = valid(archive)
        devices = project["Structure"]["Track"][0]["Channel"]["Devices"]["Vst3Plugin"]
        assert [device["@deviceName"] for device in devices] == ["ZamEQ2", "ZamCompX2"]
        for device, profile in zip(devices, case.spec.profiles, strict=True):
            rows = device["Parameters"]["RealParameter"]
            wanted = {control.name: control.param_id for control in (*profile.active, *profile.held)}
            assert {row["@name"]: row["@parameterID"] for row in rows} == wanted
            # The class id in the preset's own header is the one that Bitwig is known to write.
            state = archive.read(device["State"]["@path"])
            assert state[8:40].decode() == device["@deviceID"]
    targets = {points["Target"]["@parameter"] for points in lanes_of(project)}
    assert len(targets) == 6
