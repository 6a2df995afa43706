"""ReaScripts, run by a real Lua against a stand-in for REAPER's functions: REAPER itself can't be run here."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_afx.errors import UsageError
from blackbox_afx.export import export, exporter
from blackbox_afx.export.folder import xml_text
from blackbox_afx.export.reascript import lua, lua_text
from blackbox_afx.session import Session
from blackbox_afx.testing.exporters import check_exporter, example_session
from tests.export.reaper_stub import SIGNATURES, Reaper
from tests.export.varied import NAMES, crowded, point_lists, with_lane, with_names

lupa = pytest.importorskip("lupa")

PARAMETERS = [
    ("Example", 0.0, 1.0),
    ("Frequency", 0.0, 1.0),
    ("On", 0.0, 1.0),
    ("Program", 0.0, 1.0),
    ("Held", 0.0, 1.0),
]


def play(script: Path, plugins: dict[str, list[tuple[str, float, float]]], moved: Path | None = None) -> Reaper:
    """Run a script in Lua; only the functions of `SIGNATURES` are there."""
    reaper = Reaper(moved or script, plugins)
    runtime = lupa.LuaRuntime(unpack_returned_tuples=True)
    table = runtime.table()
    for name in SIGNATURES:
        table[name] = lambda *arguments, name=name: reaper.call(name, *arguments)
    runtime.globals().reaper = table
    runtime.execute(script.read_text(encoding="utf-8"))
    assert (reaper.open_blocks, reaper.frozen) == (0, 0)
    return reaper


def made(session: Session, folder: Path, **options: Any) -> Path:
    return export(session, "reascript", folder / "out.lua", force=True, **options).path


def test_conforms(tmp_path: Path) -> None:
    check_exporter(exporter("reascript"), folder=tmp_path)
    assert exporter("reascript").experimental


def test_builds_the_session(tmp_path: Path) -> None:
    session = example_session(tmp_path, channels=2)
    reaper = play(made(session, tmp_path), {"VST3: Example (Nobody & Sons)": PARAMETERS})
    assert reaper.messages == []
    assert reaper.undo == ["blackbox_afx: Example"]
    live, ours = reaper.tracks
    assert (live["P_NAME"], live["B_MUTE"], ours["B_MUTE"]) == ("Example", 0, 1)
    (item,) = live["items"]
    (take,) = item["takes"]
    assert Path(take["source"]["path"]).samefile(tmp_path / "input.wav")
    assert (item["D_POSITION"], item["D_LENGTH"], take["D_STARTOFFS"]) == (0, 2, 0)
    assert 20 * np.log10(take["D_VOL"]) == pytest.approx(-3)
    assert item["D_FADEINLEN_AUTO"] == item["D_FADEOUTLEN_AUTO"] == -1
    assert not ours["fx"]
    (fx,) = live["fx"]
    (plugin,) = session.tracks[0].plugins
    assert fx["enabled"] is True
    assert Path(fx["preset"]).read_bytes() == plugin.state
    assert {value.index: value.raw for value in plugin.values} == {
        k: row[3] for k, row in enumerate(fx["parameters"]) if row[3] is not None
    }
    assert set(fx["envelopes"]) == {lane.control for lane in plugin.lanes}
    for lane in plugin.lanes:
        drawn = fx["envelopes"][lane.control]
        assert drawn["sorted"]
        assert drawn["points"] == [(t, v, int(lane.hold)) for t, v in zip(lane.times, lane.raw, strict=True)]


def test_finds_parameters_by_name_where_they_moved(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    shuffled = [("Bypass", 0.0, 1.0), *reversed(PARAMETERS)]
    reaper = play(made(session, tmp_path), {"VST3: Example": shuffled})
    by_name = {row[0]: row[3] for row in reaper.tracks[0]["fx"][0]["parameters"]}
    assert by_name == {"Bypass": None, "Program": None, "Held": 0.25, "On": 1, "Frequency": 0, "Example": 0.5}


def test_says_what_it_does_not_find(tmp_path: Path) -> None:
    script = made(example_session(tmp_path), tmp_path)
    (text,) = play(script, {"VST3: Example": PARAMETERS[:-1]}).messages
    assert "no parameter 'Held'" in text
    (text,) = play(script, {"AU: Example": PARAMETERS}).messages
    assert "VST3: Example (Nobody & Sons)" in text
    assert "undo takes back" in text
    (tmp_path / "input.wav").unlink()
    (text,) = play(script, {"VST3: Example": PARAMETERS}).messages
    assert "input.wav is not there" in text


def test_mono_plugin_runs_on_each_side_of_a_stereo_track(tmp_path: Path) -> None:
    session = example_session(tmp_path, channels=2)
    live, ours = session.tracks
    mono = msgspec.structs.replace(live.plugins[0], channels=1, bypassed=True)
    session = msgspec.structs.replace(session, tracks=(msgspec.structs.replace(live, plugins=(mono,)), ours))
    left, right = play(made(session, tmp_path), {"VST3: Example": PARAMETERS}).tracks[0]["fx"]
    assert (left["pins"], right["pins"]) == ({(0, 0): 1, (1, 0): 1}, {(0, 0): 2, (1, 0): 2})
    assert left["envelopes"] == right["envelopes"]
    assert left["enabled"] is right["enabled"] is False


def test_mono_plugin_on_a_mono_track_feeds_both_sides(tmp_path: Path) -> None:
    (fx,) = play(made(example_session(tmp_path), tmp_path), {"VST3: Example": PARAMETERS}).tracks[0]["fx"]
    assert fx["pins"] == {(0, 0): 1, (1, 0): 3}


@pytest.mark.parametrize("native", [True, False])
def test_lv2_in_the_units_that_reaper_shows(tmp_path: Path, native: bool) -> None:
    session = example_session(tmp_path, format="lv2")
    (plugin,) = session.tracks[0].plugins
    ranges = {value.name: (value.plain_minimum, value.plain_maximum) for value in plugin.values}
    rows = [(name, *(ranges.get(name, (0.0, 1.0)) if native else (0.0, 1.0))) for name, _, _ in PARAMETERS]
    reaper = play(made(session, tmp_path), {"VST3: Example": PARAMETERS, "LV2: Example": rows})
    (fx,) = reaper.tracks[0]["fx"]
    assert fx["name"] == "LV2: Example"
    for value in plugin.values:
        assert fx["parameters"][value.index][3] == pytest.approx(value.plain if native else value.raw)
    points = fx["envelopes"][1]["points"]
    assert len(points) > 3, "a ramp that is straight in raw bends in Hz"
    times = np.linspace(0, 2, 101)
    played = np.interp(times, [point[0] for point in points], [point[1] for point in points])
    raw = np.log(played / 20) / np.log(1000) if native else played
    np.testing.assert_allclose(raw, np.interp(times, *_first_lane(plugin, 1)), atol=0.0006)


def _first_lane(plugin: Any, control: int) -> tuple[Any, Any]:
    lane = next(lane for lane in plugin.lanes if lane.control == control)
    return lane.times, lane.raw


def test_vst2_by_its_own_prefix(tmp_path: Path) -> None:
    script = made(example_session(tmp_path, format="vst2"), tmp_path)
    reaper = play(script, {"VST3: Example": PARAMETERS, "VST: Example (Nobody & Sons)": PARAMETERS})
    assert [fx["name"] for fx in reaper.tracks[0]["fx"]] == ["VST: Example (Nobody & Sons)"]


def test_a_builtin_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Example is a plugin of format builtin"):
        made(example_session(tmp_path, format="builtin"), tmp_path)


@pytest.mark.skipif(shutil.which("luac") is None, reason="needs luac: apt-get install lua5.4")
def test_compiles_with_plain_lua(tmp_path: Path) -> None:
    script = made(crowded(tmp_path, 200), tmp_path)
    subprocess.run(["luac", "-p", str(script)], check=True, capture_output=True, timeout=30)


@settings(max_examples=40, deadline=None)
@given(text=st.text())
def test_any_text_comes_back_from_lua(text: str) -> None:
    runtime = lupa.LuaRuntime(encoding="utf-8")
    assert runtime.eval(lua_text(text)) == xml_text(text)


@pytest.mark.parametrize("number", [np.inf, float("nan")])
def test_numbers_must_be_finite(number: float) -> None:
    with pytest.raises(UsageError, match="finite"):
        lua({"x": float(number)})


@settings(max_examples=20, deadline=None)
@given(track=NAMES, plugin=NAMES, control=NAMES)
def test_any_name(track: str, plugin: str, control: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = with_names(example_session(folder), track, plugin, control)
        full = f"VST3: {xml_text(plugin)} (Nobody & Sons)"
        rows = [(xml_text(control), 0.0, 1.0), *PARAMETERS[1:]]
        reaper = play(made(session, folder), {full: rows})
    assert reaper.messages == []
    assert reaper.tracks[0]["P_NAME"] == xml_text(track)
    assert reaper.tracks[0]["fx"][0]["parameters"][0][3] == 0.5


@pytest.mark.parametrize("name", ["R&D", "ギター 音量", "🎛", 'a\'b`c "d"', "x\\y", "x:y", "Größe ]]"])
def test_any_path(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    session = example_session(folder)
    (folder / "input.wav").rename(folder / f"{name}.wav")
    live, ours = session.tracks
    live = msgspec.structs.replace(live, clips=(msgspec.structs.replace(live.clips[0], path=f"{name}.wav"),))
    script = made(msgspec.structs.replace(session, tracks=(live, ours)), folder)
    reaper = play(script, {"VST3: Example": PARAMETERS})
    assert reaper.messages == []
    assert Path(reaper.tracks[0]["items"][0]["takes"][0]["source"]["path"]).samefile(folder / f"{name}.wav")


@settings(max_examples=20, deadline=None)
@given(points=point_lists())
def test_any_lane(points: tuple[tuple[float, ...], tuple[float, ...], bool]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reaper = play(made(with_lane(example_session(folder), *points), folder), {"VST3: Example": PARAMETERS})
    times, raw, hold = points
    drawn = reaper.tracks[0]["fx"][0]["envelopes"][0]["points"]
    assert drawn == [(time, value, int(hold)) for time, value in zip(times, raw, strict=True)]
