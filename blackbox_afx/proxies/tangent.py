"""A proxy of a chain's derivative: how each control, turned a little, changes the sound that is there.

For every control it predicts complex gains by band on four basis functions (`blackbox_afx.features.tiles`). Multiplied
with the loss gradient they give dL/dp for all controls at once, without a single render beyond the forward one, and for
any loss: the proxy is trained on sounds and knows of none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from blackbox_afx.features.tiles import BANDS, BASIS, FEATURES, contract, tiles
from blackbox_afx.networks.residual import ResidualBlock, Standardise


class TangentProxy(nn.Module):
    """Map features of a render and positions to gains [batch, controls, bands, basis].

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
        self.size: Tensor
        self.register_buffer("size", torch.ones(controls))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Tensor, positions: Tensor) -> Tensor:
        """Predict complex gains [batch, controls, bands, basis] for each unit of position."""
        waves = [torch.cos(math.pi * (k + 1) * positions) for k in range(self.harmonics)]
        turned = torch.cat([2 * positions - 1, *waves], dim=1)
        hidden = self.blocks(self.hear(self.source(features)) + self.turn(turned))
        gains = self.last(self.norm(hidden)).float().view(-1, self.controls, BANDS, BASIS, 2)
        return torch.view_as_complex(gains) * self.size[:, None, None]


class TangentGuide:
    """Give the derivative that a tangent proxy expects, as the guide of `blackbox_afx.grads.bridge.BlackBoxEffect`.

    Parameters
    ----------
    proxy : TangentProxy
    sample_rate : int
        Hertz; the one it was trained at.
    """

    def __init__(self, proxy: TangentProxy, sample_rate: int) -> None:
        self.proxy, self.sample_rate = proxy.eval(), sample_rate

    def __call__(
        self,
        audio: Sequence[np.ndarray],
        positions: np.ndarray,
        cotangents: np.ndarray,
        output: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Give dL/dp float64 [batch, controls]; arguments as `BlackBoxEffect.estimate` has them."""
        found = [tiles(dry, wet, self.sample_rate) for dry, wet in zip(audio, output, strict=True)]
        products = np.stack([contract(row, c, self.sample_rate) for row, c in zip(found, cotangents, strict=True)])
        with torch.no_grad():
            features = torch.from_numpy(np.stack([row.features for row in found]))
            gains = self.proxy(features, torch.as_tensor(positions, dtype=torch.float32)).numpy()
        return np.real(np.einsum("bfj,bpfj->bp", products, gains))


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
    gains = proxy(made["features"][rows], made["positions"][rows])
    chosen = torch.gather(gains, 1, control[:, :, None, None].expand(-1, -1, BANDS, BASIS))
    ahead = torch.einsum("bfij,btfj->btfi", made["gram"][rows], chosen)
    missed = (chosen.conj() * (ahead - 2 * made["change"][rows])).sum((2, 3)).real + made["energy"][rows]
    energy = made["energy"][rows]
    # By the amplitude of the change, not its energy: a few strong ones must not be all that is learned. Those far
    # below what the control usually does count by their energy, or a control at rest would outweigh all others.
    weight = valid / (energy + proxy.size.square()[control]).clamp(min=1e-12).sqrt()
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
