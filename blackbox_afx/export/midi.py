"""Write lanes as MIDI controllers: the fallback for programs that open nothing else.

Conventions: one track a lane, all on the first channel; raw 0 to 1 is controller value 0 to 127. MIDI knows no ramps,
so a ramp becomes the staircase nearest to it. Which controller moves which parameter must be mapped by hand.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.export import Exported, Latency
from blackbox_afx.export.folder import xml_text
from blackbox_afx.export.lanes import control_of, lane_title
from blackbox_afx.export.moving import RawLane, latency_notes, raw_lanes, refuse_options
from blackbox_afx.export.place import write_files
from blackbox_afx.session import ControlValue, Session

TICKS = 960
"""A quarter note."""

_LAST = 127
_CABLE = 1000  # controller events that a MIDI cable carries in a second, about
_LONGEST = 0x0FFFFFFF  # ticks that one gap between events can hold
_UNCLAIMED = [*range(20, 32), *range(102, 120), 3, 9, 14, 15, *range(85, 91)]
# Bank select, data entry and parameter numbers act on their own in many programs: last of all.
_LOADED = [0, 32, 6, 38, *range(96, 102)]
CONTROLLERS = tuple(_UNCLAIMED + [number for number in range(120) if number not in {*_UNCLAIMED, *_LOADED}] + _LOADED)
"""Controller numbers in the order that lanes take them, those without a meaning of their own first."""


class MidiExporter:
    """Write lanes as controllers in a Standard MIDI File: an `Exporter`."""

    name = "midi"
    suffix = ".mid"
    formats = frozenset({"vst3", "vst2", "lv2", "faust", "builtin"})
    experimental = False

    def write(
        self,
        session: Session,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        latency: Latency = "shift",
        **options: Any,
    ) -> Exported:
        """Write the lanes; see `Exporter.write`.

        Raises
        ------
        UsageError
            No lane, or more than MIDI has controllers; a tempo or length that a MIDI file can't hold.
        OutputError
            It exists and `force` is false, or can't be written.
        """
        import mido

        refuse_options(self.name, options)
        warnings = latency_notes(session, latency)
        lanes = [
            (f"CC {{}} {lane_title(plugin, lane.value)}", lane)
            for track in session.tracks
            for plugin in track.plugins
            for lane in raw_lanes(plugin, session, latency, warnings)
        ]
        if not lanes:
            raise UsageError(f"session '{session.name}' has no lane; MIDI holds nothing else, use vstpreset or csv")
        if len(lanes) > len(CONTROLLERS):
            raise UsageError(
                f"session '{session.name}' has {len(lanes)} lanes, MIDI has {len(CONTROLLERS)} controllers; use "
                "another export, or let fewer controls move"
            )
        tempo = round(60e6 / session.bpm)
        if tempo >= 1 << 24:
            raise UsageError(f"{session.bpm:g} beats a minute; a MIDI file holds 3.58 at the least; give --bpm")
        ticks_a_second = TICKS * 1e6 / tempo
        end = round(session.length_s * ticks_a_second)
        last = max([end, *(round(lane.times[-1] * ticks_a_second) for _, lane in lanes)])
        if last > _LONGEST:
            raise UsageError(f"{session.length_s:g} s at {session.bpm:g} beats a minute is too long for a MIDI file")
        warnings += _losses([lane for _, lane in lanes])
        file = mido.MidiFile(type=1, ticks_per_beat=TICKS, charset="utf-8")
        head = mido.MidiTrack()
        head.append(mido.MetaMessage("track_name", name=xml_text(session.name)))
        head.append(mido.MetaMessage("set_tempo", tempo=tempo))
        head.append(mido.MetaMessage("time_signature", numerator=4, denominator=4))
        head.append(mido.MetaMessage("end_of_track", time=end))
        file.tracks.append(head)
        count = 0
        for number, (title, lane) in zip(CONTROLLERS, lanes, strict=False):
            track = mido.MidiTrack()
            track.append(mido.MetaMessage("track_name", name=xml_text(title.replace("{}", str(number), 1))))
            now, count = 0, count + len(events := staircase(lane, ticks_a_second))
            for tick, amount in events:
                track.append(
                    mido.Message("control_change", skip_checks=True, control=number, value=amount, time=tick - now)
                )
                now = tick
            track.append(mido.MetaMessage("end_of_track", time=max(last - now, 0)))
            file.tracks.append(track)
        if count > _CABLE * max(session.length_s, 1.0):
            warnings.append(
                f"{count} controller events in {session.length_s:g} s are more than a MIDI cable carries; give --eps"
            )
        content = io.BytesIO()
        file.save(file=content)
        path = Path(path)
        write_files(session, {path: content.getvalue()}, force=force)
        return Exported(path=path, files=(path,), warnings=tuple(warnings))


def staircase(lane: RawLane, ticks_a_second: float) -> list[tuple[int, int]]:
    """Turn a lane into the controller values nearest to it.

    Parameters
    ----------
    lane : RawLane
    ticks_a_second : float

    Returns
    -------
    list of (tick, value)
        Ticks increase, values 0 to 127 change with every one.
    """
    levels = lane.raw * _LAST
    steps = np.floor(levels + 0.5).astype(int)
    times, amounts = [lane.times[:1]], [steps[:1]]
    for k in range(len(levels) - 1):
        if not lane.hold and steps[k + 1] != steps[k]:
            way = 1 if steps[k + 1] > steps[k] else -1
            passed = np.arange(steps[k] + way, steps[k + 1] + way, way)
            share = (passed - way * 0.5 - levels[k]) / (levels[k + 1] - levels[k])
            times.append(lane.times[k] + np.clip(share, 0, 1) * (lane.times[k + 1] - lane.times[k]))
            amounts.append(passed)
        times.append(lane.times[k + 1 : k + 2])
        amounts.append(steps[k + 1 : k + 2])
    # The last value at a tick is the one that counts.
    by_tick = dict(
        zip(
            np.round(np.concatenate(times) * ticks_a_second).astype(int).tolist(),
            np.concatenate(amounts).tolist(),
            strict=True,
        )
    )
    events: list[tuple[int, int]] = []
    for tick in sorted(by_tick):
        if not events or events[-1][1] != by_tick[tick]:
            events.append((tick, by_tick[tick]))
    return events


def _losses(lanes: list[RawLane]) -> list[str]:
    """Name what 128 values can't hold."""
    coarse = [f"'{lane.value.name}' {_step(lane.value)}" for lane in lanes if lane.value.steps == 0]
    many = [f"'{lane.value.name}' has {lane.value.steps + 1} choices" for lane in lanes if lane.value.steps > _LAST]
    found = []
    if coarse:
        found.append(f"MIDI has 128 values and no ramps; these move in steps no finer than: {', '.join(coarse)}")
    if many:
        found.append(f"MIDI tells 128 choices apart: {', '.join(many)}")
    found.append("only lanes are in a MIDI file: set the other controls from a preset, and map each CC by hand")
    return found


def _step(value: ControlValue) -> str:
    gaps = np.abs(np.diff(control_of(value).plain_from_raw(np.linspace(0, 1, _LAST + 1))))
    low, high = float(gaps.min()), float(gaps.max())
    size = f"{high:.2g}" if high - low <= 1e-6 * max(high, 1e-12) else f"{low:.2g} to {high:.2g}"
    return f"{size} {value.unit}".strip()
