"""The conformance suite of proxies: what every network that stands in for a plugin must do."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from blackbox_afx.plugins.chain_spec import ChainSpec

SAMPLES = 20000
TOLERANCE = 1e-4


def check_proxy(
    proxy: nn.Module, spec: ChainSpec, *, lookahead: int = 64, exact_gain: Any = None, seed: int = 0
) -> None:
    """Check a waveform proxy against the protocol; return if it conforms.

    Parameters
    ----------
    proxy : nn.Module
        (audio [batch, channels, samples], positions [batch, controls]) -> audio, in evaluation mode.
    spec : ChainSpec
        What it stands in for.
    lookahead : int
        Samples of the future that an output sample may know.
    exact_gain : OutputGain, optional
        A control that must act as an exact gain.
    seed : int

    Raises
    ------
    AssertionError
        With what was expected, at the first thing that does not hold.

    Examples
    --------
    >>> from blackbox_afx.plugins.builtins import builtin_profile
    >>> from blackbox_afx.proxies.waveform import WaveformProxy
    >>> spec = ChainSpec(profiles=(builtin_profile("Compressor"),))
    >>> check_proxy(WaveformProxy(len(spec.space), "filter_gain").eval(), spec)
    """
    generator = torch.Generator().manual_seed(seed)
    controls = len(spec.space)
    audio = 0.2 * torch.randn(3, 1, SAMPLES, generator=generator)
    at = torch.rand(3, controls, generator=generator)
    before = _snapshot(proxy)
    with torch.no_grad():
        made = proxy(audio, at)
        again = proxy(audio, at)
        alone = proxy(audio[1:2], at[1:2])
    _require(made.shape == audio.shape, f"audio {list(audio.shape)} came back as {list(made.shape)}, expected the same")
    _require(made.dtype == audio.dtype, f"float32 audio came back as {made.dtype}")
    _require(bool(torch.isfinite(made).all()), "the output is not finite")
    _require(torch.equal(made, again), "the same input and positions gave two different outputs")
    _require(_close(made[1:2], alone), "an example's output depends on the others in its batch")
    _check_causal(proxy, audio, at, made, lookahead)
    _check_channels(proxy, audio, at, made)
    _check_gradient(proxy, audio, at)
    if exact_gain is not None:
        _check_gain(proxy, audio, at, exact_gain)
    after = _snapshot(proxy)
    moved = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    _require(not moved, f"use changed the proxy: {', '.join(moved[:3])}")


def _snapshot(proxy: nn.Module) -> dict[str, Tensor]:
    return {name: copy.deepcopy(tensor.detach()) for name, tensor in proxy.state_dict().items()}


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def _close(first: Tensor, second: Tensor) -> bool:
    return float((first - second).abs().max()) <= TOLERANCE * max(1.0, float(second.abs().max()))


def _check_causal(proxy: nn.Module, audio: Tensor, at: Tensor, made: Tensor, lookahead: int) -> None:
    """What comes later must not change what was before."""
    cut = SAMPLES // 2
    other = audio.clone()
    other[..., cut:] = 0.0
    with torch.no_grad():
        changed = proxy(other, at)
    upto = cut - lookahead
    _require(_close(changed[..., :upto], made[..., :upto]), f"the output knows more than {lookahead} future samples")


def _check_channels(proxy: nn.Module, audio: Tensor, at: Tensor, made: Tensor) -> None:
    """Channels are processed each by itself."""
    stereo = torch.cat([audio, audio.flip(0)], dim=1)
    with torch.no_grad():
        both = proxy(stereo, at)
    _require(both.shape == stereo.shape, f"stereo {list(stereo.shape)} came back as {list(both.shape)}")
    _require(_close(both[:, :1], made), "a channel's output depends on the other channel")


def _check_gradient(proxy: nn.Module, audio: Tensor, at: Tensor) -> None:
    """A gradient reaches audio and positions, finite, and one example's does not reach another's."""
    sound, positions = audio.clone().requires_grad_(True), at.clone().requires_grad_(True)
    proxy(sound, positions)[0].square().sum().backward()
    for name, leaf in (("audio", sound), ("positions", positions)):
        _require(leaf.grad is not None, f"no gradient reaches the {name}")
        assert leaf.grad is not None
        _require(bool(torch.isfinite(leaf.grad).all()), f"the gradient of the {name} is not finite")
        _require(not bool(leaf.grad[1:].any()), f"an example's output has a gradient for another example's {name}")


def _check_gain(proxy: nn.Module, audio: Tensor, at: Tensor, gain: Any) -> None:
    """Moving the output gain scales the output, and does nothing else."""
    low, high = at.clone(), at.clone()
    low[:, gain.index], high[:, gain.index] = 0.0, 1.0
    with torch.no_grad():
        quiet, loud = proxy(audio, low), proxy(audio, high)
    factor = 10 ** ((gain.high_db - gain.low_db) / 20)
    _require(_close(quiet * factor, loud), "the output gain is not exact")
