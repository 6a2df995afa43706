"""Effects of our own with controls of their own, by name: what there is to put into a differentiable chain."""

from __future__ import annotations

import msgspec

from blackbox_afx.dsp.biquads import high_shelf, low_shelf, peak
from blackbox_afx.dsp.compressor import Smoothing, compress
from blackbox_afx.dsp.distortion import distort
from blackbox_afx.dsp.equaliser import Filtering
from blackbox_afx.dsp.gain import gain
from blackbox_afx.dsp.reverb import reverberate
from blackbox_afx.dsp.stages import EffectModule, Stage
from blackbox_afx.errors import UsageError, nearest
from blackbox_afx.plugins.control import Control, ControlSpace, Scale


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Say what an effect consists of.

    Parameters
    ----------
    about : str
    controls : tuple of (name, unit, minimum, maximum, default, scale)
    stages : tuple of Stage
    """

    about: str
    controls: tuple[tuple[str, str, float, float, float, Scale], ...]
    stages: tuple[Stage, ...]


_BANDS = (
    ("Low shelf", low_shelf, 20.0, 200.0, 100.0),
    ("Peak 1", peak, 200.0, 2000.0, 400.0),
    ("Peak 2", peak, 800.0, 4000.0, 1000.0),
    ("Peak 3", peak, 2000.0, 8000.0, 4000.0),
    ("Peak 4", peak, 4000.0, 10800.0, 8000.0),
    ("High shelf", high_shelf, 4000.0, 10800.0, 8000.0),
)

EFFECTS: dict[str, Effect] = {
    "gain": Effect(
        about="gain",
        controls=(("Gain", "dB", -48, 48, 0, "linear"),),
        stages=(Stage(kind="process", function=gain, controls={"gain_db": "Gain"}),),
    ),
    "equaliser": Effect(
        about="two shelves and four peaks, with the ranges of the 2022 paper",
        controls=tuple(
            row
            for name, _, low, high, default in _BANDS
            for row in (
                (f"{name} gain", "dB", -24, 24, 0, "linear"),
                (f"{name} frequency", "Hz", low, high, default, "log"),
                (f"{name} Q", "", 0.1, 10, 0.707, "log"),
            )
        ),
        stages=tuple(
            Stage(
                kind="filter",
                function=design,
                controls={"gain_db": f"{name} gain", "frequency_hz": f"{name} frequency", "q": f"{name} Q"},
            )
            for name, design, *_ in _BANDS
        ),
    ),
    "compressor": Effect(
        about="feed-forward compressor with a soft knee, with the ranges of the 2022 paper",
        controls=(
            ("Threshold", "dB", -80, 0, -12, "linear"),
            ("Ratio", "", 1, 20, 2, "log"),
            ("Attack", "ms", 0.1, 100, 1, "log"),
            ("Release", "ms", 5, 1000, 45, "log"),
            ("Knee", "dB", 0, 12, 6, "linear"),
            ("Makeup", "dB", -48, 48, 0, "linear"),
        ),
        stages=(
            Stage(
                kind="process",
                function=compress,
                controls={
                    "threshold_db": "Threshold",
                    "ratio": "Ratio",
                    "attack_ms": "Attack",
                    "release_ms": "Release",
                    "knee_db": "Knee",
                    "makeup_db": "Makeup",
                },
                smoothed=True,
            ),
        ),
    ),
    "distortion": Effect(
        about="tanh, four times oversampled",
        controls=(("Drive", "dB", 0, 48, 0, "linear"), ("Level", "dB", -24, 24, 0, "linear")),
        stages=(
            Stage(
                kind="process",
                function=distort,
                controls={"drive_db": "Drive", "level_db": "Level"},
                options={"oversampling": 4},
            ),
        ),
    ),
    "reverb": Effect(
        about="decaying noise in three bands",
        controls=(
            ("Low decay", "s", 0.1, 4, 1.2, "log"),
            ("Mid decay", "s", 0.1, 4, 1, "log"),
            ("High decay", "s", 0.1, 4, 0.6, "log"),
            ("Pre-delay", "ms", 0, 100, 10, "linear"),
            ("Mix", "", 0, 1, 0, "linear"),
        ),
        stages=(
            Stage(
                kind="process",
                function=reverberate,
                controls={
                    "low_decay_s": "Low decay",
                    "mid_decay_s": "Mid decay",
                    "high_decay_s": "High decay",
                    "predelay_ms": "Pre-delay",
                    "mix": "Mix",
                },
            ),
        ),
    ),
}
"""Differentiable effects by name."""


def effect_space(name: str) -> ControlSpace:
    """Give the controls of one of `EFFECTS`.

    Raises
    ------
    UsageError
        None is called that.
    """
    if name not in EFFECTS:
        raise UsageError(f"no differentiable effect is called '{name}'; {nearest(name, list(EFFECTS))}")
    return ControlSpace(
        [
            Control(
                name=label,
                index=k,
                unit=unit,
                minimum=low,
                maximum=high,
                default=default,
                scale=scale,
                plugin_minimum=low,
                plugin_maximum=high,
                raw_scale=scale,
            )
            for k, (label, unit, low, high, default, scale) in enumerate(EFFECTS[name].controls)
        ]
    )


def make_effect(
    name: str, sample_rate: int, *, filtering: Filtering = "auto", smoothing: Smoothing = "exact"
) -> EffectModule:
    """Make one of `EFFECTS` as a module.

    Parameters
    ----------
    name : str
    sample_rate : int
        Hz.
    filtering, smoothing : str
        As `EffectModule`.

    Returns
    -------
    EffectModule

    Raises
    ------
    UsageError
        None is called that.

    Examples
    --------
    >>> import torch
    >>> reverb = make_effect("reverb", 24000)
    >>> reverb.space.names
    ['Low decay', 'Mid decay', 'High decay', 'Pre-delay', 'Mix']
    >>> reverb(torch.zeros(1, 2, 1000), torch.full((1, 5), 0.5)).shape
    torch.Size([1, 2, 1000])
    """
    space = effect_space(name)
    return EffectModule(space, EFFECTS[name].stages, sample_rate, filtering=filtering, smoothing=smoothing)
