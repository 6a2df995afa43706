"""Turn a session's lanes into what a DAW draws: plain or raw ramps, moved by the latency, in seconds or beats.

Conventions: a session's lane goes straight, in raw, from point to point. DAWs that ramp in plain units get the extra
points that keep a bent control within `RAMP_ERROR` of that.
"""

from __future__ import annotations

import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.control import Control
from blackbox_afx.session import ControlValue, Lane, PluginInstance

RAMP_ERROR = 0.0005
"""Largest error, raw, that ramping in plain units may add: a quarter of what thinning allows."""

_DEPTH = 12  # halvings of one ramp; a log scale over ten decades needs seven
_INSIDE = np.linspace(0.0, 1.0, 17)[1:-1]


def control_of(value: ControlValue) -> Control:
    """Give a control's maps between raw and plain."""
    return Control(
        name=value.name,
        index=value.index,
        unit=value.unit,
        minimum=value.plain_minimum,
        maximum=value.plain_maximum,
        default=value.plain_minimum,
        steps=value.steps,
        texts=value.texts,
        plugin_minimum=value.plain_minimum,
        plugin_maximum=value.plain_maximum,
        raw_scale=value.raw_scale,
        raw_table=value.raw_table,
        use=False,
    )


def plain_points(lane: Lane, value: ControlValue, *, error: float = RAMP_ERROR) -> tuple[np.ndarray, np.ndarray]:
    """Give a lane in plain values whose straight lines in plain stay near the lane's in raw.

    Parameters
    ----------
    lane : Lane
    value : ControlValue
        Of the same control.
    error : float
        Largest distance, raw.

    Returns
    -------
    times, plain : float64 [points]
        The lane's own points where the control's map is straight or the lane is held; more elsewhere.
    """
    times, raw = np.asarray(lane.times, np.float64), np.asarray(lane.raw, np.float64)
    control = control_of(value)
    if lane.hold or (value.raw_scale == "linear" and not value.raw_table):
        return times, control.plain_from_raw(raw)
    new_times, new_raw = [times[:1]], [raw[:1]]
    for k in range(len(times) - 1):
        cuts = _cuts(control, raw[k], raw[k + 1], error)
        new_times.append(times[k] + cuts * (times[k + 1] - times[k]))
        new_raw.append(raw[k] + cuts * (raw[k + 1] - raw[k]))
    return np.concatenate(new_times), control.plain_from_raw(np.concatenate(new_raw))


def _cuts(control: Control, start: float, end: float, error: float) -> np.ndarray:
    """Say where on the way, 0 to 1 without 0, a ramp in plain units needs points."""
    for depth in range(_DEPTH + 1):
        edges = np.linspace(0.0, 1.0, 2**depth + 1)
        raw = start + edges * (end - start)
        plain = control.plain_from_raw(raw)
        ramp = plain[:-1, None] + np.diff(plain)[:, None] * _INSIDE
        straight = raw[:-1, None] + np.diff(raw)[:, None] * _INSIDE
        if np.max(np.abs(control.raw_from_plain(ramp) - straight)) <= error:
            break
    return edges[1:]


def shift_points(
    times: np.ndarray, values: np.ndarray, seconds: float, hold: bool, *, step_s: float = 1e-5
) -> tuple[np.ndarray, np.ndarray]:
    """Move points earlier, keeping one at 0 and one at the end.

    What moves before 0 is lost, but for the value at 0: a DAW takes it for all that it plays before.

    Parameters
    ----------
    times, values : float64 [points]
    seconds : float >= 0
    hold : bool
    step_s : float > 0
        How soon after 0 the moved lane begins, where it does not begin with the value at 0: one sample, say.

    Returns
    -------
    times, values : float64 [points]
    """
    if seconds == 0 or len(times) == 1:
        return times, values
    moved = times - seconds
    first = int(np.searchsorted(moved, step_s, side="right")) - 1  # the last point at or before the step
    beginning = values[first] if hold else np.interp(step_s, moved, values)
    later = (moved > step_s) & (moved < times[-1])
    start = ([0.0], values[:1]) if beginning == values[0] else ([0.0, step_s], [values[0], beginning])
    return (
        np.concatenate([start[0], moved[later], times[-1:]]),
        np.concatenate([start[1], values[later], values[-1:]]),
    )


def latency_shift_s(plugin: PluginInstance, sample_rate: int, latency: str) -> float:
    """Say how many seconds earlier a DAW must be told, for a plugin to hear values where our render gave them."""
    if latency not in ("shift", "none"):
        raise UsageError(f"latency = '{latency}'; expected shift or none")
    return plugin.latency_samples / sample_rate if latency == "shift" else 0.0


def beats(seconds: np.ndarray | float, bpm: float) -> np.ndarray:
    """Count quarter notes from the start at a constant tempo."""
    return np.asarray(seconds, np.float64) * (bpm / 60.0)


def lane_title(plugin: PluginInstance, value: ControlValue) -> str:
    """Name a lane as a producer looks for it: ``ZamEQ2: Boost/Cut 1 [dB]``."""
    unit = f" [{value.unit}]" if value.unit else ""
    return f"{plugin.label}: {value.name}{unit}"
