"""Sessions survive their JSON, refuse nonsense, and may be moved with their recordings."""

from __future__ import annotations

import base64
import json
import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.session import (
    Clip,
    ControlValue,
    Lane,
    PluginInstance,
    Session,
    Thinning,
    Track,
    decode_session,
    encode_session,
    read_session,
    write_session,
)

NUMBERS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
TEXT = st.text(max_size=20)


@st.composite
def lanes(draw: st.DrawFn, control: int) -> Lane:
    times = sorted(draw(st.sets(st.floats(0, 3600, allow_subnormal=False), min_size=1, max_size=8)))
    raw = draw(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=len(times), max_size=len(times)))
    plain = draw(st.lists(NUMBERS, min_size=len(times), max_size=len(times)))
    return Lane(control=control, times=tuple(times), raw=tuple(raw), plain=tuple(plain), hold=draw(st.booleans()))


@st.composite
def plugins(draw: st.DrawFn) -> PluginInstance:
    indices = sorted(draw(st.sets(st.integers(0, 400), max_size=5)))
    values = tuple(
        ControlValue(
            index=index,
            param_id=draw(st.none() | st.integers(0, 2**32 - 1)),
            name=draw(TEXT),
            unit=draw(TEXT),
            raw=draw(st.floats(0, 1, allow_subnormal=False)),
            plain=draw(NUMBERS),
            text=draw(TEXT),
            plain_minimum=draw(NUMBERS),
            plain_maximum=draw(NUMBERS),
            raw_table=((0.0, 1.0), (1.0, 3.0)),
        )
        for index in indices
    )
    moving = draw(st.lists(st.sampled_from(indices), unique=True)) if indices else []
    return PluginInstance(
        format=draw(st.sampled_from(["vst3", "vst2", "lv2", "faust", "builtin"])),
        label=draw(TEXT),
        state=draw(st.none() | st.binary(max_size=64)),
        bypassed=draw(st.booleans()),
        latency_samples=draw(st.integers(0, 4096)),
        values=values,
        lanes=tuple(draw(lanes(index)) for index in moving),
    )


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    clip = Clip(
        path=draw(TEXT),
        length_s=draw(st.floats(0, 1e5, allow_subnormal=False)),
        gain_db=draw(NUMBERS),
        channels=2,
        sample_rate=48000,
    )
    tracks = draw(
        st.lists(st.builds(Track, name=TEXT, plugins=st.tuples(plugins()), clips=st.just((clip,))), max_size=3)
    )
    return Session(
        name=draw(TEXT),
        sample_rate=draw(st.integers(8000, 384000)),
        bpm=draw(st.floats(20, 400, allow_subnormal=False)),
        tracks=tuple(tracks),
        thinning=draw(st.none() | st.just(Thinning(eps=0.002, points_before=9, points_after=3, error_db=-39.0))),
        warnings=draw(st.tuples(TEXT)),
    )


@given(sessions())
def test_json_gives_back_every_bit(session: Session) -> None:
    """What is read is what was written: names in any script, states, every digit of every point."""
    assert decode_session(encode_session(session)) == session


def test_json_is_plain_for_other_programs() -> None:
    """A reader that knows nothing of us finds numbers, names and base64."""
    session = Session(
        name="Größe 🎛",
        sample_rate=44100,
        tracks=(
            Track(
                name="a",
                plugins=(
                    PluginInstance(
                        format="vst3",
                        label="EQ",
                        state=b"\x00\xff",
                        values=(
                            ControlValue(index=3, name="G", raw=0.5, plain=0, plain_minimum=-20, plain_maximum=20),
                        ),
                        lanes=(Lane(control=3, times=(0.0, 1.5), raw=(0.5, 1.0), plain=(0.0, 20.0)),),
                    ),
                ),
            ),
        ),
    )
    content = json.loads(encode_session(session))
    assert content["name"] == "Größe 🎛"
    assert "folder" not in content
    plugin = content["tracks"][0]["plugins"][0]
    assert base64.b64decode(plugin["state"]) == b"\x00\xff"
    assert plugin["lanes"][0]["times"] == [0.0, 1.5]
    assert plugin["lanes"][0]["plain"] == [0.0, 20.0]


@pytest.mark.parametrize(
    ("times", "raw", "says"),
    [
        ((), (), "at least one"),
        ((0.0, 1.0), (0.5,), "as many"),
        ((1.0, 0.5), (0.5, 0.5), "sorted"),
        ((0.0, 0.0), (0.5, 0.5), "sorted"),
        ((float("nan"),), (0.5,), "finite"),
        ((0.0, float("inf")), (0.5, 0.5), "finite"),
        ((-1.0,), (0.5,), "from 0 on"),
        ((0.0,), (float("nan"),), "0 to 1"),
        ((0.0,), (1.01,), "0 to 1"),
    ],
)
def test_lanes_that_make_no_sense_are_refused(times: tuple, raw: tuple, says: str) -> None:
    """Nothing that a DAW would stumble over gets into a session."""
    with pytest.raises(UsageError, match=says):
        Lane(control=3, times=times, raw=raw, plain=raw)


def test_a_lane_needs_its_control() -> None:
    """Lanes refer to values of the same plugin, one lane each."""
    lane = Lane(control=3, times=(0.0,), raw=(0.5,), plain=(0.0,))
    value = ControlValue(index=3, name="G", raw=0.5, plain=0, plain_minimum=-20, plain_maximum=20)
    with pytest.raises(UsageError, match="no entry in values"):
        PluginInstance(format="vst3", label="EQ", lanes=(lane,))
    with pytest.raises(UsageError, match="two lanes"):
        PluginInstance(format="vst3", label="EQ", values=(value,), lanes=(lane, lane))


def test_length_and_latency_come_from_the_tracks() -> None:
    """A session lasts to the end of its last clip; its slowest track decides the latency."""
    clip = Clip(path="a.wav", start_s=1.0, length_s=2.5, channels=1, sample_rate=48000)
    slow = PluginInstance(format="vst3", label="M", latency_samples=480)
    session = Session(
        name="s",
        sample_rate=48000,
        tracks=(
            Track(name="a", clips=(clip,), plugins=(slow, slow)),
            Track(name="b", clips=(clip,), plugins=(slow,), role="render"),
        ),
    )
    assert session.length_s == 3.5
    assert session.latency_samples == 960
    assert [track.name for track in session.live] == ["a"]
    assert Session(name="empty", sample_rate=48000, tracks=()).length_s == 0


def test_a_folder_moves_as_a_whole(tmp_path) -> None:
    """Paths are kept relative to the session file, and found again wherever both went."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "Ωλ 🎛.wav").write_bytes(b"audio")
    clip = Clip(path=str(tmp_path / "one" / "Ωλ 🎛.wav"), length_s=1, channels=1, sample_rate=48000)
    session = Session(name="s", sample_rate=48000, tracks=(Track(name="a", clips=(clip,)),))
    write_session(session, tmp_path / "one" / "x.session.json")
    assert json.loads((tmp_path / "one" / "x.session.json").read_bytes())["tracks"][0]["clips"][0]["path"] == "Ωλ 🎛.wav"
    os.rename(tmp_path / "one", tmp_path / "two")
    moved = read_session(tmp_path / "two" / "x.session.json")
    assert moved.resolve(moved.tracks[0].clips[0]).read_bytes() == b"audio"
    # Written elsewhere, it still points there.
    (tmp_path / "three").mkdir()
    elsewhere = read_session(write_session(moved, tmp_path / "three" / "y.session.json"))
    assert elsewhere.tracks[0].clips[0].path == "../two/Ωλ 🎛.wav"
    assert elsewhere.resolve(elsewhere.tracks[0].clips[0]).read_bytes() == b"audio"


def test_files_are_not_replaced_without_force(tmp_path) -> None:
    """A session that is there stays unless told."""
    session = Session(name="s", sample_rate=48000, tracks=())
    path = write_session(session, tmp_path / "x.session.json")
    with pytest.raises(OutputError, match="--force"):
        write_session(session, path)
    write_session(msgspec.structs.replace(session, name="t"), path, force=True)
    assert read_session(path).name == "t"
    assert [file.name for file in tmp_path.iterdir()] == ["x.session.json"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a session"),
        (b"{}", "name"),
        (b'{"schema": 2, "name": "s", "sample_rate": 48000, "tracks": []}', "schema 2"),
        (b'{"name": "s", "sample_rate": 48000, "tracks": [], "colour": 1}', "colour"),
        (b'{"name": "s", "sample_rate": 48000, "bpm": 0, "tracks": []}', "beats"),
        (b'{"name": "s", "sample_rate": 48000, "tracks": [{"name": 3}]}', r"tracks\[0\]"),
    ],
)
def test_what_is_no_session_is_refused_by_name(tmp_path, content: bytes, says: str) -> None:
    """The message names the file and the place in it."""
    path = tmp_path / "x.session.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=says) as caught:
        read_session(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_session_is_named(tmp_path) -> None:
    """No trace of Python for a file that is not there."""
    with pytest.raises(UsageError, match="nowhere"):
        read_session(tmp_path / "nowhere.session.json")
