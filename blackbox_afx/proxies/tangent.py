"""A proxy of a chain's derivative: how each control, turned a little, changes the sound that is there.

For every control it predicts complex gains by band on four basis functions (`blackbox_afx.features.tiles`), and on a
fifth of the control's own: the change that an impulse foretells, where all that is linear comes out exactly
(`blackbox_afx.features.filters`). Multiplied with the loss gradient they give dL/dp for all controls at once, and for
any loss: the proxy is trained on sounds and knows of none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from blackbox_afx.features.filters import HEARD, correlate, grid, heard, in_bands, relative_change
from blackbox_afx.features.tiles import BANDS, BASIS, FEATURES, contract, tiles
from blackbox_afx.networks.residual import ResidualBlock, Standardise


class TangentProxy(nn.Module):
    """Map features of a render, positions, and what impulses foretell to gains [batch, controls, bands, basis + 1].

    Untrained it takes what impulses foretell as it is: the last gain is 1, all others are 0.

    Parameters
    ----------
    controls : int
    width, blocks : int
        Of the residual network.
    harmonics : int
        Cosines of each position that go in beside it.
    """

    def __init__(self, controls: int, width: int = 384, blocks: int = 3, harmonics: int = 6) -> None:
        super().__init__()
        self.controls, self.harmonics = controls, harmonics
        self.source = Standardise(FEATURES)
        self.hear = nn.Linear(FEATURES, width)
        self.turn = nn.Sequential(nn.Linear(controls * (1 + harmonics), width), nn.GELU(), nn.Linear(width, width))
        self.blocks = nn.Sequential(*[ResidualBlock(width) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, controls * BANDS * BASIS * 2)
        # How what comes later in the chain answers to a filter that moves, whichever control moved it.
        self.listen = nn.Linear(width, width)
        self.foretold = nn.Linear(HEARD, width, bias=False)
        self.whose = nn.Embedding(controls, width)
        self.answer = nn.Linear(width, BANDS * (BASIS + 1) * 2)
        # Added to 1, so that weight decay pulls towards what was measured.
        self.trust = nn.Parameter(torch.zeros(controls))
        self.size: Tensor
        self.register_buffer("size", torch.ones(controls))
        for layer in (self.last, self.answer):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, positions: Tensor, foretold: Tensor, control: Tensor) -> Tensor:
        """Predict gains for each unit of position.

        Parameters
        ----------
        features : float32 [batch, FEATURES]
        positions : float32 [batch, P]
        foretold : float32 [batch, T, HEARD]
            What impulses foretell of these controls.
        control : int64 [batch, T]
            Which they are.

        Returns
        -------
        complex64 [batch, T, BANDS, BASIS + 1]
        """
        waves = [torch.cos(math.pi * (k + 1) * positions) for k in range(self.harmonics)]
        turned = torch.cat([2 * positions - 1, *waves], dim=1)
        hidden = self.norm(self.blocks(self.hear(self.source(features)) + self.turn(turned)))
        every = self.last(hidden).view(len(hidden), self.controls, -1)
        gains = torch.gather(every, 1, control.expand(len(hidden), -1)[:, :, None].expand(-1, -1, every.shape[2]))
        gains = nn.functional.pad(gains.float().view(*control.shape, BANDS, BASIS, 2), (0, 0, 0, 1))
        mixed = nn.functional.gelu(self.listen(hidden)[:, None] + self.foretold(foretold) + self.whose(control))
        gains = gains + self.answer(mixed).float().view(*control.shape, BANDS, BASIS + 1, 2)
        size = self.size[control][:, :, None, None].expand(-1, -1, BANDS, BASIS)
        scaled = torch.view_as_complex(gains) * torch.cat([size, torch.ones_like(size[..., :1])], dim=3)
        own = (1.0 + self.trust[control])[:, :, None, None].expand(-1, -1, BANDS, 1)
        return scaled + nn.functional.pad(own, (BASIS, 0))


class Parts(Protocol):
    """What a tangent guide asks of the chain; `blackbox_afx.train.linear_parts.LinearParts` is one."""

    def measure(self, positions: np.ndarray) -> list[Any]:
        """Measure impulses at positions [batch, P].

        For each row what has ``here`` float32 [P, taps], the response of each control's plugin, and ``change`` float32
        [P, taps], or None where it failed.
        """
        ...

    def respond(
        self,
        audio: Sequence[np.ndarray],
        positions: np.ndarray,
        points: np.ndarray,
        cotangents: np.ndarray,
        impulses: Sequence[Any],
    ) -> np.ndarray:
        """Answer as `blackbox_afx.grads.bridge.BlackBox.respond` does, for fewer calls."""
        ...

    def calls(self, positions: np.ndarray, points: np.ndarray) -> float:
        """Count what probes [M, P] of one example cost, in renders of the whole chain."""
        ...


class TangentGuide:
    """Give the derivative that a tangent proxy expects, as the guide of `blackbox_afx.grads.bridge.BlackBoxEffect`.

    Parameters
    ----------
    proxy : TangentProxy
    sample_rate : int
        Hertz; the one it was trained at.
    parts : Parts
        Measures the chain's linear parts.
    """

    def __init__(self, proxy: TangentProxy, sample_rate: int, parts: Parts) -> None:
        self.proxy, self.sample_rate, self.parts = proxy.eval(), sample_rate, parts
        self._latest: tuple[Sequence[np.ndarray], np.ndarray, list[Any]] | None = None

    def __call__(
        self,
        audio: Sequence[np.ndarray],
        positions: np.ndarray,
        cotangents: np.ndarray,
        output: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Give dL/dp float64 [batch, P], NaN where no impulse came back; arguments as `BlackBoxEffect.estimate`."""
        rate = self.sample_rate
        impulses = self.parts.measure(positions)
        self._latest = audio, positions, impulses
        guides = np.full(positions.shape, np.nan)
        control = torch.arange(positions.shape[1])[None]
        for k in np.flatnonzero([found is not None for found in impulses]).tolist():
            relative = relative_change(impulses[k].here, impulses[k].change)
            found = tiles(audio[k], output[k], rate)
            products = contract(found, cotangents[k], rate)
            own = in_bands(correlate(output[k], cotangents[k], grid(impulses[k].change.shape[1])) * relative, rate)
            with torch.no_grad():
                gains = self.proxy(
                    torch.from_numpy(found.features)[None],
                    torch.as_tensor(positions[k], dtype=torch.float32)[None],
                    torch.from_numpy(heard(relative, rate))[None],
                    control,
                )[0].numpy()
            known = np.einsum("fj,pfj->p", products, gains[..., :BASIS]) + (own * gains[..., BASIS]).sum(1)
            guides[k] = np.real(known)
        return guides

    def respond(self, rows: np.ndarray, points: np.ndarray, cotangents: np.ndarray) -> np.ndarray:
        """Measure ``<dL/dy, y(point)>`` for some rows of the batch that the guide was last asked about.

        Parameters
        ----------
        rows : int64 [rows]
        points : float64 [rows, M, P]
        cotangents : float32 [rows, channels, samples]

        Returns
        -------
        float64 [rows, M]
            NaN where a render failed.
        """
        assert self._latest is not None
        audio, positions, impulses = self._latest
        chosen = [impulses[k] for k in rows]
        return self.parts.respond([audio[k] for k in rows], positions[rows], points, cotangents, chosen)


def fit_tangent(proxy: TangentProxy, made: dict[str, Tensor]) -> None:
    """Measure the proxy's standardisation, and how strongly each control changes the sound."""
    proxy.source.fit(made["features"].mean(0), made["features"].std(0))
    for control in range(proxy.controls):
        rows = made["energy"][(made["control"] == control) & made["valid"]]
        # The mean over examples of an amplitude: a few extreme ones must not set the scale.
        proxy.size[control] = rows.sqrt().mean() if len(rows) else 0.0


def tangent_loss(proxy: TangentProxy, made: dict[str, Tensor], rows: Tensor) -> Tensor:
    """Measure how far predicted changes are from rendered ones, as a share of the change that controls make.

    Parameters
    ----------
    proxy : TangentProxy
    made : dict of Tensor
        As `blackbox_afx.train.tangents.make_tangents` gives it.
    rows : int64 [batch]
        Examples to take.

    Returns
    -------
    Tensor []
        0 is perfect, 1 what predicting no change gives.
    """
    control, valid = made["control"][rows], made["valid"][rows]
    chosen = proxy(made["features"][rows], made["positions"][rows], made["heard"][rows], control)
    basis, own, cross = chosen[..., :BASIS], chosen[..., BASIS], made["cross"][rows]
    ahead = torch.einsum("bfij,btfj->btfi", made["gram"][rows], basis)
    missed = (basis.conj() * ahead).sum((2, 3)).real + (made["own"][rows] * own.abs().square()).sum(2)
    missed = missed + 2 * (basis.conj() * cross * own[..., None]).sum((2, 3)).real
    missed = missed - 2 * (chosen.conj() * made["change"][rows]).sum((2, 3)).real + made["energy"][rows]
    energy = made["energy"][rows]
    # By the amplitude of the change, not its energy: a few strong ones must not be all that is learned. Those far
    # below what the control usually does count by their energy, or a control at rest would outweigh all others.
    weight = valid / (energy + proxy.size.square()[control]).clamp(min=1e-12).sqrt()
    # What was foretold a hundred times too great must not decide how far the rest is trusted: beyond the change's own
    # energy the miss counts by its amplitude.
    share = missed / energy.clamp(min=1e-12)
    missed = energy * torch.where(share > 1.0, 2.0 * share.clamp(min=1.0).sqrt() - 1.0, share)
    return (weight * missed).sum() / (weight * energy).sum().clamp(min=1e-9)


def train_tangent(
    proxy: TangentProxy,
    made: dict[str, np.ndarray],
    *,
    steps: int,
    batch: int = 128,
    rate: float = 1.5e-3,
    seed: int = 0,
    tell: Callable[[int, float], None] = lambda step, loss: None,
) -> TangentProxy:
    """Train a tangent proxy.

    Parameters
    ----------
    proxy : TangentProxy
    made : dict of arrays
        As `make_tangents` gives it, joined.
    steps, batch : int
    rate : float
        Peak learning rate.
    seed : int
    tell : callable
        Told (step, loss).

    Returns
    -------
    TangentProxy
        The running average of the weights, in evaluation mode.
    """
    tensors = {name: torch.from_numpy(rows) for name, rows in made.items()}
    fit_tangent(proxy, tensors)
    generator = torch.Generator().manual_seed(seed)
    count = len(tensors["features"])
    decay = max(0.0, min(0.995, 1.0 - 20.0 / steps))
    averaged = torch.optim.swa_utils.AveragedModel(
        proxy, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True
    )
    optimizer = torch.optim.AdamW(proxy.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    proxy.train()
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < batch:
            order = torch.cat([order, torch.randperm(count, generator=generator)])
        rows, order = order[:batch], order[batch:]
        loss = tangent_loss(proxy, tensors, rows)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(proxy.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(proxy)
        tell(step, loss.item())
    proxy.load_state_dict(averaged.module.state_dict())
    return proxy.eval()
