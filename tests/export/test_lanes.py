"""Ramps in plain units, moves by the latency, and beats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.errors import UsageError
from blackbox_afx.export.lanes import (
    RAMP_ERROR,
    beats,
    control_of,
    lane_title,
    latency_shift_s,
    plain_points,
    shift_points,
)
from blackbox_afx.session import ControlValue, Lane, PluginInstance

GAIN = ControlValue(index=3, name="Gain", unit="dB", raw=0.5, plain=0, plain_minimum=-20, plain_maximum=20)
FREQUENCY = ControlValue(
    index=5, name="Frequency", unit="Hz", raw=0, plain=20, plain_minimum=20, plain_maximum=20000, raw_scale="log"
)
TABLE = ControlValue(
    index=6,
    name="Drive",
    raw=0,
    plain=0,
    plain_minimum=0,
    plain_maximum=10,
    raw_table=((0.0, 0.0), (0.25, 1.0), (0.7, 6.0), (1.0, 10.0)),
)
FALLING = ControlValue(index=7, name="Depth", raw=0, plain=0, plain_minimum=5, plain_maximum=-5)


@st.composite
def lanes(draw: st.DrawFn, value: ControlValue) -> Lane:
    times = sorted(draw(st.sets(st.integers(0, 10000), min_size=1, max_size=8)))
    raw = draw(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=len(times), max_size=len(times)))
    plain = control_of(value).plain_from_raw(np.array(raw))
    seconds = tuple(time / 1000 for time in times)
    return Lane(control=value.index, times=seconds, raw=tuple(raw), plain=tuple(plain), hold=draw(st.booleans()))


@given(st.data(), st.sampled_from([GAIN, FREQUENCY, TABLE, FALLING]))
def test_straight_lines_in_plain_are_straight_in_raw(data: st.DataObject, value: ControlValue) -> None:
    """A DAW that ramps in plain units stays within the bound, in raw, of what we rendered."""
    lane = data.draw(lanes(value))
    times, plain = plain_points(lane, value)
    moments = np.linspace(lane.times[0], lane.times[-1], 501)
    control = control_of(value)
    if lane.hold:
        assert len(times) == len(lane.times)
        return
    drawn = control.raw_from_plain(np.interp(moments, times, plain))
    np.testing.assert_allclose(drawn, np.interp(moments, lane.times, lane.raw), atol=1.1 * RAMP_ERROR)


def test_only_bent_controls_get_more_points() -> None:
    """A linear control keeps its own; three decades of a log one need some, but few, between."""
    lane = Lane(control=3, times=(0.0, 1.0), raw=(0.0, 1.0), plain=(-20.0, 20.0))
    times, plain = plain_points(lane, GAIN)
    np.testing.assert_array_equal(times, [0, 1])
    np.testing.assert_array_equal(plain, [-20, 20])
    times, plain = plain_points(lane, FREQUENCY)
    assert 10 < len(times) <= 129
    np.testing.assert_allclose(plain, 20 * 1000**times, rtol=1e-9)


@given(st.data(), st.floats(0.0, 1.5, allow_subnormal=False))
def test_moved_lanes_say_the_same_earlier(data: st.DataObject, seconds: float) -> None:
    """At time t a moved lane says what the lane says at t + shift; its first point keeps the value at 0."""
    lane = data.draw(lanes(GAIN))
    times, values = np.array(lane.times) - lane.times[0], np.array(lane.raw)
    moved, kept = shift_points(times, values, seconds, lane.hold)
    assert moved[0] == 0
    assert kept[0] == values[0]
    assert moved[-1] == times[-1]
    assert np.all(np.diff(moved) > 0)
    if len(times) == 1:
        return
    moments = np.linspace(2e-5, times[-1], 200)
    if lane.hold:
        # Away from the steps themselves, where rounding decides.
        far = np.min(np.abs(moments[:, None] + seconds - times), axis=1) > 1e-9
        said = kept[np.searchsorted(moved, moments, side="right") - 1]
        due = values[np.clip(np.searchsorted(times, moments + seconds, side="right") - 1, 0, None)]
        np.testing.assert_array_equal(said[far & (moments < times[-1])], due[far & (moments < times[-1])])
    else:
        np.testing.assert_allclose(
            np.interp(moments, moved, kept), np.interp(moments + seconds, times, values), atol=1e-7
        )


def test_a_lane_is_moved_by_its_own_plugins_latency() -> None:
    """480 samples at 48 kHz are 10 ms; "none" leaves lanes alone; nonsense is refused."""
    plugin = PluginInstance(format="vst3", label="M", latency_samples=480)
    assert latency_shift_s(plugin, 48000, "shift") == pytest.approx(0.01)
    assert latency_shift_s(plugin, 48000, "none") == 0
    with pytest.raises(UsageError, match="shift or none"):
        latency_shift_s(plugin, 48000, "later")


def test_beats_and_titles() -> None:
    """At 90 a minute, two seconds are three quarters; lanes are called what the plugin shows."""
    assert beats(2.0, 90) == pytest.approx(3.0)
    plugin = PluginInstance(format="vst3", label="ZamEQ2 2")
    assert lane_title(plugin, GAIN) == "ZamEQ2 2: Gain [dB]"
    assert lane_title(plugin, TABLE) == "ZamEQ2 2: Drive"
