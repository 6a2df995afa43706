"""Sessions with awkward names and any lanes, for property tests."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from hypothesis import strategies as st

from blackbox_afx.session import Lane, Session
from blackbox_afx.testing.exporters import example_session

NAMES = st.one_of(
    st.sampled_from(
        [
            "a \"b\" 'c' `d`",
            "R&D <x> ]]>",
            "ギター 音量",
            "Größe Ω",
            "🎛️🎚",
            "]] --",
            "\\n\\",
            "%s {0} {}",
            "=1+1",
            "a,b;c",
            " ",
        ]
    ),
    st.text(min_size=1, max_size=20),
)
"""Names with quotes, ampersands, other scripts, emoji, and any text at all."""


@st.composite
def point_lists(draw: st.DrawFn) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """Times, raw values and hold of one lane that ends at two seconds."""
    inside = draw(st.sets(st.integers(1, 1999), max_size=12))
    times = tuple(k / 1000 for k in [0, *sorted(inside), 2000])
    # Of whole numbers: plugins loaded before may have turned off the tiny floats that hypothesis draws from.
    raw = [k / 10**6 for k in draw(st.lists(st.integers(0, 10**6), min_size=len(times), max_size=len(times)))]
    return times, tuple(raw), draw(st.booleans())


def with_names(session: Session, track: str, plugin: str, control: str) -> Session:
    """Rename the first track, its plugin and that one's first control."""
    live, *others = session.tracks
    (instance,) = live.plugins
    values = (msgspec.structs.replace(instance.values[0], name=control), *instance.values[1:])
    renamed = msgspec.structs.replace(instance, label=plugin, plugin_name=plugin, values=values)
    tracks = (msgspec.structs.replace(live, name=track, plugins=(renamed,)), *others)
    return msgspec.structs.replace(session, name=track, tracks=tracks)


def with_lane(session: Session, times: tuple[float, ...], raw: tuple[float, ...], hold: bool) -> Session:
    """Let only the first control of the first plugin move, and that way."""
    live, *others = session.tracks
    (instance,) = live.plugins
    value = instance.values[0]
    plain = tuple(value.plain_minimum + r * (value.plain_maximum - value.plain_minimum) for r in raw)
    lane = Lane(control=value.index, times=times, raw=raw, plain=plain, hold=hold)
    tracks = (msgspec.structs.replace(live, plugins=(msgspec.structs.replace(instance, lanes=(lane,)),)), *others)
    return msgspec.structs.replace(session, tracks=tracks)


def crowded(folder: Path, lanes: int, *, seconds: float = 3600.0, points: int = 200) -> Session:
    """A session of an hour with many lanes, on paper: its recordings stay two seconds long."""
    session = example_session(folder)
    live, *others = session.tracks
    (instance,) = live.plugins
    times = tuple(np.linspace(0, seconds, points).tolist())
    raw = tuple((0.5 + 0.5 * np.sin(np.arange(points))).tolist())
    values, drawn = [], []
    for k in range(lanes):
        values.append(msgspec.structs.replace(instance.values[0], index=k, param_id=1000 + k, name=f"Control {k}"))
        drawn.append(Lane(control=k, times=times, raw=raw, plain=tuple(-20 + 40 * r for r in raw)))
    plugin = msgspec.structs.replace(instance, values=tuple(values), lanes=tuple(drawn))
    tracks = (msgspec.structs.replace(live, plugins=(plugin,)), *others)
    return msgspec.structs.replace(session, tracks=tracks)
