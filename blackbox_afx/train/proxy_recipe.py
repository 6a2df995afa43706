"""The recipe of a waveform proxy, as TOML."""

from __future__ import annotations

import os
from typing import Any, Literal

import msgspec

from blackbox_afx.errors import RecipeError
from blackbox_afx.train.recipe import load_record


class ProxyRecipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how a waveform proxy of one plugin is trained.

    Parameters
    ----------
    kind : "proxy"
        Tells it from a controller's recipe.
    plugin, controls : str
        The plugin, and which of its controls, as `afx learn` takes them; empty where the command line says.
    minutes : float > 0
        Wall-clock budget.
    examples : int >= 0
        Most rendered patches to learn from; 0 for as many as the minutes give.
    architecture : str
        Name in `blackbox_afx.proxies.waveform.ARCHITECTURES`.
    options : dict
        Its arguments.
    sample_rate, segment : int
        Hertz, and samples of a patch.
    low_peak_dbfs, high_peak_dbfs : float
        Peaks of patches are drawn between them.
    noise : float, 0 to 1
        Share of patches that are bursts of coloured noise, which say about every frequency what a voice leaves open.
    response_share : float, 0 to below 1
        Share of the time in which a `filter_gain` learns measured responses before it hears patches.
    responses : int >= 0
        How many of them; 0 for as many as that time gives.
    controller : str
        A controller of this very plugin whose settings are visited, too; empty for uniform settings alone.
    controller_share : float, 0 to 1
        Share of patches at such settings.
    max_minutes : float
        Most audio to keep in the working set.
    batch : int
    rate : float
        Peak learning rate.
    schedule : {"cosine", "paper"}
        The paper's falls to a tenth at 80 % and again at 95 % of the steps.
    warm_up : int
        Steps.
    clip_norm : float
        Largest gradient norm.
    weight_decay : float
    average : float
        Decay of the moving average of the weights.
    limiter : bool
        Compare after a soft limiter, 2 tanh(y / 2), as in the paper.
    waveform : float >= 0
        Weight of the waveform's mean absolute error beside the multi-resolution STFT distance; 100 in the paper.
    held_out : int
        Patches that measure it at the end.

    References
    ----------
    Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing", JAES 2022,
    Section 3.4.
    """

    kind: Literal["proxy"] = "proxy"
    plugin: str = ""
    controls: str = ""
    minutes: float = 10.0
    examples: int = 0
    architecture: str = "filter_gain"
    options: dict[str, Any] = {}
    sample_rate: int = 24000
    segment: int = 32768
    low_peak_dbfs: float = -24.0
    high_peak_dbfs: float = -12.0
    noise: float = 0.25
    response_share: float = 0.6
    responses: int = 0
    controller: str = ""
    controller_share: float = 0.5
    max_minutes: float = 60.0
    batch: int = 8
    rate: float = 4e-3
    schedule: Literal["cosine", "paper"] = "cosine"
    warm_up: int = 50
    clip_norm: float = 10.0
    weight_decay: float = 0.0
    average: float = 0.995
    limiter: bool = True
    waveform: float = 100.0
    held_out: int = 48

    def __post_init__(self) -> None:
        for name in ("noise", "controller_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"{name} = {getattr(self, name)}; expected a share from 0 to 1")
        for name in ("sample_rate", "segment", "batch", "held_out"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}; expected 1 or more")
        for name in ("minutes", "max_minutes", "rate", "clip_norm"):
            if not 0 < getattr(self, name) < float("inf"):
                raise RecipeError(f"{name} = {getattr(self, name)}; expected more than 0")
        if self.examples < 0 or self.responses < 0 or not self.waveform >= 0:
            raise RecipeError("examples, responses and waveform must be 0 or more")
        if not 0 <= self.response_share < 1:
            raise RecipeError(f"response_share = {self.response_share}; expected a share from 0 to below 1")
        if not -90 <= self.low_peak_dbfs <= self.high_peak_dbfs <= 24:
            raise RecipeError(
                f"peaks from {self.low_peak_dbfs:g} to {self.high_peak_dbfs:g} dBFS; expected the lower one first"
            )


def load_proxy_recipe(path: str | os.PathLike[str]) -> ProxyRecipe:
    """Read a proxy's recipe.

    Raises
    ------
    RecipeError
        When it can't be read or is not valid; the message names the place in the file.
    """
    return load_record(path, ProxyRecipe)


def dump_proxy_recipe(recipe: ProxyRecipe) -> str:
    """Write a recipe as TOML text, every field of it."""
    import tomlkit

    return tomlkit.dumps(msgspec.to_builtins(recipe))
