"""Plugins that this package can imitate in torch: what stages each consists of.

The built-in and the Faust effects are imitated by their own formulae, so that the exact settings
(``filtering="exact"``, ``smoothing="exact"``) give what the plugin gives, to rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import PurePath

import msgspec

from blackbox_afx.dsp.biquads import high_shelf, low_shelf, peak
from blackbox_afx.dsp.compressor import JUCE_TIME, Smoothing, compress
from blackbox_afx.dsp.distortion import distort
from blackbox_afx.dsp.equaliser import Filtering
from blackbox_afx.dsp.gain import gain
from blackbox_afx.dsp.stages import EffectModule, Stage, Twin, held_values
from blackbox_afx.dsp.zam import ZAM_COMP, ZAM_EQ2
from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.control import ControlSpace
from blackbox_afx.plugins.profile import Profile


def _builtin_filter(design, name: str = "") -> Stage:
    names = {"gain_db": "Gain", "frequency_hz": "Frequency", "q": "Q"}
    return Stage(kind="filter", function=design, controls={k: f"{name} {v}".strip() for k, v in names.items()})


def _builtin_compressor(name: str = "") -> Stage:
    names = {"threshold_db": "Threshold", "ratio": "Ratio", "attack_ms": "Attack", "release_ms": "Release"}
    return Stage(
        kind="process",
        function=compress,
        controls={k: f"{name} {v}".strip() for k, v in names.items()},
        options={"detector": "level", "time_factor": JUCE_TIME},
        smoothed=True,
    )


def _faust_filter(design, name: str) -> Stage:
    names = {"gain_db": "gain", "frequency_hz": "frequency", "q": "Q"}
    return Stage(kind="filter", function=design, controls={k: f"{name} {v}" for k, v in names.items()})


def _gain(name: str) -> Stage:
    return Stage(kind="process", function=gain, controls={"gain_db": name})


CHANNEL_STRIP: tuple[Stage, ...] = (
    _builtin_filter(low_shelf, "Low shelf"),
    *(_builtin_filter(peak, f"Peak {k}") for k in (1, 2, 3, 4)),
    _builtin_filter(high_shelf, "High shelf"),
    _builtin_compressor("Compressor"),
    _gain("Output Gain"),
)

FAUST_COMPRESSOR = Stage(
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
    # Faust's followers take time constants.
    options={"time_factor": 1.0},
    smoothed=True,
)

DISTORTION = Stage(kind="process", function=distort, controls={"drive_db": "Drive"})

TWINS: dict[tuple[str, str, str], Twin] = {
    ("builtin", "", "ChannelStrip"): Twin(stages=CHANNEL_STRIP),
    ("builtin", "", "LowShelfFilter"): Twin(stages=(_builtin_filter(low_shelf),)),
    ("builtin", "", "PeakFilter"): Twin(stages=(_builtin_filter(peak),)),
    ("builtin", "", "HighShelfFilter"): Twin(stages=(_builtin_filter(high_shelf),)),
    ("builtin", "", "Compressor"): Twin(stages=(_builtin_compressor(),)),
    ("builtin", "", "Distortion"): Twin(stages=(DISTORTION,)),
    ("builtin", "", "Gain"): Twin(stages=(_gain("Gain"),)),
    ("faust", "peq.dsp", "Parametric EQ"): Twin(
        stages=(
            _faust_filter(low_shelf, "Low shelf"),
            *(_faust_filter(peak, f"Peak {k}") for k in (1, 2, 3)),
            _faust_filter(high_shelf, "High shelf"),
        )
    ),
    ("faust", "compressor.dsp", "Compressor"): Twin(stages=(FAUST_COMPRESSOR,)),
    ("vst3", "ZamEQ2.vst3", "ZamEQ2"): ZAM_EQ2,
    ("vst3", "ZamComp.vst3", "ZamComp"): ZAM_COMP,
}
"""Twins by format, file and name, as a profile's identity has them."""


def find_twin(profile: Profile) -> Twin:
    """Find what imitates a plugin.

    Raises
    ------
    UsageError
        Nothing does, or not with a control that the profile sets or holds elsewhere.
    """
    identity = profile.identity
    key = (identity.format, PurePath(identity.file).name, identity.plugin_name)
    if key not in TWINS:
        known = ", ".join(f"builtin:{name}" if kind == "builtin" else f"{name} ({kind})" for kind, _, name in TWINS)
        raise UsageError(
            f"{profile.label} ({identity.format}) can't be imitated by differentiable signal processing; "
            f"known: {known}; use a method that asks the plugin itself, or a proxy"
        )
    twin = TWINS[key]
    for control in profile.controls:
        wanted = twin.fixed.get(control.name)
        held = control.default if control.value is None else control.value
        if wanted is not None and (control.use or held != wanted):
            raise UsageError(
                f"{profile.label}: '{control.name}' is imitated only at {wanted:g}; hold it there in the profile "
                f"(use = false, value = {wanted:g})"
            )
    if twin.version and identity.version and identity.version != twin.version:
        warnings.warn(
            f"{profile.label} {identity.version} is imitated as version {twin.version} sounds; compare them first",
            stacklevel=3,
        )
    return twin


class ChannelStripTwin(EffectModule):
    """Imitate the built-in channel strip: six bands, compressor, output gain.

    Parameters
    ----------
    space : ControlSpace
        Of the strip's controls, by the names in its profile; ranges and scales may be others.
    sample_rate : int
        Hz.
    held : mapping of control name to plain value
        For controls that the space lacks.
    filtering : {"auto", "sampled", "exact"}
    smoothing : {"exact", "one_pole"}
        As `EffectModule`.

    Examples
    --------
    >>> import torch
    >>> from blackbox_afx.plugins.builtins import builtin_profile
    >>> twin = ChannelStripTwin(builtin_profile("ChannelStrip").space, 24000)
    >>> twin(torch.zeros(2, 1, 100), torch.full((2, 23), 0.5)).shape
    torch.Size([2, 1, 100])
    """

    def __init__(
        self,
        space: ControlSpace,
        sample_rate: int,
        *,
        held: Mapping[str, float] | None = None,
        filtering: Filtering = "auto",
        smoothing: Smoothing = "exact",
    ) -> None:
        super().__init__(space, CHANNEL_STRIP, sample_rate, held=held, filtering=filtering, smoothing=smoothing)


class AutodiffChain(EffectModule):
    """Imitate a chain of plugins, all of which are known.

    Parameters
    ----------
    spec : ChainSpec
    sample_rate : int
        Hz.
    filtering : {"auto", "sampled", "exact"}
    smoothing : {"exact", "one_pole"}
        As `EffectModule`.

    Raises
    ------
    UsageError
        A plugin is not among `TWINS`; the message names those that are.
    """

    def __init__(
        self, spec: ChainSpec, sample_rate: int, *, filtering: Filtering = "auto", smoothing: Smoothing = "exact"
    ) -> None:
        stages: list[Stage] = []
        held: dict[str, float] = {}
        for number, (profile, columns) in enumerate(zip(spec.profiles, spec.slices, strict=True)):
            # Names as the chain has them for controls that are set, and apart from those for the others.
            chain_names = dict(zip((c.name for c in profile.active), spec.names[columns], strict=True))
            names = {name: chain_names.get(name, f"{number}: {name}") for name in (c.name for c in profile.controls)}
            held |= {names[name]: value for name, value in held_values(profile.controls).items()}
            for stage in find_twin(profile).stages:
                bound = {argument: names.get(name, name) for argument, name in stage.controls.items()}
                stages.append(msgspec.structs.replace(stage, controls=bound))
        super().__init__(spec.space, tuple(stages), sample_rate, held=held, filtering=filtering, smoothing=smoothing)


def autodiff_effect(
    spec: ChainSpec, sample_rate: int, *, filtering: Filtering = "auto", smoothing: Smoothing = "exact"
) -> EffectModule:
    """Make the differentiable twin of a chain.

    Parameters
    ----------
    spec : ChainSpec
    sample_rate : int
        Hz.
    filtering : {"auto", "sampled", "exact"}
        Filters by FFT, or sample by sample; auto is the first on a GPU and the second on a CPU.
    smoothing : {"exact", "one_pole"}
        What the plugins do, or the 2022 paper's approximation of it. That paper's AD is
        ``filtering="sampled", smoothing="one_pole"``.

    Returns
    -------
    EffectModule
        ``module(audio [batch, channels, samples], positions [batch, controls]) -> audio``.

    Raises
    ------
    UsageError
        A plugin can't be imitated; the message names those that can.
    """
    return AutodiffChain(spec, sample_rate, filtering=filtering, smoothing=smoothing)
