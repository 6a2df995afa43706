"""What reports measure, as a loss: the same values as the metrics, and gradients that finite differences confirm."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_afx.losses import ReportedLoss, StyleLoss
from blackbox_afx.metrics import score_pair

RATE = 24000
NAMES = {"mel": "msd", "centroid": "sce_hz", "rms": "rms_db", "loudness": "lufs_db"}


def noise(seed: int, samples: int = 65536, level: float = 0.1) -> np.ndarray:
    """Give coloured noise that swells and fades, so that loudness has something to gate."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum /= 1.0 + np.arange(len(spectrum)) / (200.0 * (1 + seed))
    sound = np.fft.irfft(spectrum, samples)
    swell = 0.02 + np.sin(np.pi * np.arange(samples) / 20000.0) ** 4
    return (level * swell * sound / np.abs(sound).max()).astype(np.float32)


@pytest.mark.parametrize("samples", [65536, 40000])
def test_each_part_is_what_the_metric_says(samples):
    first, second = noise(0, samples), noise(3, samples, level=0.4)
    parts = ReportedLoss(RATE).parts(torch.tensor(first)[None, None], torch.tensor(second)[None, None])
    told = score_pair(second, first, RATE, tuple(NAMES.values()))
    for name, metric in NAMES.items():
        # The filter of the loudness here is applied to the whole spectrum, there it is recursive.
        assert parts[name].item() == pytest.approx(told[metric], rel=0.01 if name == "centroid" else 1e-3, abs=0.02), (
            name
        )


def test_gradient_against_a_finite_difference():
    loss = ReportedLoss(RATE, weight=0.5)
    x = torch.tensor(noise(1))[None, None].double()
    y, way = torch.tensor(noise(4, level=0.3))[None, None].double(), torch.tensor(noise(2))[None, None].double()
    at = x.clone().requires_grad_()
    loss(at, y).backward()
    step = 1e-6
    numeric = (loss(x + step * way, y) - loss(x - step * way, y)).item() / (2 * step)
    assert (at.grad * way).sum().item() == pytest.approx(numeric, rel=1e-3)


def test_channels_and_examples_count_alike():
    rows = torch.tensor(np.stack([noise(k) for k in range(4)]))
    aims = rows.roll(1, 0) * 0.5
    loss = ReportedLoss(RATE)
    stereo = loss.parts(rows.view(2, 2, -1), aims.view(2, 2, -1))
    mono = loss.parts(rows[:, None], aims[:, None])
    for name, part in stereo.items():
        torch.testing.assert_close(part, mono[name].view(2, 2).mean(1))


def test_silence_has_a_finite_loss_and_gradient():
    silence = torch.zeros(2, 1, 65536, requires_grad=True)
    value = ReportedLoss(RATE)(silence, torch.tensor(np.stack([noise(0), np.zeros(65536, np.float32)]))[:, None])
    value.backward()
    assert torch.isfinite(value)
    assert silence.grad is not None
    assert torch.isfinite(silence.grad).all()


def test_without_weight_it_is_the_papers_loss():
    x, y = (torch.tensor(noise(k))[None, None] for k in (0, 1))
    assert ReportedLoss(RATE, weight=0.0)(x, y).item() == pytest.approx(StyleLoss()(x, y).item())
    assert ReportedLoss(RATE, weight=0.5)(x, y) > StyleLoss()(x, y)


def test_the_zeros_that_a_short_clip_is_padded_with_have_no_centroid():
    first, second = (np.pad(noise(k, 30000), (0, 35536)) for k in (0, 3))
    part = ReportedLoss(RATE).parts(torch.tensor(first)[None, None], torch.tensor(second)[None, None])["centroid"]
    told = score_pair(second, first, RATE, ("sce_hz",))["sce_hz"]
    assert part.item() == pytest.approx(told, rel=0.03)
