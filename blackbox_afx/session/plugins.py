"""A plugin in a session: which it is, how it is set, how it moves."""

from __future__ import annotations

from typing import Literal

import msgspec

from blackbox_afx.errors import UsageError

Scale = Literal["linear", "log"]
Format = Literal["vst3", "vst2", "lv2", "faust", "builtin"]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Be a part of a session."""


class Parameter(Record, frozen=True, kw_only=True):
    """One row of a plugin's whole parameter table; hosts number parameters by it, each in its own way.

    Parameters
    ----------
    index : int
        Place in the plugin's list (VST3, VST2), or the port's index (LV2).
    param_id : int or None
        VST3 parameter id.
    symbol : str
        LV2 port symbol.
    name : str
    automatable, readonly, hidden, program, bypass : bool
        The plugin's flags.
    plain_samples : tuple of (raw, plain)
        What the plugin itself, not its texts, calls plain: VST3 hosts that draw lanes in plain units use it.
    """

    index: int
    param_id: int | None = None
    symbol: str = ""
    name: str = ""
    automatable: bool = True
    readonly: bool = False
    hidden: bool = False
    program: bool = False
    bypass: bool = False
    plain_samples: tuple[tuple[float, float], ...] = ()


class ControlValue(Record, frozen=True, kw_only=True):
    """One control and its value at the start of the session.

    Parameters
    ----------
    index : int
        As pedalboard and DawDreamer count; lanes refer to it.
    param_id : int or None
        VST3 parameter id.
    symbol : str
        LV2 port symbol.
    name, unit : str
        As the plugin shows them.
    raw, plain : float
        Value in the plugin's own 0 to 1, and in its unit. Where a lane moves it, the lane's value at time 0.
    text : str
        The value in words.
    steps : int
        0 continuous, 1 toggle, N for N + 1 choices.
    texts : tuple of str
        What each choice is called.
    plain_minimum, plain_maximum : float
        Plain values at raw 0 and 1.
    raw_scale : {"linear", "log"}
        How raw maps to plain, unless `raw_table` is given.
    raw_table : tuple of (raw, plain)
        Knots of any other map.
    automatable : bool
        False where it may be set but not automated.
    """

    index: int
    param_id: int | None = None
    symbol: str = ""
    name: str
    unit: str = ""
    raw: float
    plain: float
    text: str = ""
    steps: int = 0
    texts: tuple[str, ...] = ()
    plain_minimum: float
    plain_maximum: float
    raw_scale: Scale = "linear"
    raw_table: tuple[tuple[float, float], ...] = ()
    automatable: bool = True


class Lane(Record, frozen=True, kw_only=True):
    """The automation of one control.

    Parameters
    ----------
    control : int
        `ControlValue.index` within the same plugin.
    times : tuple of float
        Seconds >= 0, strictly increasing; the first is 0, the last the session's end.
    raw, plain : tuple of float
        One value a point.
    hold : bool
        True: each value holds until the next point. False: straight, in raw, from point to point.
    """

    control: int
    times: tuple[float, ...]
    raw: tuple[float, ...]
    plain: tuple[float, ...]
    hold: bool = False

    def __post_init__(self) -> None:
        if not len(self.times) == len(self.raw) == len(self.plain) or not self.times:
            raise UsageError(
                f"lane of control {self.control}: {len(self.times)} times, {len(self.raw)} raw and {len(self.plain)} "
                "plain values; expected as many of each, at least one"
            )
        previous = -1e-300
        for time, raw in zip(self.times, self.raw, strict=True):
            if not previous < time < float("inf"):
                raise UsageError(
                    f"lane of control {self.control}: time {time:g} s after {max(previous, 0):g} s; "
                    "times must be finite seconds from 0 on, sorted, one point a time"
                )
            if not 0 <= raw <= 1:
                raise UsageError(
                    f"lane of control {self.control}: {raw:g} at {time:g} s, expected raw values of 0 to 1"
                )
            previous = time


class PluginInstance(Record, frozen=True, kw_only=True):
    """One plugin on a track: which it is, how it is set, how it moves.

    Parameters
    ----------
    format : {"vst3", "vst2", "lv2", "faust", "builtin"}
    label : str
        What the session calls it; unique on its track.
    plugin_name, vendor, version, class_id, uri, file, sha256 : str
        Identity; `class_id` is VST3's 32 hex digits, `uri` is LV2's.
    unique_id : int or None
        VST2's.
    channels : int
        Channels that the plugin takes: 1, 2, or 0 for any. On a track of two channels a mono plugin runs once on each
        (dual mono); in a track of one channel a stereo plugin gets it twice and its left output is kept.
    latency_samples : int
        Delay that it reports, at the session's rate.
    block_size : int
        Samples a block that our own render used.
    bypassed : bool
    state : bytes or None
        After a process call, with every moving control at its value at time 0. VST3: a `.vstpreset`.
    values : tuple of ControlValue
        Every control that is set, held ones among them.
    lanes : tuple of Lane
        Only controls that move.
    table : tuple of Parameter
        All parameters, in the plugin's order; empty where unknown.
    """

    format: Format
    label: str
    plugin_name: str = ""
    vendor: str = ""
    version: str = ""
    class_id: str = ""
    uri: str = ""
    file: str = ""
    sha256: str = ""
    unique_id: int | None = None
    channels: int = 0
    latency_samples: int = 0
    block_size: int = 512
    bypassed: bool = False
    state: bytes | None = None
    values: tuple[ControlValue, ...] = ()
    lanes: tuple[Lane, ...] = ()
    table: tuple[Parameter, ...] = ()

    def __post_init__(self) -> None:
        known = {value.index for value in self.values}
        moved = [lane.control for lane in self.lanes]
        for control in moved:
            if control not in known:
                raise UsageError(f"{self.label}: a lane moves control {control}, which has no entry in values")
        if len(set(moved)) != len(moved):
            raise UsageError(f"{self.label}: two lanes move the same control; keep one lane a control")

    def value(self, index: int) -> ControlValue:
        """Find a control by its index."""
        for value in self.values:
            if value.index == index:
                return value
        raise UsageError(f"{self.label}: no control has index {index}; there are {[v.index for v in self.values]}")
