"""Controls and the three values they have: position, raw, plain.

Conventions
-----------
position
    0 to 1 in our `ControlSpace`; a profile may narrow its range or bend its scale. Networks and estimators see it.
raw
    The plugin's own 0 to 1: what hosts set and what automation lanes carry.
plain
    In the control's unit, as a producer reads it.

Position maps to plain by the profile (`minimum`, `maximum`, `scale`); plain maps to raw by the plugin
(`plugin_minimum`, `plugin_maximum`, `raw_scale`, or a table where the plugin's own map is neither linear nor
logarithmic). Stepped controls count as VST3 counts: `steps` is the number of values less one, so 0 is continuous and
1 is a toggle.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from blackbox_afx.errors import ProfileError, nearest

Scale = Literal["linear", "log"]


class Control(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Describe one parameter of a plugin that a controller may set.

    Parameters
    ----------
    name : str
        As the plugin shows it.
    index : int >= 0
        Position in the host's list; for DawDreamer and pedalboard the same number.
    param_id : int or None
        VST3 parameter id; None for other formats.
    symbol : str
        LV2 port symbol or Faust address; empty for other formats.
    unit : str
        As the plugin shows it, for example ``dB``.
    minimum, maximum : float
        Plain values at position 0 and 1; within the plugin's own range.
    scale : {"linear", "log"}
        How position maps to plain.
    default : float
        Plain value that the plugin starts with.
    steps : int >= 0
        0 continuous, 1 toggle, N for N + 1 choices.
    texts : tuple of str
        What each choice is called; empty where unknown.
    plugin_minimum, plugin_maximum : float
        Plain values at raw 0 and 1.
    raw_scale : {"linear", "log"}
        How raw maps to plain, unless `raw_table` is given.
    raw_table : tuple of (raw, plain)
        Knots of a raw-to-plain map that is neither, increasing in raw, monotone in plain.
    resolution : float >= 0
        Smallest raw change that the plugin acts on; 0 where it acts on any.
    automatable : bool
        False for controls that may be set but not automated ("static").
    use : bool
        Whether a controller sets this control.
    value : float or None
        Plain value to hold when `use` is false; None leaves the plugin's own value.
    """

    name: str
    index: int
    param_id: int | None = None
    symbol: str = ""
    unit: str = ""
    minimum: float
    maximum: float
    scale: Scale = "linear"
    default: float
    steps: int = 0
    texts: tuple[str, ...] = ()
    plugin_minimum: float
    plugin_maximum: float
    raw_scale: Scale = "linear"
    raw_table: tuple[tuple[float, float], ...] = ()
    resolution: float = 0.0
    automatable: bool = True
    use: bool = True
    value: float | None = None

    def __post_init__(self) -> None:
        check_control(self)

    @property
    def kind(self) -> Literal["continuous", "toggle", "choice"]:
        """What sort of values the control takes."""
        return "continuous" if self.steps == 0 else "toggle" if self.steps == 1 else "choice"

    def plain_from_raw(self, raw: np.ndarray | float) -> np.ndarray:
        """Map raw values in [0, 1] to plain ones."""
        raw = np.clip(np.asarray(raw, np.float64), 0.0, 1.0)
        if self.raw_table:
            knots = np.asarray(self.raw_table, np.float64)
            return np.interp(raw, knots[:, 0], knots[:, 1])
        return _bend(raw, self.plugin_minimum, self.plugin_maximum, self.raw_scale)

    def raw_from_plain(self, plain: np.ndarray | float) -> np.ndarray:
        """Map plain values, clipped to the plugin's range, to raw ones."""
        plain = np.asarray(plain, np.float64)
        if self.raw_table:
            knots = np.asarray(self.raw_table, np.float64)
            if knots[-1, 1] < knots[0, 1]:
                knots = knots[::-1]
            return np.interp(plain, knots[:, 1], knots[:, 0])
        return _unbend(plain, self.plugin_minimum, self.plugin_maximum, self.raw_scale)

    def plain_from_position(self, position: np.ndarray | float) -> np.ndarray:
        """Map positions in [0, 1] to plain values, snapped to the steps of a stepped control."""
        position = np.clip(np.asarray(position, np.float64), 0.0, 1.0)
        if self.steps:
            return self.plain_from_raw(self._grid()[self._step(position)])
        return _bend(position, self.minimum, self.maximum, self.scale)

    def position_from_plain(self, plain: np.ndarray | float) -> np.ndarray:
        """Map plain values to positions, clipped to the profile's range."""
        if self.steps:
            grid = self._grid()
            distance = np.abs(self.raw_from_plain(plain)[..., None] - grid)
            return np.argmin(distance, axis=-1) / max(len(grid) - 1, 1)
        return _unbend(np.asarray(plain, np.float64), self.minimum, self.maximum, self.scale)

    def raw_from_position(self, position: np.ndarray | float) -> np.ndarray:
        """Map positions to raw values: what a host sets."""
        if self.steps:
            return self._grid()[self._step(np.clip(np.asarray(position, np.float64), 0.0, 1.0))]
        return self.raw_from_plain(self.plain_from_position(position))

    def position_from_raw(self, raw: np.ndarray | float) -> np.ndarray:
        """Map raw values to positions, clipped to the profile's range."""
        return self.position_from_plain(self.plain_from_raw(raw))

    def _grid(self) -> np.ndarray:
        """Raw values of the steps that lie in the profile's range."""
        grid = np.arange(self.steps + 1) / self.steps
        low, high = sorted((float(self.raw_from_plain(self.minimum)), float(self.raw_from_plain(self.maximum))))
        margin = 0.25 / self.steps
        return grid[(grid >= low - margin) & (grid <= high + margin)]

    def _step(self, position: np.ndarray) -> np.ndarray:
        return np.floor(position * (len(self._grid()) - 1) + 0.5).astype(int)

    def text(self, plain: float) -> str:
        """Word a plain value with its unit, or a choice by its name."""
        if self.steps and self.texts:
            step = round(float(self.raw_from_plain(plain)) * self.steps)
            if step < len(self.texts):
                return self.texts[step]
        if self.steps == 1:
            return "on" if float(self.raw_from_plain(plain)) >= 0.5 else "off"
        # Four figures, but never as 1.076e+04.
        shown = f"{plain:.0f}" if abs(plain) >= 1000 else f"{plain:.4g}" if self.steps == 0 else f"{plain:g}"
        return f"{shown} {self.unit}".strip()


def check_control(control: Control) -> None:
    """Refuse a control whose ranges or scale make no sense.

    Raises
    ------
    ProfileError
        Naming the control, the value and the range it must lie in.
    """
    name = f"control '{control.name}'"
    numbers = (
        control.minimum,
        control.maximum,
        control.default,
        control.plugin_minimum,
        control.plugin_maximum,
    )
    if not all(np.isfinite(numbers)):
        raise ProfileError(f"{name}: minimum, maximum, default and the plugin's range must be finite numbers")
    if control.use and control.minimum == control.maximum:
        raise ProfileError(
            f"{name}: minimum and maximum are both {control.minimum:g}; widen the range or set use = false"
        )
    low, high = sorted((control.plugin_minimum, control.plugin_maximum))
    slack = 1e-6 * max(abs(low), abs(high), 1e-9)
    for field, number in (
        ("minimum", control.minimum),
        ("maximum", control.maximum),
        ("value", control.value),
    ):
        if number is not None and not low - slack <= number <= high + slack:
            raise ProfileError(
                f"{name}: {field} = {number:g} is outside the plugin's range {low:g} to {high:g}; choose one inside"
            )
    for field, scale, ends in (
        ("scale", control.scale, (control.minimum, control.maximum)),
        ("raw_scale", control.raw_scale, (control.plugin_minimum, control.plugin_maximum)),
    ):
        if scale == "log" and min(ends) <= 0:
            raise ProfileError(f"{name}: {field} = 'log' needs a range above 0, got {ends[0]:g} to {ends[1]:g}")
    if control.steps < 0:
        raise ProfileError(f"{name}: steps = {control.steps}, expected 0 (continuous), 1 (toggle) or more")
    if control.raw_table:
        raw, plain = np.asarray(control.raw_table, np.float64).T
        rises = np.diff(plain)
        if (
            len(raw) < 2
            or raw[0] != 0
            or raw[-1] != 1
            or (np.diff(raw) <= 0).any()
            or not ((rises >= 0).all() or (rises <= 0).all())
        ):
            raise ProfileError(
                f"{name}: raw_table must rise from raw 0 to 1 and its plain values rise or fall throughout; probe again"
            )
    if control.use and control.steps and not len(control._grid()):
        raise ProfileError(
            f"{name}: no step lies between minimum {control.minimum:g} and maximum {control.maximum:g}; widen the range"
        )


def _bend(unit: np.ndarray, low: float, high: float, scale: Scale) -> np.ndarray:
    if scale == "log":
        return low * (high / low) ** unit
    return low + (high - low) * unit


def _unbend(plain: np.ndarray, low: float, high: float, scale: Scale) -> np.ndarray:
    if high == low:
        return np.zeros_like(plain)
    if scale == "log":
        inside = np.clip(plain, min(low, high), max(low, high))
        return np.clip(np.log(inside / low) / np.log(high / low), 0.0, 1.0)
    return np.clip((plain - low) / (high - low), 0.0, 1.0)


class ControlSpace:
    """Map whole vectors of positions to raw and plain values and back.

    Parameters
    ----------
    controls : sequence of Control
        The controls of one plugin or of a chain, in order.

    Examples
    --------
    >>> gain = Control(name="Gain", index=0, minimum=-12, maximum=12, default=0, plugin_minimum=-24, plugin_maximum=24)
    >>> space = ControlSpace([gain])
    >>> space.to_raw([[1.0]]).tolist()
    [[0.75]]
    """

    def __init__(self, controls: list[Control] | tuple[Control, ...]) -> None:
        self.controls = tuple(controls)
        self.names = [control.name for control in self.controls]

    def __len__(self) -> int:
        return len(self.controls)

    def _map(self, values: np.ndarray, method: str) -> np.ndarray:
        values = np.asarray(values, np.float64)
        if values.shape[-1:] != (len(self),):
            raise ValueError(f"got values of shape {values.shape}, expected the last axis to be {len(self)} controls")
        columns = [getattr(control, method)(values[..., k]) for k, control in enumerate(self.controls)]
        return np.stack(columns, axis=-1) if columns else values

    def to_raw(self, positions: np.ndarray) -> np.ndarray:
        """Map positions [..., controls] to raw values of the same shape."""
        return self._map(positions, "raw_from_position")

    def to_plain(self, positions: np.ndarray) -> np.ndarray:
        """Map positions [..., controls] to plain values of the same shape."""
        return self._map(positions, "plain_from_position")

    def from_raw(self, raw: np.ndarray) -> np.ndarray:
        """Map raw values [..., controls] to positions of the same shape."""
        return self._map(raw, "position_from_raw")

    def from_plain(self, plain: np.ndarray) -> np.ndarray:
        """Map plain values [..., controls] to positions of the same shape."""
        return self._map(plain, "position_from_plain")

    def snap(self, positions: np.ndarray) -> np.ndarray:
        """Move positions [..., controls] into the box and stepped controls onto their grid."""
        return self.from_plain(self.to_plain(positions))

    @property
    def defaults(self) -> np.ndarray:
        """Positions [controls] of the plugin's own defaults, clipped to the profile's ranges."""
        return self.from_plain(np.array([control.default for control in self.controls], np.float64))

    @property
    def continuous(self) -> np.ndarray:
        """Mask [controls]: True where a derivative makes sense."""
        return np.array([control.steps == 0 for control in self.controls], bool)

    @property
    def resolution(self) -> np.ndarray:
        """Smallest position step [controls] that moves each control; 1 for a toggle."""
        steps = []
        for control in self.controls:
            if control.steps:
                steps.append(1.0 / max(len(control._grid()) - 1, 1))
                continue
            span = abs(float(control.raw_from_plain(control.maximum)) - float(control.raw_from_plain(control.minimum)))
            steps.append(control.resolution / span if span else 1.0)
        return np.array(steps, np.float64)

    def index(self, name: str) -> int:
        """Find a control by name.

        Raises
        ------
        ProfileError
            When no control, or more than one, has that name.
        """
        found = [k for k, known in enumerate(self.names) if known == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise ProfileError(f"control '{name}' appears {len(found)} times; name it by its index {found}")
        raise ProfileError(f"no control is called '{name}'; {nearest(name, self.names)}")
