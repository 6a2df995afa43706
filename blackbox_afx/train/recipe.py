"""The recipe: how a controller is learned, as TOML."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from blackbox_afx.errors import RecipeError


class Shares(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Split the budget: shares of the time left after set-up and judging.

    Parameters
    ----------
    pairs, responses, proxy, controller, audio : float >= 0
        Making training pairs; measuring the chain's responses; the feature proxy; the controller's warm start; the
        audio loss through the plugin.
    imitate : float >= 0
        Waveform proxies of plugins that have none on the shelves, where the method needs them: a share of the whole
        budget, taken before the others.
    """

    pairs: float = 0.4
    responses: float = 0.06
    proxy: float = 0.16
    controller: float = 0.25
    audio: float = 0.12
    imitate: float = 0.2

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 <= getattr(self, name) < float("inf"):
                raise RecipeError(f"shares.{name} = {getattr(self, name)}; expected 0 or more")
        if min(self.pairs, self.proxy, self.controller) <= 0:
            raise RecipeError("the shares of pairs, proxy and controller must be above 0; the others may be left out")


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how a controller is learned.

    Parameters
    ----------
    kind : "controller"
        Tells it from a proxy's recipe.
    plugins : tuple of str
        The chain; empty where the command line names it.
    minutes : float > 0
        Wall-clock budget.
    method : str
        Name in `blackbox_afx.train.methods.METHODS`.
    encoder, controller : str
        Names in `ENCODERS` and `CONTROLLERS`.
    controller_options : dict
        Further arguments of the controller.
    sample_rate, segment : int
        Hertz, and samples of one half of a clip.
    settings : int
        Random settings that each drawn clip is rendered with.
    corrupted : float, 0 to 1
        Share of training inputs that other effects coloured first.
    foreign, audio_foreign : float, 0 to 1
        Share of warm-start examples, and of audio-stage pairs, whose style is not of this chain.
    styles : int
        Inputs and results that other effects make of each clip for those examples.
    mix : float >= 0
        Warm-start examples of such styles are blended two by two, features with features, by shares drawn from
        Beta(mix, mix): blends are recordings that nobody made, and keep a network from knowing those it has by heart
        (Zhang et al., "mixup", ICLR 2018). 0 for none, as always where the encoder hears audio.
    max_cents : float >= 0
        Half of the training clips are played faster or slower, which moves their pitch by up to this much.
    spliced : float, 0 to 1
        Share of training clips that are cut into pieces and put together in another order (`ClipSampler`): one
        recording then gives more pairs of halves, and how they differ is harder to know by heart.
    max_minutes : float
        Most audio to keep in the working set.
    batch, heard_batch, audio_batch : int
        Pairs a warm-start step; the controller's there where its encoder hears audio, which takes far more memory and
        time; pairs an audio step.
    proxy_rate, controller_rate, audio_rate : float
        Peak learning rates.
    regression : float
        Weight of the regression on known controls beside the sound distance.
    hold : float
        The same during the audio stage, for pairs whose settings are known: none where `audio_foreign` is 1.
    reported : float >= 0
        Weight, in the audio stage, of what reports measure beside the paper's loss: long-term mel spectrum, centroid,
        level and loudness; 0 for the paper's loss alone.
    clip_example : float >= 0
        Longest derivative of an example of the audio stage, in medians of its batch, where it comes from renders; 0
        for none.
    rehearsal : float >= 0
        Weight, in an audio stage that comes after a warm start, of the warm start's loss beside the audio loss.
    held_out : int
        Pairs that judge each stage.
    warm_start : bool or None
        Whether the audio stage comes after a warm start; None as the method has it (all but cTCN have one).
    protocol : {"self", "paper"}
        What makes the targets of judging, and of the audio stage unless `audio_foreign` says more: the chain at random
        settings, or other effects, as in the 2022 paper; then no setting is known, and nothing is regressed.
    proxies : tuple of str
        Waveform proxies for the methods that need them, one a plugin; empty for those on the shelves that fit.
    effect_options : dict
        Of the method's effect: a TCN's `size` ("paper", "small"), `stages`, `channels`, `kernel`, `dilations`.
    examples : int >= 0
        Examples that the audio stage learns from, whatever the machine; 0 for as many as the minutes give.
    schedule : {"cosine", "paper"}
        Of the audio stage's learning rate; the paper's falls to a tenth at 80 % and again at 95 % of the steps.
    clip_norm, weight_decay, average : float
        Of the audio stage: largest gradient norm, weight decay, decay of the moving average of the weights.
    weights : {"float32", "int8"}
        How the controller file holds large matrices; "int8" takes a quarter of the bytes.
    pretrained : bool
        Start from the trunk that comes with this package, where encoder and controller have its shape.
    shares : Shares
    """

    kind: Literal["controller"] = "controller"
    plugins: tuple[str, ...] = ()
    minutes: float = 20.0
    method: str = "features"
    encoder: str = "mixture"
    controller: str = "residual"
    controller_options: dict[str, Any] = {}
    sample_rate: int = 24000
    segment: int = 65536
    settings: int = 1
    corrupted: float = 0.5
    foreign: float = 0.8
    audio_foreign: float = 1.0
    styles: int = 1
    mix: float = 0.3
    max_cents: float = 200.0
    spliced: float = 0.8
    max_minutes: float = 120.0
    batch: int = 256
    heard_batch: int = 8
    audio_batch: int = 12
    proxy_rate: float = 1e-3
    controller_rate: float = 1e-3
    audio_rate: float = 1e-4
    regression: float = 0.3
    hold: float = 3.0
    reported: float = 0.1
    rehearsal: float = 0.5
    clip_example: float = 1.5
    held_out: int = 128
    warm_start: bool | None = None
    protocol: Literal["self", "paper"] = "self"
    proxies: tuple[str, ...] = ()
    effect_options: dict[str, Any] = {}
    examples: int = 0
    schedule: Literal["cosine", "paper"] = "cosine"
    clip_norm: float = 1.0
    weight_decay: float = 0.01
    average: float = 0.98
    weights: Literal["float32", "int8"] = "float32"
    pretrained: bool = True
    shares: Shares = Shares()

    def __post_init__(self) -> None:
        for name in ("corrupted", "foreign", "audio_foreign", "spliced"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"{name} = {getattr(self, name)}; expected a share from 0 to 1")
        for name in ("sample_rate", "segment", "settings", "styles", "batch", "heard_batch", "audio_batch", "held_out"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}; expected 1 or more")
        if self.examples < 0 or not 0 <= self.average < 1:
            raise RecipeError("examples must be 0 or more, and average from 0 to below 1")
        for name in ("minutes", "max_minutes", "proxy_rate", "controller_rate", "audio_rate", "clip_norm"):
            if not 0 < getattr(self, name) < float("inf"):
                raise RecipeError(f"{name} = {getattr(self, name)}; expected more than 0")
        for name in ("regression", "hold", "weight_decay", "max_cents", "mix", "reported", "rehearsal", "clip_example"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise RecipeError(f"{name} = {getattr(self, name)}; expected 0 or more")


AnyRecipe = TypeVar("AnyRecipe", bound=msgspec.Struct)


def change_recipe(recipe: AnyRecipe, **changes: Any) -> AnyRecipe:
    """Give a copy with some fields changed; a None changes nothing."""
    return msgspec.structs.replace(recipe, **{name: value for name, value in changes.items() if value is not None})


def load_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path : path
        A ``recipe.toml``, or the folder that holds one.

    Raises
    ------
    RecipeError
        When it can't be read or is not valid; the message names the place in the file.
    """
    return load_record(path, Recipe)


def load_record(path: str | os.PathLike[str], record: type[AnyRecipe]) -> AnyRecipe:
    """Read a recipe of a given kind; path and errors as `load_recipe`."""
    path = Path(path)
    if path.is_dir():
        path = path / "recipe.toml"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=record)
    except OSError as error:
        raise RecipeError(f"{path}: can't be read ({error.strerror}); expected a recipe.toml") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecipeError) as error:
        raise RecipeError(f"{path}: {error}") from None
