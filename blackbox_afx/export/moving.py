"""Give exporters what they write of plugins: those they can hold, lanes in raw values, and how to word the rest."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.export.lanes import latency_shift_s, shift_points
from blackbox_afx.session import ControlValue, PluginInstance, Session


class RawLane(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One lane as a DAW is told it: straight in raw from point to point, or held.

    Parameters
    ----------
    value : ControlValue
        The control that it moves.
    times : float64 [points]
        Seconds, the plugin's latency taken off where asked for.
    raw : float64 [points]
    hold : bool
    """

    value: ControlValue
    times: np.ndarray
    raw: np.ndarray
    hold: bool


def plugins_of(session: Session, what: str, formats: frozenset[str]) -> list[PluginInstance]:
    """List all plugins of a session.

    Parameters
    ----------
    session : Session
    what : str
        How messages call the format, with its article: ``a DAWproject``.
    formats : frozenset of str
        Plugin formats that it can hold.

    Raises
    ------
    UsageError
        One is of another format.
    """
    plugins = [plugin for track in session.tracks for plugin in track.plugins]
    for plugin in plugins:
        if plugin.format not in formats:
            wanted = " or ".join(sorted(name.upper() for name in formats))
            raise UsageError(
                f"{plugin.label} is a plugin of format {plugin.format}, which {what} can't hold; use its {wanted}, "
                "or another export"
            )
    return plugins


def raw_lanes(plugin: PluginInstance, session: Session, latency: str, warnings: list[str]) -> list[RawLane]:
    """Give a plugin's lanes in raw values.

    Parameters
    ----------
    plugin : PluginInstance
    session : Session
    latency : {"shift", "none"}
    warnings : list of str
        Told about lanes of controls that the plugin does not let a host automate; they are left out.
    """
    shift = latency_shift_s(plugin, session.sample_rate, latency)
    lanes = []
    for lane in plugin.lanes:
        value = plugin.value(lane.control)
        if not value.automatable:
            warnings.append(
                f"{plugin.label}: '{value.name}' can't be automated; its lane is left out and it stays at "
                f"{value.text or f'{value.plain:g}'}"
            )
            continue
        points = np.asarray(lane.times, float), np.asarray(lane.raw, float)
        times, raw = shift_points(*points, shift, lane.hold, step_s=1 / session.sample_rate)
        lanes.append(RawLane(value=value, times=times, raw=raw, hold=lane.hold))
    return lanes


def latency_notes(session: Session, latency: str, tested: str = "") -> list[str]:
    """Say, of every plugin with latency and lanes, what was done to them.

    Parameters
    ----------
    session : Session
    latency : {"shift", "none"}
    tested : str
        What to add, where nobody has heard how the program places lanes.
    """
    return [
        f"{plugin.label}: its lanes are {plugin.latency_samples} samples earlier, for its latency{tested}; "
        "--latency none leaves them where our render had them"
        for track in session.tracks
        for plugin in track.plugins
        if latency == "shift" and plugin.latency_samples and plugin.lanes
    ]


UNTESTED = ", as Ardour needs them; other DAWs may not"


def refuse_options(name: str, options: dict[str, Any]) -> None:
    """Refuse options that an exporter does not have.

    Raises
    ------
    UsageError
        There is one.
    """
    if options:
        raise UsageError(f"{name}: no option is called {', '.join(sorted(options))}; it has force, bpm, latency")


def decimal(value: float) -> str:
    """Write a number without an exponent, to twelve decimals at most."""
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
