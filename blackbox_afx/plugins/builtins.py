"""Give pedalboard's built-in effects the named controls that pedalboard itself has no list of.

Conventions: `EFFECTS` holds one row a control, in the order of the parameter table; `COMPOSITES` puts several effects
in a row that is treated as one plugin. Raw values map linearly or logarithmically to the range given here. Defaults
are pedalboard's own unless a composite says otherwise.

Notes
-----
Left out: `Convolution` and `VST3Plugin` need a file, `Invert` has nothing to control, `IIRFilter` is only the base of
the filters, `Chain` and `Mix` only hold others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pedalboard

from blackbox_afx.errors import PluginError, ShelfError, nearest
from blackbox_afx.plugins.control import Control, Scale
from blackbox_afx.plugins.profile import BLOCK_SIZE, Identity, Profile, check_profile

NYQUIST_SHARE = 0.495
"""Corner frequencies are kept below this share of the sample rate."""


class BuiltinControl(msgspec.Struct, frozen=True):
    """One attribute of a pedalboard class as a control.

    Parameters
    ----------
    attribute : str
        As pedalboard calls it.
    name, unit : str
    low, high : float
        Plain values at raw 0 and 1.
    scale : {"linear", "log"}
    choices : tuple of str
        Members of the attribute's enumeration in order, or ``("off", "on")``.
    automatable : bool
        False where pedalboard takes the attribute only at the start of a stream.
    corner : bool
        Whether it is a frequency that must stay below half the sample rate.
    """

    attribute: str
    name: str
    unit: str
    low: float
    high: float
    scale: Scale = "linear"
    choices: tuple[str, ...] = ()
    automatable: bool = True
    corner: bool = False


class Stage(msgspec.Struct, frozen=True):
    """One effect of a composite.

    Parameters
    ----------
    effect : str
        Key of `EFFECTS`.
    name : str
        Put before the names of its controls.
    ranges : mapping of attribute to (low, high, default)
        Where they are other than the effect's own.
    fixed : mapping of attribute to plain value
        What is set once and is no control.
    """

    effect: str
    name: str = ""
    ranges: Mapping[str, tuple[float, float, float]] = {}
    fixed: Mapping[str, float] = {}

    def controls(self) -> list[BuiltinControl]:
        """Give the rows of the effect that are controls here, in their order, with the ranges they have here."""
        rows = []
        for row in EFFECTS[self.effect]:
            if row.attribute not in self.fixed:
                low, high, _ = self.ranges.get(row.attribute, (row.low, row.high, None))
                rows.append(msgspec.structs.replace(row, low=low, high=high))
        return rows


def _choice(attribute: str, name: str, *choices: str) -> BuiltinControl:
    return BuiltinControl(attribute, name, "", 0, len(choices) - 1, choices=choices, automatable=False)


_GAIN = BuiltinControl("gain_db", "Gain", "dB", -24, 24)
_CORNER = BuiltinControl("cutoff_frequency_hz", "Frequency", "Hz", 20, 20000, "log", corner=True)
_Q = BuiltinControl("q", "Q", "", 0.1, 10, "log")
_MIX = BuiltinControl("mix", "Mix", "", 0, 1)
_FEEDBACK = BuiltinControl("feedback", "Feedback", "", -0.95, 0.95)
_RATE = BuiltinControl("rate_hz", "Rate", "Hz", 0.01, 20, "log")
_DEPTH = BuiltinControl("depth", "Depth", "", 0, 1)
_ATTACK = BuiltinControl("attack_ms", "Attack", "ms", 0.1, 100, "log")
_RELEASE = BuiltinControl("release_ms", "Release", "ms", 5, 1000, "log")
_RATIO = BuiltinControl("ratio", "Ratio", "", 1, 20, "log")
_QUALITY = _choice(
    "quality",
    "Quality",
    *("ZeroOrderHold", "Linear", "CatmullRom", "Lagrange", "WindowedSinc", "WindowedSinc256"),
    *("WindowedSinc128", "WindowedSinc64", "WindowedSinc32", "WindowedSinc16", "WindowedSinc8"),
)


def _level(attribute: str, name: str, low: float) -> BuiltinControl:
    return BuiltinControl(attribute, name, "dB", low, 0)


EFFECTS: dict[str, tuple[BuiltinControl, ...]] = {
    "Bitcrush": (BuiltinControl("bit_depth", "Bit depth", "bit", 1, 24),),
    "BrickwallLimiter": (
        _level("ceiling_db", "Ceiling", -24),
        _RELEASE,
        BuiltinControl("lookahead_ms", "Look-ahead", "ms", 0.5, 20, "log", automatable=False),
        _choice("true_peak", "True peak", "off", "on"),
    ),
    "Chorus": (
        _RATE,
        _DEPTH,
        BuiltinControl("centre_delay_ms", "Delay", "ms", 1, 100, "log"),
        _FEEDBACK,
        _MIX,
    ),
    "Clipping": (_level("threshold_db", "Threshold", -48),),
    "Compressor": (_level("threshold_db", "Threshold", -60), _RATIO, _ATTACK, _RELEASE),
    "Delay": (
        BuiltinControl("delay_seconds", "Delay", "s", 0.001, 2, "log"),
        BuiltinControl("feedback", "Feedback", "", 0, 0.95),
        _MIX,
    ),
    "Distortion": (BuiltinControl("drive_db", "Drive", "dB", 0, 60),),
    "GSMFullRateCompressor": (_QUALITY,),
    "Gain": (_GAIN,),
    "HighShelfFilter": (_GAIN, _CORNER, _Q),
    "HighpassFilter": (_CORNER,),
    "LadderFilter": (
        msgspec.structs.replace(
            _choice("mode", "Mode", "LPF12", "HPF12", "BPF12", "LPF24", "HPF24", "BPF24"), automatable=True
        ),
        BuiltinControl("cutoff_hz", "Frequency", "Hz", 20, 20000, "log", corner=True),
        BuiltinControl("resonance", "Resonance", "", 0, 1),
        BuiltinControl("drive", "Drive", "", 1, 10, "log"),
    ),
    "Limiter": (_level("threshold_db", "Threshold", -60), _RELEASE),
    "LowShelfFilter": (_GAIN, _CORNER, _Q),
    "LowpassFilter": (_CORNER,),
    "MP3Compressor": (BuiltinControl("vbr_quality", "Quality", "", 0, 10, automatable=False),),
    "NoiseGate": (_level("threshold_db", "Threshold", -100), _RATIO, _ATTACK, _RELEASE),
    "PeakFilter": (_GAIN, _CORNER, _Q),
    "Phaser": (
        _RATE,
        _DEPTH,
        BuiltinControl("centre_frequency_hz", "Frequency", "Hz", 100, 10000, "log", corner=True),
        _FEEDBACK,
        _MIX,
    ),
    "PitchShift": (BuiltinControl("semitones", "Semitones", "st", -12, 12, automatable=False),),
    "Resample": (
        BuiltinControl("target_sample_rate", "Sample rate", "Hz", 1000, 24000, "log", automatable=False),
        _QUALITY,
    ),
    "Reverb": (
        BuiltinControl("room_size", "Room size", "", 0, 1),
        BuiltinControl("damping", "Damping", "", 0, 1),
        BuiltinControl("wet_level", "Wet level", "", 0, 1),
        BuiltinControl("dry_level", "Dry level", "", 0, 1),
        BuiltinControl("width", "Width", "", 0, 1),
        msgspec.structs.replace(_choice("freeze_mode", "Freeze", "off", "on"), automatable=True),
    ),
}
"""Every built-in effect that has something to control."""


def _band(low: float, high: float, default: float) -> dict[str, tuple[float, float, float]]:
    return {
        "gain_db": (-24, 24, 0),
        "cutoff_frequency_hz": (low, high, default),
        "q": (0.1, 10, 0.707),
    }


THIRD_OCTAVE_Q = 4.318
"""Quality of a bell as wide as a third of an octave: 2 ** (1 / 6) / (2 ** (1 / 3) - 1)."""
THIRD_OCTAVES = (
    *("40", "50", "63", "80", "100", "125", "160", "200", "250", "315", "400", "500", "630", "800"),
    *("1000", "1250", "1600", "2000", "2500", "3150", "4000", "5000", "6300", "8000", "10000"),
)
"""Nominal centres of bands (IEC 61260-1), Hz: from the lowest note of a bass up to what a controller that listens at
24 kHz hears. pedalboard itself keeps a corner below half the sample rate."""


COMPOSITES: dict[str, tuple[Stage, ...]] = {
    "ChannelStrip": (
        Stage("LowShelfFilter", "Low shelf", _band(20, 200, 100)),
        Stage("PeakFilter", "Peak 1", _band(200, 2000, 400)),
        Stage("PeakFilter", "Peak 2", _band(800, 4000, 1000)),
        Stage("PeakFilter", "Peak 3", _band(2000, 8000, 4000)),
        Stage("PeakFilter", "Peak 4", _band(4000, 10800, 8000)),
        Stage("HighShelfFilter", "High shelf", _band(4000, 10800, 8000)),
        Stage("Compressor", "Compressor"),
        Stage("Gain", "Output", {"gain_db": (-24, 24, 0)}),
    ),
    "GraphicEqualiser": tuple(
        Stage(
            "PeakFilter",
            f"{hertz} Hz",
            {"gain_db": (-12, 12, 0)},
            {"cutoff_frequency_hz": float(hertz), "q": THIRD_OCTAVE_Q},
        )
        for hertz in THIRD_OCTAVES
    ),
}
"""Several effects in a row as one plugin."""

WHOLE = frozenset({"GSMFullRateCompressor", "PitchShift"})
"""Effects that pedalboard 0.9.26 renders right only in one call: fed in pieces, they give other sound or silence."""

_DYNAMIC = {"Compressor", "NoiseGate", "Limiter", "BrickwallLimiter", "Clipping", "Distortion"}
_TAIL_S = {"Reverb": 4.0, "Delay": 4.0, "Chorus": 0.5, "Phaser": 0.1}
_COST_MS = {"PitchShift": 13.0, "Phaser": 0.9, "Reverb": 0.7, "Distortion": 0.5, "Limiter": 0.3}


def stages(name: str) -> tuple[Stage, ...]:
    """Give the effects that a built-in is made of; one for a plain effect.

    Raises
    ------
    ShelfError
        No built-in is called that.
    """
    if name in COMPOSITES:
        return COMPOSITES[name]
    if name in EFFECTS:
        return (Stage(name),)
    raise ShelfError(
        f"pedalboard has no built-in effect '{name}' with controls; {nearest(name, [*EFFECTS, *COMPOSITES])}"
    )


class Place:
    """Where a control's plain value goes: an attribute of an effect."""

    def __init__(self, effect: Any, control: BuiltinControl, name: str) -> None:
        self.effect, self.control, self.name = effect, control, name

    def read(self) -> float:
        """Plain value that the effect has; the number of a choice."""
        kept = getattr(self.effect, self.control.attribute)
        if type(kept) in (int, float, bool):
            return float(kept)
        return float(self.control.choices.index(kept.name))

    def write(self, profile: Profile, plain: float, sample_rate: int) -> None:
        """Set the attribute and read it back.

        Raises
        ------
        PluginError
            The effect kept another value, or refused it.
        """
        control = self.control
        if control.corner:
            plain = min(plain, NYQUIST_SHARE * sample_rate)
        value: Any = float(round(plain)) if control.choices else plain
        old = getattr(self.effect, control.attribute)
        if isinstance(old, bool):
            value = value >= 0.5
        elif type(old) not in (int, float):
            value = getattr(type(old), control.choices[int(value)])
        try:
            setattr(self.effect, control.attribute, value)
        except (ValueError, RuntimeError) as error:
            raise PluginError(
                f"{profile.label}: control '{self.name}' refused {plain:g} {control.unit}: {error}; restrict its range"
            ) from None
        kept = self.read()
        if abs(kept - float(round(plain) if control.choices else plain)) > 1e-5 * max(1.0, abs(plain)):
            raise PluginError(
                f"{profile.label}: control '{self.name}' was set to {plain:g} {control.unit} and reads back {kept:g}; "
                "restrict its range"
            )


def build_effects(name: str) -> tuple[list[pedalboard.Plugin], list[Place]]:
    """Make a built-in's effects, with the defaults of the table, and the places of its controls in order."""
    effects, places = [], []
    for stage in stages(name):
        effect = getattr(pedalboard, stage.effect)()
        effects.append(effect)
        defaults = {attribute: default for attribute, (_, _, default) in stage.ranges.items()}
        for attribute, plain in {**defaults, **stage.fixed}.items():
            setattr(effect, attribute, plain)
        places += [Place(effect, row, f"{stage.name} {row.name}".strip()) for row in stage.controls()]
    return effects, places


def builtin_controls(name: str) -> tuple[Control, ...]:
    """Give the whole parameter table of a built-in, in order."""
    _, places = build_effects(name)
    controls = []
    for index, place in enumerate(places):
        row = place.control
        controls.append(
            Control(
                name=place.name,
                index=index,
                unit=row.unit,
                minimum=float(row.low),
                maximum=float(row.high),
                scale=row.scale,
                # Attributes are float32: 0.707 reads back as 0.70700001...
                default=float(np.clip(round(place.read(), 6), row.low, row.high)),
                steps=max(len(row.choices) - 1, 0),
                texts=row.choices,
                plugin_minimum=float(row.low),
                plugin_maximum=float(row.high),
                raw_scale=row.scale,
                automatable=row.automatable,
            )
        )
    return tuple(controls)


def builtin_latency(name: str, sample_rate: int, channels: int = 1) -> int:
    """Measure how many samples come out later than they go in; pedalboard tells none for its own effects."""
    board = pedalboard.Pedalboard(build_effects(name)[0])
    silence = np.zeros((channels, BLOCK_SIZE), np.float32)
    fed = out = 0
    while out == 0 and fed < 10 * sample_rate:
        fed += BLOCK_SIZE
        out = board.process(silence, sample_rate, buffer_size=BLOCK_SIZE, reset=False).shape[1]
    return fed - out


def builtin_profile(name: str) -> Profile:
    """Make the profile of a built-in effect.

    Parameters
    ----------
    name : str
        pedalboard's class name, or one of `COMPOSITES`.

    Raises
    ------
    ShelfError
        No built-in is called that.
    """
    parts = [stage.effect for stage in stages(name)]
    snake = "".join(
        "_" + letter.lower()
        if k and letter.isupper() and (name[k - 1].islower() or name[k + 1 : k + 2].islower())
        else letter.lower()
        for k, letter in enumerate(name)
    )
    gains = [place.name for place in build_effects(name)[1] if place.control.attribute == "gain_db"]
    return check_profile(
        Profile(
            name=snake,
            identity=Identity(format="builtin", plugin_name=name, vendor="pedalboard"),
            channels=0,
            latency=builtin_latency(name, 24000),
            tail_s=sum(_TAIL_S.get(part, 0.0) for part in parts),
            reset="fresh",
            load_ms=0.1,
            cost_ms=round(sum(_COST_MS.get(part, 0.1) for part in parts), 3),
            dynamics=any(part in _DYNAMIC for part in parts),
            output_gain=gains[-1] if parts[-1] == "Gain" else "",
            controls=builtin_controls(name),
        )
    )
