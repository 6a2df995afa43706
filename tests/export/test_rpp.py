"""REAPER projects, read by the `rpp` package: the text is right; whether REAPER takes it, nobody has tried."""

from __future__ import annotations

import base64
import struct
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from blackbox_afx.errors import UsageError
from blackbox_afx.export import export, exporter
from blackbox_afx.export.folder import xml_text
from blackbox_afx.export.preset_file import read_preset
from blackbox_afx.export.rpp import quote, reaper_id, state_parts
from blackbox_afx.session import PluginInstance, Session
from blackbox_afx.testing.exporters import check_exporter, example_session
from tests.export.varied import NAMES, crowded, point_lists, with_lane, with_names

rpp = pytest.importorskip("rpp")


def parse(session: Session, folder: Path, **options: Any) -> Any:
    done = export(session, "rpp", folder / "out.rpp", force=True, **options)
    return rpp.loads(done.path.read_text(encoding="utf-8"))


def row(element: Any, name: str) -> list[str]:
    """Give the one line of that name."""
    (found,) = [child for child in element if isinstance(child, list) and child[0] == name]
    return found[1:]


def test_conforms(tmp_path: Path) -> None:
    check_exporter(exporter("rpp"), folder=tmp_path)
    assert exporter("rpp").experimental
    warnings = export(example_session(tmp_path), "rpp", tmp_path / "x.rpp").warnings
    assert "no REAPER has opened one" in warnings[0]


def test_tracks_items_and_envelopes(tmp_path: Path) -> None:
    session = example_session(tmp_path, channels=2)
    project = parse(session, tmp_path, bpm=93.5)
    assert row(project, "TEMPO") == ["93.5", "4", "4"]
    assert row(project, "SAMPLERATE")[0] == "48000"
    live, ours = project.findall("TRACK")
    assert (row(live, "NAME"), row(ours, "NAME")) == (["Example"], ["Example (render)"])
    assert (row(live, "MUTESOLO")[0], row(ours, "MUTESOLO")[0]) == ("0", "1")
    item = live.find("ITEM")
    assert float(row(item, "LENGTH")[0]) == 2
    assert float(row(item, "VOLPAN")[2]) == pytest.approx(10 ** (-3 / 20))
    assert item.find("SOURCE").attrib == ["WAVE"]
    assert row(item.find("SOURCE"), "FILE") == ["input.wav"]
    (plugin,) = session.tracks[0].plugins
    chain = live.find("FXCHAIN")
    assert chain.find("VST").attrib[0] == "VST3: Example (Nobody & Sons)"
    drawn = chain.findall("PARMENV")
    assert len(drawn) == len(plugin.lanes)
    for lane, envelope in zip(plugin.lanes, drawn, strict=True):
        value = plugin.value(lane.control)
        assert envelope.attrib[0] == f"{value.index}:{value.param_id}"
        assert envelope.attrib[-1] == value.name
        points = [child[1:] for child in envelope if child[0] == "PT"]
        assert [float(point[0]) for point in points] == list(lane.times)
        assert [float(point[1]) for point in points] == pytest.approx(lane.raw)
        assert {point[2] for point in points} == {str(int(lane.hold))}


def test_state_as_reaper_frames_it(tmp_path: Path) -> None:
    session = example_session(tmp_path, channels=2)
    (plugin,) = session.tracks[0].plugins
    vst = parse(session, tmp_path).find("TRACK").find("FXCHAIN").find("VST")
    lines = [child if isinstance(child, str) else child[0] for child in vst]
    content = b"".join(base64.b64decode(line) for line in lines)
    number, magic, inputs = struct.unpack_from("<III", content)
    assert number == int(vst.attrib[-2].partition("{")[0]) == reaper_id(plugin)
    assert magic == 0xFEED5EEE
    assert (inputs, struct.unpack_from("<QQIQQ", content, 12)) == (2, (1, 2, 2, 1, 2))
    size, one, last = struct.unpack_from("<III", content, 48)
    assert (one, last) == (1, 0x00100000)
    body = content[60 : 60 + size]
    assert content[60 + size :] == b"\0\0\x10\0\0\0"
    chunks = read_preset(plugin.state or b"")[1]
    length, kind = struct.unpack_from("<II", body)
    assert (kind, body[8 : 8 + length]) == (1, chunks["Comp"])
    length, kind = struct.unpack_from("<II", body[8 + length :])
    assert (kind, body[-length:]) == (0, chunks["Cont"])


@pytest.mark.parametrize(
    ("class_id", "number"),
    [
        ("4D656C646170726F4D4165334D416533", 928022665),
        ("5653545344656C237473746572656F20", 1997878177),
        ("5653545435333274723520737465616C", 1456132600),
        ("506C7567696E474D504920501951ED43", 1386065673),
        ("D39D5B69D6AF42FA1234567868495645", 437120294),
        ("F2AEE70D00DE4F4E5442504154425037", 157181286),
    ],
)
def test_numbers_of_real_projects(class_id: str, number: int) -> None:
    """Six plugins of six makers, numbered by REAPER itself on Windows and macOS."""
    assert reaper_id(PluginInstance(format="vst3", label="x", class_id=class_id)) == number


def test_head_of_a_real_project() -> None:
    """The start of the state of a plugin of MeldaProduction's, as REAPER itself wrote it."""
    plugin = PluginInstance(format="vst3", label="x", class_id="4D656C646170726F4D4165334D416533")
    real = base64.b64decode("iYBQN+5e7f4CAAAAAQAAAAAAAAACAAAAAAAAAAIAAAABAAAAAAAAAAIAAAAAAAAAAgQAAAEAAAAAABAA")
    state = example_state(plugin.class_id)
    head, body, _ = state_parts(msgspec.structs.replace(plugin, state=state), [1, 2], [1, 2])
    assert len(head) == len(real)
    # All but the size of the state, which is the other plugin's.
    assert head[:48] == real[:48]
    assert head[52:] == real[52:]
    assert struct.unpack_from("<I", head, 48) == (len(body),)


def example_state(class_id: str) -> bytes:
    from blackbox_afx.testing.exporters import example_preset

    return example_preset(class_id)


def test_mono_plugin_on_a_stereo_track_twice(tmp_path: Path) -> None:
    session = example_session(tmp_path, channels=2)
    live, ours = session.tracks
    mono = msgspec.structs.replace(live.plugins[0], channels=1)
    session = msgspec.structs.replace(session, tracks=(msgspec.structs.replace(live, plugins=(mono,)), ours))
    chain = parse(session, tmp_path).find("TRACK").find("FXCHAIN")
    assert len(chain.findall("VST")) == 2
    assert len(chain.findall("PARMENV")) == 6


@pytest.mark.parametrize("format", ["lv2", "vst2", "builtin"])
def test_other_formats_are_refused_by_name(tmp_path: Path, format: str) -> None:
    with pytest.raises(UsageError, match=f"Example is a plugin of format {format}, which a REAPER project"):
        parse(example_session(tmp_path, format=format), tmp_path)


def test_a_recording_elsewhere_is_named_in_full(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    (tmp_path / "deep").mkdir()
    track = parse(session, tmp_path / "deep").find("TRACK")
    assert row(track.find("ITEM").find("SOURCE"), "FILE") == [str((tmp_path / "input.wav").resolve())]


def test_quotes() -> None:
    assert quote('a "b"') == "'a \"b\"'"
    assert quote("a \"b\" 'c'") == "`a \"b\" 'c'`"
    assert quote("a \"b\" 'c' `d`") == "`a \"b\" 'c' 'd'`"


@settings(max_examples=30, deadline=None)
@given(track=NAMES, plugin=NAMES, control=NAMES)
def test_any_name(track: str, plugin: str, control: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        live = parse(with_names(example_session(folder), track, plugin, control), folder).find("TRACK")
    assert row(live, "NAME") == [said(track)]
    assert live.find("FXCHAIN").find("PARMENV").attrib[-1] == said(control)


def said(text: str) -> str:
    """What of a name a REAPER project can hold: one line, and not all three quotation marks."""
    text = " ".join(xml_text(text).splitlines())
    return text.replace("`", "'") if all(mark in text for mark in "\"'`") else text


@pytest.mark.parametrize("name", ["R&D", "ギター 音量", "🎛", "a'b`c", 'say "x"', "x <y>", "Größe ]]"])
def test_any_path(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    session = example_session(folder)
    (folder / "input.wav").rename(folder / f"{name}.wav")
    live, ours = session.tracks
    live = msgspec.structs.replace(live, clips=(msgspec.structs.replace(live.clips[0], path=f"{name}.wav"),))
    project = parse(msgspec.structs.replace(session, tracks=(live, ours)), folder)
    assert row(project.find("TRACK").find("ITEM").find("SOURCE"), "FILE") == [f"{name}.wav"]


@pytest.mark.parametrize("name", ["a\nb", "a\"b'c`d"])
def test_a_path_it_can_not_hold_is_an_error(tmp_path: Path, name: str) -> None:
    session = example_session(tmp_path)
    live, ours = session.tracks
    live = msgspec.structs.replace(live, clips=(msgspec.structs.replace(live.clips[0], path=f"{name}.wav"),))
    with pytest.raises(UsageError, match="rename it"):
        parse(msgspec.structs.replace(session, tracks=(live, ours)), tmp_path)


@settings(max_examples=20, deadline=None)
@given(points=point_lists())
def test_any_lane(points: tuple[tuple[float, ...], tuple[float, ...], bool]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chain = parse(with_lane(example_session(folder), *points), folder).find("TRACK").find("FXCHAIN")
    (envelope,) = chain.findall("PARMENV")
    drawn = [child[1:] for child in envelope if child[0] == "PT"]
    assert [float(point[0]) for point in drawn] == pytest.approx(points[0], abs=1e-9)
    assert [float(point[1]) for point in drawn] == pytest.approx(points[1], abs=1e-9)


def test_two_hundred_lanes_of_an_hour(tmp_path: Path) -> None:
    chain = parse(crowded(tmp_path, 200, points=20), tmp_path).find("TRACK").find("FXCHAIN")
    assert len(chain.findall("PARMENV")) == 200
