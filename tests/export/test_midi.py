"""MIDI files read back by mido: controllers follow the lanes as near as 128 values can."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import mido
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_afx.errors import UsageError
from blackbox_afx.export import export, exporter
from blackbox_afx.export.midi import CONTROLLERS
from blackbox_afx.session import Session
from blackbox_afx.testing.exporters import check_exporter, example_session
from tests.export.varied import NAMES, crowded, point_lists, with_lane, with_names


def read(session: Session, folder: Path, **options: Any) -> mido.MidiFile:
    done = export(session, "midi", folder / "out.mid", force=True, **options)
    return mido.MidiFile(str(done.path), charset="utf-8")


def played(file: mido.MidiFile, track: int) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """Times in seconds by the file's own tempo, values, and controller numbers of one track."""
    (tempo,) = [message.tempo for message in file.tracks[0] if message.type == "set_tempo"]
    now, times, values, numbers = 0, [], [], set()
    for message in file.tracks[track]:
        now += message.time
        if message.type == "control_change":
            times.append(mido.tick2second(now, file.ticks_per_beat, tempo))
            values.append(message.value)
            numbers.add(message.control)
    return np.array(times), np.array(values), numbers


def test_conforms(tmp_path: Path) -> None:
    check_exporter(exporter("midi"), folder=tmp_path)


def test_a_track_and_a_controller_for_each_lane(tmp_path: Path) -> None:
    file = read(example_session(tmp_path), tmp_path)
    assert file.type == 1
    assert [track.name for track in file.tracks] == [
        "Example",
        "CC 20 Example: Example [dB]",
        "CC 21 Example: Frequency [Hz]",
        "CC 22 Example: On",
    ]
    assert [played(file, k)[2] for k in (1, 2, 3)] == [{20}, {21}, {22}]
    assert file.length == pytest.approx(2.0, abs=0.001)


def test_switches_hold(tmp_path: Path) -> None:
    times, values, _ = played(read(example_session(tmp_path), tmp_path), 3)
    assert (times.tolist(), values.tolist()) == ([0, 0.5], [127, 0])


def test_controllers_are_all_there_once() -> None:
    assert sorted(CONTROLLERS) == list(range(120))


@settings(max_examples=40, deadline=None)
@given(points=point_lists(), bpm=st.integers(200, 3000).map(lambda k: k / 10))
def test_stays_within_half_a_step_of_any_lane(
    points: tuple[tuple[float, ...], tuple[float, ...], bool], bpm: float
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times, values, _ = played(read(with_lane(example_session(folder), *points), folder, bpm=bpm), 1)
    lane_times, raw, hold = points
    assert np.all(np.diff(times) > 0)
    assert np.all(np.diff(values) != 0)
    # A tick is up to 3 ms: look at moments well off the points, and allow for how far a ramp goes meanwhile.
    tick = 60 / bpm / 960
    at = np.linspace(0, 2, 401)
    at = at[np.min(np.abs(at[:, None] - np.array(lane_times)), axis=1) > 2 * tick]
    if not len(at):
        return
    heard = values[np.searchsorted(times, at, side="right") - 1] / 127
    if hold:
        wanted = np.array(raw)[np.searchsorted(lane_times, at, side="right") - 1]
        slope = 0.0
    else:
        wanted = np.interp(at, lane_times, raw)
        slope = float(np.max(np.abs(np.diff(raw) / np.diff(lane_times))))
    assert np.max(np.abs(heard - wanted)) <= 0.5 / 127 + slope * tick + 1e-6


def test_what_it_can_not_hold_is_named(tmp_path: Path) -> None:
    warnings = export(example_session(tmp_path), "midi", tmp_path / "out.mid").warnings
    (coarse,) = [text for text in warnings if "no ramps" in text]
    assert "'Example' 0.31 dB" in coarse, "40 dB in 127 steps"
    assert "'Frequency' 1.1 to 1.1e+03 Hz" in coarse
    assert "'On'" not in coarse
    assert any("map each CC by hand" in text for text in warnings)


def test_many_choices_are_named(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    live, ours = session.tracks
    values = (msgspec.structs.replace(live.plugins[0].values[0], steps=199), *live.plugins[0].values[1:])
    plugin = msgspec.structs.replace(live.plugins[0], values=values)
    session = msgspec.structs.replace(session, tracks=(msgspec.structs.replace(live, plugins=(plugin,)), ours))
    assert any("'Example' has 200 choices" in w for w in export(session, "midi", tmp_path / "x.mid").warnings)


def test_120_lanes_and_no_more(tmp_path: Path) -> None:
    file = read(crowded(tmp_path, 120, seconds=60, points=5), tmp_path)
    assert len(set.union(*(played(file, k)[2] for k in range(1, 121)))) == 120
    with pytest.raises(UsageError, match="121 lanes, MIDI has 120"):
        read(crowded(tmp_path, 121, seconds=60, points=5), tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"bpm": 3.0}, "3.58"), ({"bpm": 999.0, "seconds": 2e5}, "too long"), ({"lanes": 0}, "no lane")],
)
def test_refusals(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    if "lanes" in change:
        session = example_session(tmp_path, lanes=False)
    else:
        session = crowded(tmp_path, 1, seconds=change.get("seconds", 2.0))
    with pytest.raises(UsageError, match=told):
        read(session, tmp_path, bpm=change.get("bpm"))
    assert not (tmp_path / "out.mid").exists()


def test_an_hour(tmp_path: Path) -> None:
    times, _, _ = played(read(crowded(tmp_path, 1, points=1000), tmp_path, bpm=117.3), 1)
    assert times[-1] == pytest.approx(3600, abs=4)
    assert read(crowded(tmp_path, 1), tmp_path, bpm=117.3).length == pytest.approx(3600, abs=0.001)


@settings(max_examples=20, deadline=None)
@given(track=NAMES, plugin=NAMES, control=NAMES)
def test_any_name(track: str, plugin: str, control: str) -> None:
    from blackbox_afx.export.folder import xml_text

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = read(with_names(example_session(folder), track, plugin, control), folder)
    assert file.tracks[0].name == xml_text(track)
    assert file.tracks[1].name == f"CC 20 {xml_text(plugin)}: {xml_text(control)} [dB]"


def test_more_than_a_cable_carries_is_named(tmp_path: Path) -> None:
    warnings = export(crowded(tmp_path, 24, seconds=2, points=100), "midi", tmp_path / "x.mid").warnings
    assert any("more than a MIDI cable carries" in text for text in warnings)
    assert not any("cable" in text for text in export(example_session(tmp_path), "midi", tmp_path / "y.mid").warnings)
