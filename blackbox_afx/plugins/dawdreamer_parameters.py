"""What DawDreamer knows of a plugin's parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.plugins.blocks import check_main_thread
from blackbox_afx.plugins.dawdreamer import engines, make_processor, source_of
from blackbox_afx.plugins.faust import read_source, slider_metadata
from blackbox_afx.plugins.parameters import HostParameter
from blackbox_afx.plugins.profile import Identity, Profile

_CONTINUOUS = 2**31 - 1


def describe(identity: Identity, folder: str = "") -> list[HostParameter]:
    """Tell what DawDreamer knows of a plugin's parameters, in order.

    Parameters
    ----------
    identity : Identity
    folder : str
        Looked in first for a relative file name.
    """
    source = source_of(identity, folder)
    code = read_source(Path(source)) if identity.format == "faust" else ""
    if identity.format != "faust":
        check_main_thread(Profile(name=identity.plugin_name or source, identity=identity), "loaded")
    engine = engines.RenderEngine(24000, 512)
    processor = make_processor(engine, identity, source, code)
    rows = processor.get_parameters_description()
    if identity.format == "faust":
        metadata = slider_metadata(code)
        return [_describe_faust(k, row, metadata.get(str(row["label"]), {})) for k, row in enumerate(rows)]
    return [_describe_plugin(row, float(processor.get_parameter(int(row["index"])))) for row in rows]


def _describe_faust(index: int, row: dict[str, Any], metadata: dict[str, str]) -> HostParameter:
    low, high, value = float(row["min"]), float(row["max"]), float(row["value"])
    log = metadata.get("scale") == "log" and low > 0
    raw = np.log(value / low) / np.log(high / low) if log else (value - low) / ((high - low) or 1.0)
    count = int(row["numSteps"])
    return HostParameter(
        index=index,
        name=str(row["label"]),
        default_raw=float(np.clip(raw, 0.0, 1.0)),
        steps=count - 1 if 1 < count <= 33 and (high - low) == (count - 1) * float(row["step"]) else 0,
        plain_minimum=low,
        plain_maximum=high,
        scale="log" if log else "linear",
        unit=metadata.get("unit", ""),
        symbol=str(row["name"]),
    )


def _describe_plugin(row: dict[str, Any], raw: float) -> HostParameter:
    count = int(row["numSteps"])
    low, high = _number(row["min"]), _number(row["max"])
    if low is None or high is None or low == high:
        low, high = 0.0, 1.0
    return HostParameter(
        index=int(row["index"]),
        name=str(row["name"]),
        default_raw=min(max(raw, 0.0), 1.0),
        steps=count - 1 if 2 <= count <= 1024 and count < _CONTINUOUS else 0,
        plain_minimum=low,
        plain_maximum=high,
        unit=str(row["label"]).strip(),
        texts=tuple(str(text) for text in row["valueStrings"]) if 2 <= count <= 64 else (),
        automatable=bool(row["isAutomatable"]),
    )


def _number(text: object) -> float | None:
    try:
        return float(str(text).split()[0])
    except (ValueError, IndexError):
        return None
