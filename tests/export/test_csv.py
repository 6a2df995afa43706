"""CSV tables, read back by the standard library, as any script would."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from blackbox_afx.export import export, exporter
from blackbox_afx.session import Session
from blackbox_afx.testing.exporters import check_exporter, example_session
from tests.export.varied import NAMES, crowded, point_lists, with_lane, with_names


def read(session: Session, folder: Path, **options: Any) -> list[dict[str, str]]:
    done = export(session, "csv", folder / "out.csv", force=True, **options)
    with done.path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_conforms(tmp_path: Path) -> None:
    check_exporter(exporter("csv"), folder=tmp_path)


def test_every_setting_and_every_point(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    rows = read(session, tmp_path)
    (plugin,) = session.tracks[0].plugins
    lanes = {lane.control: lane for lane in plugin.lanes}
    for value in plugin.values:
        mine = [row for row in rows if int(row["index"]) == value.index]
        assert {row["param_id"] for row in mine} == {str(value.param_id)}
        assert {(row["name"], row["unit"]) for row in mine} == {(value.name, value.unit)}
        if value.index not in lanes:
            (row,) = mine
            assert (row["time_s"], float(row["raw"]), float(row["plain"])) == ("0", value.raw, value.plain)
            assert (row["text"], row["ramp"]) == (value.text, "hold")
            continue
        lane = lanes[value.index]
        assert [float(row["time_s"]) for row in mine] == list(lane.times)
        assert [float(row["raw"]) for row in mine] == pytest.approx(lane.raw)
        assert [float(row["plain"]) for row in mine] == pytest.approx(lane.plain)
        assert {row["ramp"] for row in mine} == {"hold" if lane.hold else "linear"}
    assert [row["text"] for row in rows if row["name"] == "Example"] == ["0 dB", "10 dB", "-10 dB"]
    assert [row["text"] for row in rows if row["name"] == "On"] == ["on", "off", "off"]


@pytest.mark.parametrize("format", ["lv2", "vst2", "builtin", "faust"])
def test_every_format(tmp_path: Path, format: str) -> None:
    rows = read(example_session(tmp_path, format=format), tmp_path)
    assert {row["format"] for row in rows} == {format}
    assert {bool(row["symbol"]) for row in rows} == {format == "lv2"}
    assert {row["param_id"] for row in rows} == {""}


def test_latency_is_told(tmp_path: Path) -> None:
    session = example_session(tmp_path, latency=480)
    moved, left = read(session, tmp_path), read(session, tmp_path, latency="none")
    assert "0.74" in [row["time_s"] for row in moved]
    assert "0.75" in [row["time_s"] for row in left]
    assert any("480 samples" in text for text in export(session, "csv", tmp_path / "w.csv").warnings)


@settings(max_examples=30, deadline=None)
@given(track=NAMES, plugin=NAMES, control=NAMES)
def test_any_name(track: str, plugin: str, control: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = read(with_names(example_session(folder), track, plugin, control), folder)
    assert (rows[0]["track"], rows[0]["plugin"], rows[0]["name"]) == (track, plugin, control)


@settings(max_examples=20, deadline=None)
@given(points=point_lists())
def test_any_lane(points: tuple[tuple[float, ...], tuple[float, ...], bool]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [row for row in read(with_lane(example_session(folder), *points), folder) if row["index"] == "0"]
    assert [float(row["time_s"]) for row in rows] == pytest.approx(points[0], abs=1e-9)
    assert [float(row["raw"]) for row in rows] == pytest.approx(points[1], abs=1e-9)


def test_two_hundred_lanes_of_an_hour(tmp_path: Path) -> None:
    rows = read(crowded(tmp_path, 200), tmp_path)
    assert len(rows) == 200 * 200
    assert max(float(row["time_s"]) for row in rows) == 3600
