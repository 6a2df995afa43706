"""The controller file: safetensors weights with everything about them in the metadata; loading runs no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from blackbox_afx.errors import ControllerError, OutputError, ProfileError, RecipeError
from blackbox_afx.networks.packing import pack, unpack
from blackbox_afx.networks.style import make_style_network
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.profile import Profile

METADATA_KEY = "blackbox_afx.controller"
SCHEMA = 3
"""1 had no effect beside the network, and 2 no packed matrices; files without them are still written as such."""
EFFECT = "effect/"
"""What names of an effect's tensors begin with."""


class _SchemaOnly(msgspec.Struct, kw_only=True):
    schema: int


class ControllerCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what a controller is for and how it was made.

    Parameters
    ----------
    profiles : tuple of Profile
        The chain, with everything that positions mean.
    network : dict
        Arguments of `make_style_network` but for the number of controls.
    sample_rate, segment : int
        Hertz, and samples of one stretch that the controller listens to.
    input_peak_dbfs : float
        Level that inputs had in training, dBFS.
    method, seed, minutes
        How and for how long it was learned.
    recipe, plan, scores, versions, data : dict
        The recipe, the step plan, held-out scores, library versions, and what it heard.
    effect : dict
        The module that makes the audio, where that is not the plugin; see `blackbox_afx.train.effects`.
    """

    schema: int = 1
    profiles: tuple[Profile, ...]
    network: dict[str, Any]
    sample_rate: int
    segment: int
    input_peak_dbfs: float
    method: str
    seed: int
    minutes: float
    recipe: dict[str, Any] = {}
    plan: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    versions: dict[str, str] = {}
    data: dict[str, Any] = {}
    effect: dict[str, Any] = {}

    @property
    def renders_itself(self) -> bool:
        """Whether it was learned for the audio of a module of its own, and not for the plugin's."""
        return bool(self.effect)

    @property
    def means_controls(self) -> bool:
        """Whether its positions are values of the plugins; those of a TCN that learned along with it are not."""
        return self.effect.get("kind") != "tcn"

    @property
    def spec(self) -> ChainSpec:
        """The chain that the controller sets."""
        return ChainSpec(profiles=self.profiles)


def save_controller(
    path: str | os.PathLike[str],
    network: nn.Module,
    card: ControllerCard,
    effect: dict[str, Tensor] | None = None,
    *,
    packed: bool = False,
) -> None:
    """Write a controller beside its place and rename it there.

    Parameters
    ----------
    path : path
    network : nn.Module
    card : ControllerCard
    effect : dict of Tensor, optional
        Weights of the module that `card.effect` describes.
    packed : bool
        Write matrices in 8 bits, as `blackbox_afx.networks.packing` does.

    Raises
    ------
    OutputError
        When the place can't be written.
    """
    path = Path(path)
    beside = path.with_name(path.name + ".part")
    everything = {**network.state_dict(), **{EFFECT + name: tensor for name, tensor in (effect or {}).items()}}
    if packed:
        everything = pack(everything)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in everything.items()}
    schema = 3 if any(tensor.dtype == torch.int8 for tensor in tensors.values()) else 2 if card.effect else 1
    card = msgspec.structs.replace(card, schema=schema)
    try:
        save_file(tensors, beside, {METADATA_KEY: msgspec.json.encode(card).decode()})
        # safetensors makes its files private; a controller is read by whoever may read its folder.
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: can't be written ({error}); choose a folder you may write to") from None


def load_card(path: str | os.PathLike[str]) -> ControllerCard:
    """Read only the card of a controller; needs no plugin.

    Raises
    ------
    ControllerError
        No such file, cut short, or not a controller.
    """
    return _read(Path(path), tensors=False)[0]


def load_controller(path: str | os.PathLike[str]) -> tuple[nn.Module, ControllerCard]:
    """Read a controller; needs no plugin.

    Parameters
    ----------
    path : path

    Returns
    -------
    nn.Module
        In evaluation mode, with `prepare(audio, sample_rate)` and `forward(source, reference)`.
    ControllerCard

    Raises
    ------
    ControllerError
        No such file, cut short, foreign, or of a newer schema.
    """
    path = Path(path)
    card, tensors = _read(path, tensors=True)
    controls = sum(len(profile.active) for profile in card.profiles)
    try:
        network = make_style_network(controls=controls, **card.network)
        network.load_state_dict({name: t for name, t in tensors.items() if not name.startswith(EFFECT)})
    except (RuntimeError, TypeError, ValueError, RecipeError) as error:
        if "proxy.response" in str(error):
            raise ControllerError(f"{path}: learned by an earlier version of this project; learn it again") from None
        raise ControllerError(
            f"{path}: the weights do not fit the network it names ({' '.join(str(error).split())[:200]})"
        ) from None
    return network.eval(), card


def load_effect_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the weights of a controller's effect; empty where it has none.

    Raises
    ------
    ControllerError
        As `load_controller`.
    """
    tensors = _read(Path(path), tensors=True)[1]
    return {name.removeprefix(EFFECT): tensor for name, tensor in tensors.items() if name.startswith(EFFECT)}


def _read(path: Path, *, tensors: bool) -> tuple[ControllerCard, dict[str, Tensor]]:
    expected = "expected the file that `afx learn` made"
    if not path.exists():
        raise ControllerError(f"{path}: no such file; {expected}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ControllerError(f"{path}: not a controller, or cut short ({reason}); {expected}") from None
    if METADATA_KEY not in metadata:
        raise ControllerError(f"{path}: a safetensors file, but not a controller of this project; {expected}")
    try:
        # First the schema alone: a newer one has fields that this version does not know.
        schema = msgspec.json.decode(metadata[METADATA_KEY], type=_SchemaOnly).schema
        if schema > SCHEMA:
            raise ControllerError(
                f"{path}: of schema {schema}, this version reads up to {SCHEMA}; upgrade blackbox-afx"
            )
        card = msgspec.json.decode(metadata[METADATA_KEY], type=ControllerCard)
    except (msgspec.DecodeError, ProfileError) as error:
        raise ControllerError(f"{path}: its card is not readable ({error}); learn the controller again") from None
    try:
        return card, unpack(weights)
    except (RuntimeError, ValueError) as error:
        raise ControllerError(f"{path}: its packed weights can't be read ({error}); {expected}") from None
