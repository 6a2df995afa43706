"""Write every setting and every point of every lane as a CSV table, for scripts and for hands.

Conventions: RFC 4180 in UTF-8, one header row. A control without a lane has one row, at time 0; one with a lane has a
row a point, `ramp` telling whether values go straight in raw to the next point (``linear``) or hold (``hold``).
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blackbox_afx.export import Exported, Latency
from blackbox_afx.export.lanes import control_of
from blackbox_afx.export.moving import decimal, latency_notes, raw_lanes, refuse_options
from blackbox_afx.export.place import write_files
from blackbox_afx.session import PluginInstance, Session

COLUMNS = (
    "track",
    "plugin",
    "format",
    "index",
    "param_id",
    "symbol",
    "name",
    "unit",
    "ramp",
    "time_s",
    "raw",
    "plain",
    "text",
)


class CsvExporter:
    """Write a table of all settings and lanes: an `Exporter`."""

    name = "csv"
    suffix = ".csv"
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
        """Write the table; see `Exporter.write`.

        Raises
        ------
        OutputError
            It exists and `force` is false, or can't be written.
        """
        refuse_options(self.name, options)
        warnings = latency_notes(session, latency)
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for track in session.tracks:
            for plugin in track.plugins:
                for row in _rows(plugin, session, latency, warnings):
                    writer.writerow([track.name, plugin.label, plugin.format, *row])
        path = Path(path)
        write_files(session, {path: text.getvalue().encode("utf-8", "replace")}, force=force)
        return Exported(path=path, files=(path,), warnings=tuple(warnings))


def _rows(plugin: PluginInstance, session: Session, latency: str, warnings: list[str]) -> Iterator[list[Any]]:
    lanes = {lane.value.index: lane for lane in raw_lanes(plugin, session, latency, warnings)}
    for value in plugin.values:
        head = [value.index, "" if value.param_id is None else value.param_id, value.symbol, value.name, value.unit]
        lane = lanes.get(value.index)
        if lane is None:
            yield [*head, "hold", "0", decimal(value.raw), f"{value.plain:.9g}", value.text]
            continue
        control = control_of(value)
        ramp = "hold" if lane.hold else "linear"
        for time, raw, plain in zip(
            lane.times.tolist(), lane.raw.tolist(), control.plain_from_raw(lane.raw).tolist(), strict=True
        ):
            yield [*head, ramp, decimal(time), decimal(raw), f"{plain:.9g}", control.text(plain)]
