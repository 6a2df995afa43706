"""The feature proxy as a guide: with a proxy that knows two shelves, against differences of pedalboard's own."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import numpy as np
import pedalboard
import pytest
import torch
from torch import Tensor, nn

from blackbox_afx.features.filters import linear_part
from blackbox_afx.features.reading import Reading, read
from blackbox_afx.features.statistics import BANDS, band_centres
from blackbox_afx.losses import StyleLoss
from blackbox_afx.proxies.feature_guide import FeatureGuide
from blackbox_afx.proxies.feature_proxy import filtered
from tests.features.test_band_gradient import speechlike

RATE = 24000
RANGE_DB = 24.0


def board(positions: np.ndarray) -> pedalboard.Pedalboard:
    low, high = (RANGE_DB * (position - 0.5) for position in positions)
    return pedalboard.Pedalboard(
        [pedalboard.LowShelfFilter(300.0, low, 0.7), pedalboard.HighShelfFilter(2500.0, high, 0.7)]
    )


def response_db(positions: np.ndarray) -> np.ndarray:
    """Measure what becomes of sines at the bands' centres."""
    time = np.arange(24000) / RATE
    found = []
    for hertz in band_centres():
        sine = 0.1 * np.sin(2 * np.pi * hertz * time).astype(np.float32)
        found.append(20 * np.log10(np.std(board(positions)(sine, RATE)[12000:]) / np.std(sine[12000:])))
    return np.asarray(found)


class Shelves(nn.Module):
    """A feature proxy of the two shelves, exact to first order about one setting."""

    def __init__(self, positions: np.ndarray) -> None:
        super().__init__()
        self.last = nn.Linear(1, 1)
        rows = [response_db(positions + 0.01 * way) - response_db(positions - 0.01 * way) for way in np.eye(2)]
        self.slope = torch.tensor(np.stack(rows) / 0.02, dtype=torch.float32)

    def forward(self, statistics: Tensor, positions: Tensor) -> Tensor:
        return filtered(statistics, positions @ self.slope)


@pytest.mark.parametrize("padding", [0, 16000])
def test_it_gives_the_derivative_of_a_filter(padding):
    positions = np.array([0.6, 0.35])
    dry = np.pad(speechlike(0), [(0, 0), (0, padding)])
    target = torch.from_numpy(board(np.array([0.3, 0.7]))(dry, RATE))[None]
    loss = StyleLoss()

    def at(where: np.ndarray) -> float:
        return loss(torch.from_numpy(board(where)(dry, RATE))[None], target).item()

    step = 0.01
    numeric = np.array([at(positions + step * way) - at(positions - step * way) for way in np.eye(2)]) / (2 * step)
    wet = board(positions)(dry, RATE)
    heard = torch.from_numpy(wet)[None].requires_grad_(True)
    loss(heard, target).backward()
    assert heard.grad is not None
    guide = FeatureGuide(Shelves(positions), RATE)  # pyrefly: ignore[bad-argument-type]
    found = guide([dry], positions[None], heard.grad.numpy(), [wet])[0]
    np.testing.assert_allclose(found, numeric, rtol=0.1, atol=0.02 * np.abs(numeric).max())


def test_silence_gives_no_derivative():
    guide = FeatureGuide(Shelves(np.array([0.5, 0.5])), RATE)  # pyrefly: ignore[bad-argument-type]
    silence = np.zeros((1, 20000), np.float32)
    assert not guide([silence], np.array([[0.5, 0.5]]), speechlike(1, 20000)[None], [silence]).any()


class OneRow:
    """Knows impulses of the second row only: a flat response, that the first control raises by 1 neper a unit."""

    def read(self, audio, positions, cotangents, output) -> list[Reading]:
        here = np.zeros((2, 1024))
        here[:, 256] = 1.0
        linear = linear_part(here, here * np.array([[1.0], [0.0]]), output[1], cotangents[1])
        first, second = (read(*row, RATE) for row in zip(audio, output, cotangents, strict=True))
        return [first, msgspec.structs.replace(second, linear=linear)]


class KnowsNothing(nn.Module):
    """A feature proxy with a response of 2 dB a unit for both controls, and nothing learned beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(1, 1)
        self.response = SimpleNamespace(
            knots_db=lambda positions: 2.0 * positions.sum(1, keepdim=True).expand(-1, BANDS)
        )

    def forward(self, statistics: Tensor, positions: Tensor) -> Tensor:
        return filtered(statistics, self.response.knots_db(positions))


def test_where_no_impulse_came_back_the_proxy_speaks_for_filters_too():
    sound, cotangent = speechlike(0), speechlike(1)
    product = float((sound.astype(np.float64) * cotangent).sum())
    guide = FeatureGuide(KnowsNothing(), RATE, OneRow())  # pyrefly: ignore[bad-argument-type]
    found = guide([sound] * 2, np.full((2, 2), 0.5), np.stack([cotangent] * 2), [sound] * 2)
    # 2 dB of the proxy's own; or the neper that was measured.
    np.testing.assert_allclose(found[0], 2 * np.log(10) / 20 * product, rtol=1e-3)
    np.testing.assert_allclose(found[1], [product, 0.0], rtol=1e-3, atol=1e-6)
