"""Find out what a plugin does with a NaN in its input and with raw values outside 0 to 1.

Conventions: both may crash the process, so they run last, in a process made for that. The Host protocol refuses such
input on purpose; here the plugin itself is asked, which only pedalboard lets us do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from blackbox_afx.plugins.host import Instance
from blackbox_afx.plugins.probe_signal import probe_signal
from blackbox_afx.plugins.repeat import given

NOT_TESTED = "not tested"


def nan_input(instance: Instance, values: np.ndarray, sample_rate: int) -> str:
    """Feed one NaN and say what comes of it: ``stays``, ``spreads`` or ``sticks``."""
    plugin = _plugin_at(instance, values)
    if plugin is None:
        return NOT_TESTED
    block = instance.profile.block_size
    audio = probe_signal(sample_rate, 1.0, instance.profile.channels or 1)
    bad = audio.copy()
    bad[:, audio.shape[1] // 4] = np.nan
    plugin.reset()
    after = plugin.process(bad, sample_rate, buffer_size=block, reset=False)[:, -audio.shape[1] // 4 :]
    if np.isfinite(after).all():
        return "stays"
    plugin.reset()
    clean = plugin.process(audio, sample_rate, buffer_size=block, reset=False)
    return "spreads" if np.isfinite(clean).all() else "sticks"


def out_of_range(instance: Instance, values: np.ndarray, sample_rate: int) -> str:
    """Set each continuous control beyond its ends and say what comes of it: ``clamped``, ``acts`` or ``breaks``."""
    plugin = _plugin_at(instance, values)
    if plugin is None:
        return NOT_TESTED
    audio = probe_signal(sample_rate, 0.25, instance.profile.channels or 1)
    block = instance.profile.block_size

    def sound(index: int, raw: float) -> np.ndarray:
        plugin.reset()
        plugin._parameters[index].raw_value = raw
        return plugin.process(audio, sample_rate, buffer_size=block, reset=False)

    worst = "clamped"
    for control, value in zip(instance.profile.active, values, strict=True):
        if control.steps:
            continue
        for inside, outside in ((1.0, 1.5), (0.0, -0.5)):
            there, beyond = sound(control.index, inside), sound(control.index, outside)
            if not np.isfinite(beyond).all():
                return "breaks"
            if np.abs(there - beyond).max() > 1e-3 * max(np.abs(there).max(), 1e-6):
                worst = "acts"
        sound(control.index, float(value))
    return worst


def _plugin_at(instance: Instance, values: np.ndarray) -> Any | None:
    """Give pedalboard's own object with these values set, or None for another host."""
    plugin = getattr(instance, "_plugin", None)
    if plugin is None or not hasattr(plugin, "_parameters"):
        return None
    audio = probe_signal(instance.profile.probe_rate, 0.1, instance.profile.channels or 1)
    instance.render(audio, given(values), instance.profile.probe_rate)
    return instance._plugin  # type: ignore[attr-defined]


TESTS: dict[str, Callable[[Instance, np.ndarray, int], str]] = {
    "nan": nan_input,
    "out_of_range": out_of_range,
}
