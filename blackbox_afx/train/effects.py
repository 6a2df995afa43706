"""What stands between positions and the loss: the effect module, the only place where methods differ.

Each is a `torch.nn.Module`: (audio [batch, channels, samples], positions [batch, controls]) -> audio, with a gradient
for the positions. One loop trains controllers through any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from blackbox_afx.errors import ControllerError, RecipeError, UsageError
from blackbox_afx.grads import make_estimator
from blackbox_afx.grads.bridge import BlackBoxEffect
from blackbox_afx.grads.steps import chain_step_sizes
from blackbox_afx.grads.straight_through import StraightThroughEffect
from blackbox_afx.networks.tcn import PAPER, SMALL
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.proxies.proxy_file import load_chain_proxy
from blackbox_afx.proxies.waveform import ChainProxy, Frozen, OutputGain, WaveformProxy, effect_of_its_own
from blackbox_afx.train.methods import Method

SIZES = {"paper": PAPER, "small": SMALL}


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what effect modules are made of.

    Parameters
    ----------
    spec : ChainSpec
    sample_rate : int
        Hertz.
    method : Method
    box : FarmEffect or None
        Renders and probes the real chain; None where the method does without.
    proxies : tuple of str
        Names of proxies, one a plugin; empty for those on the shelves that fit.
    options : dict
        Of the recipe: `size`, `stages`, or a TCN's own.
    """

    spec: ChainSpec
    sample_rate: int
    method: Method
    box: Any = None
    proxies: tuple[str, ...] = ()
    options: dict[str, Any] = {}


def black_box(context: Context) -> nn.Module:
    """Make the real chain with an estimator behind it: SPSA, orthogonal directions, differences."""
    method, steps = context.method, probe_steps(context.spec, context.method)
    estimator = make_estimator(method.estimator, **method.options)
    return BlackBoxEffect(context.box, estimator, steps, snap=context.spec.space.snap)


def probe_steps(spec: ChainSpec, method: Method) -> np.ndarray:
    """Say how far a method moves each control to differentiate it, float64 [controls]; NaN for toggles and choices."""
    return chain_step_sizes(spec, method.base_step)


def proxy(context: Context) -> nn.Module:
    """Make the frozen proxies of the chain (NP, NP-HH)."""
    return Frozen(load_chain_proxy(context.spec, context.proxies, context.sample_rate))


def straight_through(context: Context) -> nn.Module:
    """Make the real chain forward with the frozen proxies' Jacobian backward (NP-FH)."""
    return StraightThroughEffect(context.box, proxy(context), context.spec.space.continuous)


def autodiff(context: Context) -> nn.Module:
    """Make the differentiable re-implementation of the chain (AD)."""
    try:
        from blackbox_afx.dsp import autodiff_effect
    except ImportError:  # pragma: no cover - a build without the dsp room
        raise UsageError("this build has no differentiable effects; choose another method") from None
    return autodiff_effect(context.spec, context.sample_rate)


def tcn(context: Context) -> nn.Module:
    """Make a TCN that is the effect, and learns with the controller (cTCN 1, cTCN 2)."""
    asked = dict(context.options)
    size, stages = asked.pop("size", "small"), asked.pop("stages", None)
    if size not in SIZES:
        raise RecipeError(f"effect_options.size = {size!r}; expected one of {', '.join(SIZES)}")
    options = {**SIZES[size], **asked}
    if context.method.stages == 1:
        stages = None
    elif stages is None:
        stages = [len(profile.active) for profile in context.spec.profiles]
        if len(stages) < 2:
            raise RecipeError(
                f"{context.spec.label} is one plugin, and two TCNs need to know which controls go to which; expected "
                "effect_options.stages in the recipe, for example [18, 5]"
            )
    return effect_of_its_own(context.spec, options, stages)


EFFECTS: dict[str, Callable[[Context], nn.Module]] = {
    "black_box": black_box,
    "proxy": proxy,
    "straight_through": straight_through,
    "autodiff": autodiff,
    "tcn": tcn,
}


def make_effect(context: Context) -> nn.Module:
    """Make the effect module of a method."""
    return EFFECTS[context.method.effect_name](context)


class EffectCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say which module made the audio that a controller was trained for, where it was not the plugin.

    Parameters
    ----------
    kind : {"tcn", "proxy", "autodiff"}
        A TCN is the only thing that these positions mean something to; proxies and autodiff effects imitate the
        plugins, whose values the positions are.
    parts : list of dict
        `architecture`, `options`, `controls` and `gain` of each network in series.
    """

    kind: str
    parts: list[dict[str, Any]] = []


def describe_effect(effect: nn.Module, kind: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Give what a controller file keeps of an effect: its card, and its weights."""
    inner = effect.module if isinstance(effect, Frozen) else effect
    parts = inner.proxies if isinstance(inner, ChainProxy) else [inner] if isinstance(inner, WaveformProxy) else []
    card = EffectCard(
        kind=kind,
        parts=[
            {
                **part.about,
                "controls": part.controls,
                "gain": None if part.gain is None else msgspec.to_builtins(part.gain),
            }
            for part in parts
            if isinstance(part, WaveformProxy)
        ],
    )
    weights = dict(ChainProxy([p for p in parts if isinstance(p, WaveformProxy)]).state_dict()) if parts else {}
    return msgspec.to_builtins(card), weights


def restore_effect(
    about: dict[str, Any], weights: dict[str, torch.Tensor], spec: ChainSpec, sample_rate: int
) -> nn.Module:
    """Build the effect that a controller file keeps.

    Parameters
    ----------
    about, weights
        As `describe_effect` gave them.
    spec : ChainSpec
    sample_rate : int
        Hertz.

    Returns
    -------
    nn.Module
        Frozen.

    Raises
    ------
    ControllerError
        The weights do not fit, or the kind is not known.
    """
    try:
        card = msgspec.convert(about, EffectCard)
    except msgspec.ValidationError as error:
        raise ControllerError(f"the effect in the controller file is not readable ({error}); learn it again") from None
    if card.kind == "autodiff":
        method = Method(about="", effect="autodiff")
        return Frozen(autodiff(Context(spec=spec, sample_rate=sample_rate, method=method)))
    try:
        made = ChainProxy(
            [
                WaveformProxy(
                    part["controls"],
                    part["architecture"],
                    part["options"],
                    None if part["gain"] is None else msgspec.convert(part["gain"], OutputGain),
                )
                for part in card.parts
            ]
        )
        made.load_state_dict(weights)
    except (RuntimeError, KeyError, RecipeError, msgspec.ValidationError) as error:
        raise ControllerError(
            f"the effect in the controller file can't be built ({' '.join(str(error).split())[:200]}); learn it again"
        ) from None
    return Frozen(made)
