"""The proxy file: safetensors weights with everything about them in the metadata; loading runs no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from blackbox_afx import shelf
from blackbox_afx.errors import OutputError, ProfileError, ProxyError, RecipeError, UsageError
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.proxies.waveform import ChainProxy, OutputGain, WaveformProxy

METADATA_KEY = "blackbox_afx.proxy"
SCHEMA = 1


class ProxyCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say which plugin a proxy imitates and how it was made.

    Parameters
    ----------
    profile : Profile
        Of the plugin, with everything that positions mean.
    architecture : str
    options : dict
        Arguments of the architecture.
    gain : OutputGain or None
        The control that is applied exactly.
    sample_rate : int
        Hertz; at another rate the network would be another effect.
    seed, minutes, steps, examples
        How long it was trained.
    recipe, versions, data, scores : dict
        The recipe, library versions, what it heard, and the held-out error.
    """

    schema: int = SCHEMA
    profile: Profile
    architecture: str
    options: dict[str, Any]
    gain: OutputGain | None = None
    sample_rate: int
    seed: int = 0
    minutes: float = 0.0
    steps: int = 0
    examples: int = 0
    recipe: dict[str, Any] = {}
    versions: dict[str, str] = {}
    data: dict[str, Any] = {}
    scores: dict[str, Any] = {}


def build_proxy(card: ProxyCard) -> WaveformProxy:
    """Make the untrained module that a card describes."""
    return WaveformProxy(len(card.profile.active), card.architecture, card.options, card.gain)


def save_proxy(path: str | os.PathLike[str], proxy: WaveformProxy, card: ProxyCard) -> None:
    """Write a proxy beside its place and rename it there.

    Raises
    ------
    OutputError
        When the place can't be written.
    """
    path = Path(path)
    beside = path.with_name(path.name + ".part")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in proxy.state_dict().items()}
    try:
        save_file(tensors, beside, {METADATA_KEY: msgspec.json.encode(card).decode()})
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: can't be written ({error}); choose a folder you may write to") from None


def load_proxy(name: str | os.PathLike[str]) -> tuple[WaveformProxy, ProxyCard]:
    """Read a proxy; needs no plugin.

    Parameters
    ----------
    name : str or path
        A name on a shelf, a folder, or the file.

    Returns
    -------
    WaveformProxy
        In evaluation mode.
    ProxyCard

    Raises
    ------
    ShelfError
        Nothing goes by that name.
    ProxyError
        It is cut short, foreign, or of a newer schema.
    """
    path = shelf.find("proxies", name)
    expected = "expected the weights.safetensors that `afx proxy train` made"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ProxyError(f"{path}: not a proxy, or cut short ({str(error).splitlines()[0]}); {expected}") from None
    if METADATA_KEY not in metadata:
        raise ProxyError(f"{path}: a safetensors file, but not a proxy of this project; {expected}")
    try:
        raw = msgspec.json.decode(metadata[METADATA_KEY])
        if raw.get("schema", SCHEMA) > SCHEMA:
            raise ProxyError(f"{path}: of schema {raw['schema']}, this version reads up to {SCHEMA}; upgrade it")
        card = msgspec.convert(raw, ProxyCard)
        proxy = build_proxy(card)
        proxy.load_state_dict(weights)
    except (msgspec.ValidationError, msgspec.DecodeError, ProfileError) as error:
        raise ProxyError(f"{path}: its card is not readable ({error}); train the proxy again") from None
    except (RuntimeError, RecipeError) as error:
        raise ProxyError(
            f"{path}: the weights do not fit the network it names ({' '.join(str(error).split())[:200]})"
        ) from None
    return proxy.eval(), card


def load_chain_proxy(spec: ChainSpec, names: tuple[str, ...], sample_rate: int) -> ChainProxy:
    """Read the proxies of a chain, one a plugin.

    Parameters
    ----------
    spec : ChainSpec
    names : tuple of str
        One a plugin, in order; empty to take those on the shelves that were trained on the very profiles.
    sample_rate : int
        Hertz, of the audio to come.

    Raises
    ------
    UsageError
        Too few or too many names, none found, or another rate.
    ProxyError
        A proxy of another plugin, or of other controls or ranges of it.
    """
    names = names or tuple(_of_profile(profile, sample_rate) for profile in spec.profiles)
    if len(names) != len(spec.profiles):
        raise UsageError(
            f"{len(names)} proxies for the {len(spec.profiles)} plugins of {spec.label}; "
            "expected one a plugin, in order"
        )
    proxies = []
    for name, profile in zip(names, spec.profiles, strict=True):
        proxy, card = load_proxy(name)
        if card.profile.fingerprint() != profile.fingerprint():
            same = " with other controls, ranges or settings" if card.profile.label == profile.label else ""
            raise ProxyError(
                f"the proxy {name} imitates {card.profile.label}{same}, the chain has {profile.label}; train one with "
                "`afx proxy train`"
            )
        if card.sample_rate != sample_rate:
            raise UsageError(
                f"the proxy {name} was trained at {card.sample_rate} Hz, the audio has {sample_rate} Hz; "
                f"use sample_rate = {card.sample_rate}, or train another"
            )
        proxies.append(proxy)
    return ChainProxy(proxies)


def find_proxy(profile: Profile, sample_rate: int) -> str | None:
    """Name the proxy on the shelves that was trained on this very profile, at this rate; None where there is none.

    Of several, one's own goes before one that ships.
    """
    for item in sorted(shelf.items("proxies"), key=lambda item: item.origin == "shipped"):
        try:
            with safe_open(item.path, framework="pt") as file:
                metadata = file.metadata() or {}
            known = msgspec.json.decode(metadata[METADATA_KEY], type=ProxyCard)
        except (SafetensorError, OSError, KeyError, msgspec.DecodeError, ProfileError):
            continue
        if known.profile.fingerprint() == profile.fingerprint() and known.sample_rate == sample_rate:
            return item.name
    return None


def _of_profile(profile: Profile, sample_rate: int) -> str:
    name = find_proxy(profile, sample_rate)
    if name is None:
        raise UsageError(
            f"no proxy of {profile.label} with these controls at {sample_rate} Hz is on the shelves; train one with "
            f"`afx proxy train {profile.name} --audio DIR --out DIR`, and name it with --proxy"
        )
    return name
