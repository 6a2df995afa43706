"""The feature proxy: starts as something harmless and learns what a gain and a choice do."""

from __future__ import annotations

import numpy as np
import torch

from blackbox_afx.features.statistics import DIMENSION
from blackbox_afx.proxies.feature_proxy import FeatureProxy


def data(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Statistics, positions, and what 24 dB of gain at the first position make of them."""
    rng = np.random.default_rng(0)
    dry = torch.from_numpy(rng.normal(-40, 10, (count, DIMENSION))).float()
    positions = torch.from_numpy(rng.random((count, 2))).float()
    return dry, positions, dry + 48 * (positions[:, :1] - 0.5)


def test_it_learns_a_gain():
    torch.manual_seed(0)
    dry, positions, wet = data(512)
    proxy = FeatureProxy(2, width=64)
    proxy.source.fit(dry.mean(0), dry.std(0))
    proxy.change.fit((wet - dry).mean(0), (wet - dry).std(0))
    optimizer = torch.optim.AdamW(proxy.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        proxy.error(dry, positions, wet).backward()
        optimizer.step()
    with torch.no_grad():
        assert (proxy(dry, positions) - wet).abs().mean() < 1.5


def test_positions_get_gradients_even_at_the_ends():
    proxy = FeatureProxy(3)
    positions = torch.tensor([[0.0, 1.0, 0.5]], requires_grad=True)
    proxy(torch.zeros(1, DIMENSION), positions).square().sum().backward()
    assert torch.isfinite(positions.grad).all()
    assert (positions.grad != 0).all()


def test_a_number_that_never_moves_is_not_divided_by_zero():
    proxy = FeatureProxy(1)
    proxy.source.fit(torch.zeros(DIMENSION), torch.zeros(DIMENSION))
    proxy.change.fit(torch.zeros(DIMENSION), torch.zeros(DIMENSION))
    assert torch.isfinite(proxy(torch.full((2, DIMENSION), 1e6), torch.rand(2, 1))).all()
