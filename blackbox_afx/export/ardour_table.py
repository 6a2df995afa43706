"""How Ardour numbers a plugin's parameters, and what it calls plain.

Conventions: its lanes name a parameter ``parameter-N``. LV2: N is the port's index; VST2: the parameter's own. VST3: N
counts the plugin's parameters without those that pick a program, those neither automatable nor readonly, and JUCE's
"MIDI CC" ones.
"""

from __future__ import annotations

import msgspec
import numpy as np

from blackbox_afx.export.lanes import control_of
from blackbox_afx.session import ControlValue, PluginInstance


def parameter_numbers(plugin: PluginInstance) -> dict[int, int]:
    """Map `ControlValue.index` to Ardour's N, for the parameters that it automates.

    Parameters
    ----------
    plugin : PluginInstance
        With its whole table.
    """
    if plugin.format == "vst2":
        return {value.index: value.index for value in plugin.values}
    if plugin.format == "lv2":
        ports = {row.symbol: row.index for row in plugin.table if not row.readonly}
        return {value.index: ports[value.symbol] for value in plugin.values if value.symbol in ports}
    numbers: dict[int, int] = {}
    count = 0
    for row in sorted(plugin.table, key=lambda row: row.index):
        if row.program or not (row.automatable or row.readonly) or "MIDI CC " in row.name:
            continue
        numbers[row.index] = count
        count += 1
    return numbers


def plain_map(plugin: PluginInstance, value: ControlValue, warnings: list[str]) -> ControlValue:
    """Give a control with the plain values that the plugin's own interface tells a VST3 host.

    They are the session's for most plugins. Some (those built with JUCE) word their values in units but call the raw
    value plain.

    Parameters
    ----------
    plugin : PluginInstance
    value : ControlValue
    warnings : list of str
        Told where the plugin's map is known at a few points only.
    """
    if plugin.format == "vst2":  # it knows nothing but raw
        return msgspec.structs.replace(
            value, plain=value.raw, plain_minimum=0.0, plain_maximum=1.0, raw_scale="linear", raw_table=()
        )
    if plugin.format != "vst3":
        return value
    row = next((row for row in plugin.table if row.index == value.index), None)
    if row is None or len(row.plain_samples) < 2:
        return value
    samples = np.asarray(row.plain_samples, np.float64)
    if value.steps:  # between its steps a switch says the nearest one's value
        samples = samples[[0, -1]]
    span = np.ptp(samples[:, 1]) or 1.0
    if np.max(np.abs(control_of(value).plain_from_raw(samples[:, 0]) - samples[:, 1])) <= 1e-5 * span:
        return value
    line = samples[0, 1] + samples[:, 0] * (samples[-1, 1] - samples[0, 1])
    straight = bool(np.max(np.abs(line - samples[:, 1])) <= 1e-5 * span)
    if not straight:
        warnings.append(
            f"{plugin.label}: '{value.name}' bends between raw and plain in a way known at {len(samples)} points only; "
            "Ardour may show and play values between them slightly off"
        )
    mapped = msgspec.structs.replace(
        value,
        plain_minimum=float(samples[0, 1]),
        plain_maximum=float(samples[-1, 1]),
        raw_scale="linear",
        raw_table=() if straight else tuple(map(tuple, samples.tolist())),
    )
    return msgspec.structs.replace(mapped, plain=float(control_of(mapped).plain_from_raw(value.raw)))
