"""Turn what a plugin or its host says of the parameters into controls and meters.

Conventions: VST3 flags tell what may be set. A hidden, read-only or program parameter never is; what may be set but
not automated is a control with ``automatable = false``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.plugins.control import Control, Scale
from blackbox_afx.plugins.identity import shown_steps
from blackbox_afx.plugins.parameters import HostParameter
from blackbox_afx.plugins.profile import Identity, Meter, Profile, table_hash
from blackbox_afx.plugins.vst3 import Vst3Class, Vst3Parameter

LOG_RATIO = 30.0
"""A range in Hz or seconds that spans more than this factor is heard, and searched, in ratios."""

RATIO_UNITS = {"hz", "khz", "ms", "s", "sec", "seconds", "us"}


def split_parameters(entry: Vst3Class) -> tuple[tuple[Control, ...], tuple[Meter, ...]]:
    """Tell a VST3's controls from its meters, program selectors and hidden parameters."""
    controls: list[Control] = []
    meters: list[Meter] = []
    for parameter in entry.parameters:
        why = why_not(parameter)
        control = None if why else control_of(parameter)
        if control is not None:
            controls.append(control)
            continue
        meters.append(
            Meter(
                name=parameter.title,
                index=parameter.index,
                param_id=parameter.param_id,
                why=why or "hidden",
            )
        )
    return tuple(controls), tuple(meters)


def why_not(parameter: Vst3Parameter) -> Any:
    """Say why a parameter must never be set; empty where it may be."""
    if parameter.program:
        return "program"
    if parameter.bypass:
        return "bypass"
    if parameter.hidden:
        return "hidden"
    return "meter" if parameter.readonly else ""


def control_of(parameter: Vst3Parameter) -> Control | None:
    """Make a control over a parameter's whole range; None where it has no range."""
    steps = shown_steps(parameter.steps)
    scale: Scale = "linear"
    table: tuple[tuple[float, float], ...] = ()
    if steps == 0:
        scale, table = raw_map(parameter.plain_samples)
    low, high = parameter.plain_minimum, parameter.plain_maximum
    if table:
        low, high = table[0][1], table[-1][1]
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        return None
    low, high = shortest(low), shortest(high)
    unit = parameter.units.strip()
    control = Control(
        name=parameter.title.strip(),
        index=parameter.index,
        param_id=parameter.param_id,
        unit=unit,
        minimum=low,
        maximum=high,
        scale=guess_scale(unit, low, high, scale, steps),
        default=low,
        steps=steps,
        texts=choice_texts(parameter.texts, low, high) if steps else (),
        plugin_minimum=low,
        plugin_maximum=high,
        raw_scale=scale,
        raw_table=table,
        automatable=parameter.automatable,
        use=parameter.automatable,
    )
    return with_default(control, parameter.default)


def with_default(control: Control, raw: float) -> Control:
    """Give a control the plain value of a raw one as its default."""
    plain = float(control.plain_from_raw(raw if math.isfinite(raw) else 0.0))
    span = abs(control.plugin_maximum - control.plugin_minimum)
    # Zero in the middle of a range comes out as a speck of it.
    return msgspec.structs.replace(control, default=0.0 if abs(plain) < 1e-6 * span else shortest(plain))


def shortest(plain: float) -> float:
    """Undo the tail that single precision leaves: 0.10000000149 was 0.1."""
    return float(f"{plain:.6g}")


def raw_map(samples: Sequence[tuple[float, float]]) -> tuple[Scale, tuple[tuple[float, float], ...]]:
    """Name the map from raw to plain: linear, logarithmic, or a table of knots.

    Parameters
    ----------
    samples : sequence of (raw, plain)
        Increasing in raw, from 0 to 1.

    Returns
    -------
    scale : {"linear", "log"}
    table : tuple of (raw, plain)
        Empty unless the map is neither.
    """
    raw = np.array([pair[0] for pair in samples], float)
    plain = np.array([pair[1] for pair in samples], float)
    if np.isfinite(plain).all():
        low, high = plain[0], plain[-1]
        slack = 1e-4 * abs(high - low) + 1e-9
        if np.abs(plain - (low + (high - low) * raw)).max() <= slack:
            return "linear", ()
        if low > 0 and high > 0 and np.abs(plain / (low * (high / low) ** raw) - 1.0).max() <= 1e-3:
            return "log", ()
    plain = np.where(plain == -np.inf, _below(plain), plain)
    slope = np.diff(plain)
    if np.isfinite(plain).all() and ((slope > 0).all() or (slope < 0).all()):
        return "linear", tuple((float(a), float(b)) for a, b in zip(raw, plain, strict=True))
    return "linear", ()


def _below(plain: np.ndarray) -> float:
    """Stand in for minus infinity: 60 below the least finite value, which in dB is silence."""
    finite = plain[np.isfinite(plain)]
    return float(finite.min() - 60.0) if finite.size else -100.0


def guess_scale(unit: str, low: float, high: float, raw_scale: Scale, steps: int) -> Scale:
    """Guess how a range is searched: in ratios for frequencies and times, or as the plugin itself does."""
    if steps or min(low, high) <= 0:
        return "linear"
    if raw_scale == "log":
        return "log"
    ratio = max(low, high) / min(low, high)
    return "log" if unit.lower() in RATIO_UNITS and ratio > LOG_RATIO else "linear"


def choice_texts(texts: Sequence[str], low: float, high: float) -> tuple[str, ...]:
    """Keep what choices are called; plain numbers that only repeat the value are none."""
    shown = tuple(text.strip() for text in texts)
    if not shown or not any(shown):
        return ()
    try:
        if np.allclose([float(text) for text in shown], np.linspace(low, high, len(shown)), atol=1e-6):
            return ()
    except ValueError:
        pass
    return shown


def controls_of_host(identity: Identity) -> tuple[tuple[Control, ...], tuple[Meter, ...], str]:
    """List the controls of a plugin that only its host can describe; this loads it.

    Returns
    -------
    controls, meters : tuple
    table : str
        Hash of the parameter table.
    """
    if identity.format == "builtin":
        from blackbox_afx.plugins.builtins import builtin_controls

        known = tuple(builtin_controls(identity.plugin_name))
        return known, (), table_hash([(c.index, c.param_id, c.name, c.steps) for c in known])
    if identity.format == "vst3":
        from blackbox_afx.plugins.pedalboard import describe
    else:
        from blackbox_afx.plugins.dawdreamer_parameters import describe
    parameters = describe(identity)
    table = table_hash([(p.index, None, p.name, p.steps) for p in parameters])
    return tuple(control_of_host(parameter) for parameter in parameters), (), table


def control_of_host(parameter: HostParameter) -> Control:
    """Make a control of what a host tells (`HostParameter`)."""
    low, high = parameter.plain_minimum, parameter.plain_maximum
    scale: Scale = "log" if parameter.scale == "log" else "linear"
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        low, high, scale = 0.0, 1.0, "linear"
    unit = parameter.unit.strip()
    control = Control(
        name=parameter.name.strip(),
        index=parameter.index,
        symbol=parameter.symbol,
        unit=unit,
        minimum=low,
        maximum=high,
        scale=guess_scale(unit, low, high, scale, parameter.steps),
        default=low,
        steps=parameter.steps,
        texts=choice_texts(parameter.texts, low, high),
        plugin_minimum=low,
        plugin_maximum=high,
        raw_scale=scale,
        automatable=parameter.automatable,
        use=parameter.automatable,
    )
    return with_default(control, parameter.default_raw)


def refine_with_host(profile: Profile) -> tuple[Control, ...]:
    """Take from pedalboard what a VST3's binary does not tell: the values it starts with, and real units.

    Some frameworks call 0 to 1 the plain range of everything and tell the real one in texts only.
    """
    from pedalboard_native import VST3Plugin

    from blackbox_afx.plugins.host import host_for

    silent = msgspec.structs.replace(
        profile,
        channels=0,
        controls=tuple(msgspec.structs.replace(c, use=False, value=None) for c in profile.controls),
    )
    instance: Any = host_for(silent).load(silent)
    if profile.base_preset:
        # A preset's values show only once the plugin has processed.
        instance.latency(profile.probe_rate)
    parameters = instance._plugin._parameters
    assert isinstance(instance._plugin, VST3Plugin)
    refined = []
    for control in profile.controls:
        parameter = parameters[control.index]
        if control.steps == 0 and (control.plugin_minimum, control.plugin_maximum) == (0.0, 1.0):
            control = with_text_map(control, lambda raw, p=parameter: str(p.get_text_for_raw_value(raw)))
        refined.append(with_default(control, float(parameter.raw_value)))
    instance.close()
    return tuple(refined)


TEXT_POINTS = 33

_NUMBER = re.compile(r"^\s*([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\s*([^\d\s]*)", re.IGNORECASE)


def with_text_map(control: Control, text_of: Callable[[float], str]) -> Control:
    """Give a control with the range 0 to 1 the plain values that its texts speak of.

    Parameters
    ----------
    control : Control
    text_of : callable
        Raw value to what the plugin shows, such as ``1.2 kHz``.

    Returns
    -------
    Control
        The same where the texts are no numbers, do not rise or fall, or say 0 to 1 too.
    """
    raws = np.linspace(0.0, 1.0, TEXT_POINTS)
    read = [read_number(text_of(float(raw))) for raw in raws]
    if any(entry is None for entry in read):
        return control
    plain = np.array([entry[0] for entry in read if entry is not None])
    units = {entry[1] for entry in read if entry is not None}
    slope = np.diff(plain)
    if not ((slope > 0).all() or (slope < 0).all()) or len(units) > 1 or np.allclose(plain, raws, atol=0.01):
        return control
    scale, table = raw_map([(float(a), float(b)) for a, b in zip(raws, plain, strict=True)])
    low, high = float(plain[0]), float(plain[-1])
    unit = control.unit or units.pop()
    return msgspec.structs.replace(
        control,
        unit=unit,
        minimum=low,
        maximum=high,
        plugin_minimum=low,
        plugin_maximum=high,
        raw_scale=scale,
        raw_table=table,
        scale=guess_scale(unit, low, high, scale, 0),
    )


def read_number(text: str) -> tuple[float, str] | None:
    """Read a number and its unit; kHz are turned into Hz. None where the text starts with none."""
    found = _NUMBER.match(text)
    if found is None:
        return None
    value, unit = float(found.group(1)), found.group(2)
    if unit.lower() == "khz":
        return value * 1000, "Hz"
    return value, unit
