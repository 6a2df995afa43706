"""The warm start: learn from self-made pairs whose controls are known, hearing the outcome through a feature proxy.

No derivative of the plugin is needed here. First the proxy learns what the chain does to statistics; then the
controller learns to bring the input's statistics to the target's through that proxy, with a regression on the known
controls beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import torch
from torch import Tensor

from blackbox_afx.errors import FarmError
from blackbox_afx.losses.sound import SoundDistance
from blackbox_afx.networks.controller import ResidualController
from blackbox_afx.networks.residual import fast_matrices
from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.loop import step_seed

FIT_EXAMPLES = 20000


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """Hold all training pairs as tensors; see `make_pairs` for the axes.

    Parameters
    ----------
    dry : float16 [clips, 2, S]
    wet : float16 [clips, K, 2, S]
    values : float32 [clips, K, P]
    other : float16 [clips, 2, S]
    index : int64 [examples, 3]
        (clip, setting, half) of every valid example: that half is the input, the other one the reference.
    """

    dry: Tensor
    wet: Tensor
    values: Tensor
    other: Tensor
    index: Tensor

    @classmethod
    def join(cls, shards: list[dict[str, np.ndarray]]) -> Examples:
        """Put shards together.

        Raises
        ------
        FarmError
            When no example is valid.
        """
        joined = {name: torch.from_numpy(np.concatenate([shard[name] for shard in shards])) for name in shards[0]}
        valid = joined.pop("valid").nonzero()
        if len(valid) == 0:
            raise FarmError("no training pair could be rendered; probe the plugin again")
        halves = torch.arange(2).repeat(len(valid))[:, None]
        return cls(index=torch.cat([valid.repeat_interleave(2, 0), halves], 1), **joined)

    def batch(self, seed: int, stage: str, step: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Choose examples for a step: shuffled passes over all, decided by seed and step alone."""
        size = min(size, len(self.index))
        per_pass = len(self.index) // size
        order = np.random.default_rng(step_seed(seed, stage, -1 - step // per_pass)).permutation(len(self.index))
        at = step % per_pass * size
        return self.index[torch.from_numpy(order[at : at + size])].unbind(1)

    def sample(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Choose examples to measure means and deviations on."""
        chosen = np.random.default_rng(seed).permutation(len(self.index))[:FIT_EXAMPLES]
        return self.index[torch.from_numpy(chosen)].unbind(1)


def fit_proxy(proxy: FeatureProxy, examples: Examples, seed: int) -> None:
    """Measure the proxy's standardisation."""
    clip, setting, half = examples.sample(seed)
    dry, wet = examples.dry[clip, half].float(), examples.wet[clip, setting, half].float()
    proxy.source.fit(dry.mean(0), dry.std(0))
    proxy.change.fit((wet - dry).mean(0), (wet - dry).std(0))


def proxy_loss(proxy: FeatureProxy, examples: Examples, seed: int, batch: int) -> Callable[[int], Tensor]:
    """Make the loss of the proxy's steps."""

    def loss(step: int) -> Tensor:
        clip, setting, half = examples.batch(seed, "proxy", step, batch)
        with fast_matrices():
            return proxy.error(
                examples.dry[clip, half].float(),
                examples.values[clip, setting],
                examples.wet[clip, setting, half].float(),
            )

    return loss


def fit_controller(network: StyleNetwork, examples: Examples, seed: int) -> None:
    """Measure the controller's standardisation."""
    if not isinstance(network.controller, ResidualController):
        return
    clip, setting, half = examples.sample(seed)
    source, reference = examples.dry[clip, half].float(), examples.wet[clip, setting, 1 - half].float()
    network.controller.source.fit(source.mean(0), source.std(0))
    network.controller.difference.fit((reference - source).mean(0), (reference - source).std(0))


def controller_loss(
    network: StyleNetwork,
    proxy: FeatureProxy,
    examples: Examples,
    *,
    seed: int,
    batch: int,
    foreign: float,
    regression: float,
    continuous: np.ndarray,
) -> Callable[[int], Tensor]:
    """Make the loss of the controller's warm-start steps.

    Parameters
    ----------
    network : StyleNetwork
    proxy : FeatureProxy
        Trained; it is not changed.
    examples : Examples
    seed, batch : int
    foreign : float, 0 to 1
        Share of the batch whose reference and target went through other effects, so that no setting is known.
    regression : float
        Weight of the squared error of known positions.
    continuous : bool [controls]
        Toggles and choices, which no proxy turns by halves, are regressed three times as strongly.
    """
    proxy.requires_grad_(False).eval()
    distance = SoundDistance()
    weight = torch.as_tensor(np.where(continuous, 1.0, 3.0), dtype=torch.float32)

    def loss(step: int) -> Tensor:
        clip, setting, half = examples.batch(seed, "controller", step, batch)
        known = len(clip) - int(len(clip) * foreign)
        source = examples.dry[clip, half].float()
        reference = examples.wet[clip, setting, 1 - half].float()
        target = examples.wet[clip, setting, half].float()
        if known < len(clip):
            reference[known:] = examples.other[clip[known:], 1 - half[known:]].float()
            target[known:] = examples.other[clip[known:], half[known:]].float()
        with fast_matrices():
            positions = network(source, reference)
            heard = proxy(source, positions)
        missed = (weight * (positions[:known] - examples.values[clip[:known], setting[:known]]) ** 2).mean()
        return distance(heard, target).mean() + 6 * regression * missed

    return loss
