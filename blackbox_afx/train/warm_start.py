"""The warm start: learn from self-made pairs whose controls are known, hearing the outcome through a feature proxy.

No derivative of the plugin is needed here. First the proxy learns what the chain does to statistics; then the
controller learns to bring the input's statistics to the target's through that proxy, with a regression on the known
controls beside it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import msgspec
import numpy as np
import torch
from torch import Tensor

from blackbox_afx.errors import FarmError
from blackbox_afx.features.statistics import DIMENSION
from blackbox_afx.losses.sound import SoundDistance
from blackbox_afx.networks.controller import ResidualController
from blackbox_afx.networks.residual import fast_matrices
from blackbox_afx.networks.search import SearchController
from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.proxies.feature_proxy import HEARD_SHARE, FeatureProxy, filtered
from blackbox_afx.train.loop import step_seed

FIT_EXAMPLES = 20000
OWN = 256
"""Settings of the controller's own that are looked at."""
EMBEDDED = 16
"""Recordings that an encoder embeds at a time."""


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """Hold all training pairs as tensors; see `make_pairs` for the axes.

    Parameters
    ----------
    dry : float16 [clips, 2, S]
    wet : float16 [clips, K, 2, S]
    values : float32 [clips, K, P]
    rough, other : float16 [clips, F, 2, S]
    index : int64 [examples, 3]
        (clip, setting, half) of every valid example: that half is the input, the other one the reference.
    dry_heard, wet_heard, rough_heard, other_heard : float16 [..., what it hears], optional
        For encoders that hear audio, or more than statistics; the statistics are then the first S of these.
    """

    dry: Tensor
    wet: Tensor
    values: Tensor
    rough: Tensor
    other: Tensor
    index: Tensor
    dry_heard: Tensor | None = None
    wet_heard: Tensor | None = None
    rough_heard: Tensor | None = None
    other_heard: Tensor | None = None

    @classmethod
    def join(cls, shards: Iterable[dict[str, np.ndarray]], clips: int) -> Examples:
        """Put shards together, one at a time, so that memory holds all of them once.

        Parameters
        ----------
        shards : iterable of dict
            As `make_pairs` gives them.
        clips : int
            Clips in all of them, or more.

        Raises
        ------
        FarmError
            When no example is valid.
        """
        joined: dict[str, np.ndarray] = {}
        at = 0
        for shard in shards:
            count = len(shard["valid"])
            for name, rows in shard.items():
                if name not in joined:
                    # Zeros that nobody wrote to take no memory.
                    joined[name] = np.zeros((clips, *rows.shape[1:]), rows.dtype)
                joined[name][at : at + count] = rows
            at += count
        for name in ("dry", "wet", "rough", "other"):
            # Richer features begin with the statistics: one memory for both.
            if name not in joined and f"{name}_heard" in joined:
                joined[name] = joined[f"{name}_heard"][..., :DIMENSION]
        valid = np.argwhere(joined["valid"][:at]) if joined else np.zeros((0, 2), np.int64)
        if len(valid) == 0:
            raise FarmError("no training pair could be rendered; probe the plugin again")
        halves = np.tile([0, 1], len(valid))[:, None]
        index = torch.from_numpy(np.concatenate([np.repeat(valid, 2, axis=0), halves], axis=1).astype(np.int64))
        return cls(index=index, **{k: torch.from_numpy(v[:at]) for k, v in joined.items() if k != "valid"})

    def to(self, device: torch.device) -> Examples:
        """Move all tensors to a device."""
        tensors = {name: getattr(self, name) for name in self.__struct_fields__}
        moved = {name: tensor.to(device) for name, tensor in tensors.items() if tensor is not None}
        return msgspec.structs.replace(self, **moved)

    def heard(self, name: str) -> Tensor:
        """Give what the encoder hears of `dry`, `wet`, `rough` or `other`."""
        kept: Tensor | None = getattr(self, f"{name}_heard")
        return getattr(self, name) if kept is None else kept

    def batch(self, seed: int, stage: str, step: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Choose examples for a step: shuffled passes over all, decided by seed and step alone.

        Passes follow one another without a gap: a batch that begins at the end of one ends in the next, so that each
        pass has every example once.
        """
        count = len(self.index)
        size = min(size, count)
        turn, at = divmod(step * size, count)
        chosen = _order(seed, stage, turn, count)[at : at + size]
        if len(chosen) < size:
            chosen = np.concatenate([chosen, _order(seed, stage, turn + 1, count)[: size - len(chosen)]])
        clip, setting, half = self.index[torch.from_numpy(chosen)].unbind(1)
        return clip, setting, half

    def sample(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Choose examples to measure means and deviations on."""
        chosen = np.random.default_rng(seed).permutation(len(self.index))[:FIT_EXAMPLES]
        clip, setting, half = self.index[torch.from_numpy(chosen)].unbind(1)
        return clip, setting, half


@functools.lru_cache(maxsize=4)
def _order(seed: int, stage: str, turn: int, count: int) -> np.ndarray:
    return np.random.default_rng(step_seed(seed, stage, -1 - turn)).permutation(count)


@torch.no_grad()
def fit_proxy(proxy: FeatureProxy, examples: Examples, seed: int) -> bool:
    """Measure the proxy's standardisation; a response that leads away from what the chain does is forgotten.

    Returns whether the response was kept.

    A gate shuts out the quiet impulse that responses are measured with, and passes what is louder.
    """
    clip, setting, half = examples.sample(seed)
    dry, wet = examples.dry[clip, half].float(), examples.wet[clip, setting, half].float()
    proxy.source.fit(dry.mean(0), dry.std(0))
    left = wet - filtered(dry, proxy.response.knots_db(examples.values[clip, setting]), levels=proxy.levels)
    kept = bool(left.abs().mean() <= (wet - dry).abs().mean())
    if not kept:
        proxy.forget_response()
        left = wet - dry
    proxy.change.fit(left.mean(0), (wet - dry).std(0))
    return kept


def proxy_loss(
    proxy: FeatureProxy, examples: Examples, seed: int, batch: int, heard: float = HEARD_SHARE
) -> Callable[[int], Tensor]:
    """Make the loss of the proxy's steps; `heard` as in `FeatureProxy.error`."""

    def loss(step: int) -> Tensor:
        clip, setting, half = examples.batch(seed, "proxy", step, batch)
        with fast_matrices():
            return proxy.error(
                examples.dry[clip, half].float(),
                examples.values[clip, setting],
                examples.wet[clip, setting, half].float(),
                heard,
            )

    return loss


def fit_controller(
    network: StyleNetwork, examples: Examples, seed: int, proxy: FeatureProxy, continuous: np.ndarray
) -> None:
    """Measure the controller's standardisation; one that searches also takes a copy of the trained proxy."""
    if isinstance(network.controller, SearchController):
        network.controller.take_proxy(proxy, continuous)
    if not isinstance(network.controller, ResidualController) or network.controller.standardised:
        return
    clip, setting, half = examples.sample(seed)
    if network.encoder.hears == "audio":
        # Embedding so many recordings by a large network would take minutes.
        clip, setting, half = clip[:OWN], setting[:OWN], half[:OWN]
    dry, wet = examples.heard("dry"), examples.heard("wet")
    network.controller.fit(
        embedded(network, dry, (clip, half)),
        embedded(network, wet, (clip, setting, 1 - half)),
    )


@torch.no_grad()
def embedded(network: StyleNetwork, heard: Tensor, rows: tuple[Tensor, ...]) -> Tensor:
    """Embed chosen rows of what an encoder hears, [rows, dimension], few at a time: audio takes much memory."""
    device = next(network.parameters()).device
    network.eval()
    parts = zip(*(index.split(EMBEDDED) for index in rows), strict=True)
    return torch.cat([network.encoder(heard[part].float().to(device)) for part in parts])


def own_positions(network: StyleNetwork, examples: Examples, seed: int) -> np.ndarray:
    """Give positions [N, controls] that the network asks for on training examples."""
    clip, setting, half = (rows[:OWN] for rows in examples.sample(seed))
    dry, wet = examples.heard("dry"), examples.heard("wet")
    source = embedded(network, dry, (clip, half))
    reference = embedded(network, wet, (clip, setting, 1 - half))
    with torch.no_grad():
        return network.controller(source, reference).double().cpu().numpy()


def controller_loss(
    network: StyleNetwork,
    proxy: FeatureProxy,
    examples: Examples,
    *,
    seed: int,
    stage: str = "controller",
    batch: int,
    foreign: float,
    mix: float,
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
    seed : int
    stage : str
        Decides, with the seed, the order of the pairs.
    batch : int
    foreign : float, 0 to 1
        Share of the batch whose reference and target went through other effects, so that no setting is known.
    mix : float >= 0
        Of Beta(mix, mix), the share by which such examples are blended with others; 0 for none.
    regression : float
        Weight of the squared error of known positions.
    continuous : bool [controls]
        Toggles and choices, which no proxy turns by halves, are regressed three times as strongly.
    """
    proxy.requires_grad_(False).eval()
    distance = SoundDistance().to(examples.dry.device)
    weight = torch.as_tensor(np.where(continuous, 1.0, 3.0), dtype=torch.float32, device=examples.dry.device)

    heard, styles, hears_audio = examples.heard, examples.other.shape[1], network.encoder.hears == "audio"

    def joined(own: Tensor, foreign_rows: Tensor) -> Tensor:
        # In place: `own` is a copy already.
        own[len(own) - len(foreign_rows) :] = foreign_rows
        return own.float()

    def loss(step: int) -> Tensor:
        clip, setting, half = examples.batch(seed, stage, step, batch)
        known = len(clip) - int(len(clip) * foreign)
        strange, side = clip[known:], half[known:]
        # Any coloured input of a clip may have to become any of its results.
        first, second = torch.randint(styles, (2, len(strange)), device=strange.device)
        told = joined(heard("dry")[clip, half], heard("rough")[strange, first, side])
        target = joined(examples.wet[clip, setting, half], examples.other[strange, second, side])
        reference = joined(heard("wet")[clip, setting, 1 - half], heard("other")[strange, second, 1 - side])
        if hears_audio:
            source = joined(examples.dry[clip, half], examples.rough[strange, first, side])
        else:
            if mix and len(strange) > 1:
                blend((told, target, reference), known, mix)
            # Features begin with the statistics.
            source = told[:, :DIMENSION]
        expected = None
        with fast_matrices():
            if isinstance(network.controller, SearchController):
                positions, expected = network.controller.both(network.encoder(told), network.encoder(reference))
            else:
                positions = network(told, reference)
            positions = positions.float()
            outcome = proxy(source, positions)
        missed = weight * (positions[:known] - examples.values[clip[:known], setting[:known]]) ** 2
        # With no known settings there is nothing to regress; the mean of nothing would be NaN.
        regressed = missed.mean() if known else 0.0
        total = distance(outcome, target).mean() + 6 * regression * regressed
        return total if expected is None else total + distance(expected, target).mean()

    return loss


def blend(batches: Iterable[Tensor], first: int, mix: float) -> None:
    """Blend the rows from `first` on with one another, in place, all batches by the same shares of the same rows.

    The larger share is a row's own.
    """
    batches = list(batches)
    rows = len(batches[0]) - first
    share = torch.distributions.Beta(mix, mix).sample((rows, 1)).to(batches[0])
    share = torch.maximum(share, 1 - share)
    other = torch.randperm(rows, device=share.device)
    for batch in batches:
        batch[first:] = share * batch[first:] + (1 - share) * batch[first:][other]
