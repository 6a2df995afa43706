"""The training loss, against auraloss and against finite differences."""

from __future__ import annotations

import auraloss
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_afx.losses import FFT_SIZES, StyleLoss, multi_resolution_stft


def theirs(sizes: tuple[int, ...] = FFT_SIZES) -> torch.nn.Module:
    hops = [size // 2 for size in sizes]
    return auraloss.freq.MultiResolutionSTFTLoss(list(sizes), hops, list(sizes), w_sc=0.0, w_log_mag=1.0, w_lin_mag=1.0)


def pair(batch: int, channels: int, samples: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, channels, samples, generator=generator) * 0.1
    y = torch.randn(batch, channels, samples, generator=generator) * 0.2
    return x, y


@pytest.mark.parametrize("shape", [(2, 1, 65536), (1, 2, 40000)])
def test_value_and_gradient_are_auraloss(shape):
    x, y = pair(*shape)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours, other = multi_resolution_stft(a, y), theirs()(b, y)
    assert ours.item() == pytest.approx(other.item(), rel=1e-5)
    ours.backward()
    other.backward()
    assert (a.grad - b.grad).norm() / b.grad.norm() < 1e-5


def test_near_silence_is_floored_as_auraloss_does():
    x, y = pair(1, 1, 65536)
    x[..., 20000:] = 0
    y[..., :30000] *= 1e-6
    assert multi_resolution_stft(x, y).item() == pytest.approx(theirs()(x, y).item(), rel=1e-5)
    x.requires_grad_()
    multi_resolution_stft(x, y).backward()
    assert torch.isfinite(x.grad).all()


def test_gradient_to_the_target_flows_too():
    x, y = pair(1, 1, 4096)
    a, b = y.clone().requires_grad_(), y.clone().requires_grad_()
    sizes = (32, 512)
    multi_resolution_stft(x, a, fft_sizes=sizes).backward()
    multi_resolution_stft(b, x, fft_sizes=sizes).backward()
    assert (a.grad - b.grad).norm() / b.grad.norm() < 1e-5


def test_gradient_against_finite_differences():
    x, y = pair(1, 1, 96)
    x = x.double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: multi_resolution_stft(x, y.double(), fft_sizes=(32, 64)), (x,), eps=1e-7, atol=1e-5
    )


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(17, 9000), seed=st.integers(0, 100))
def test_short_signals_leave_large_windows_out(samples, seed):
    x, y = pair(1, 1, samples, seed)
    fitting = tuple(size for size in FFT_SIZES if size // 2 < samples)
    assert multi_resolution_stft(x, y).item() == pytest.approx(theirs(fitting)(x, y).item(), rel=1e-4)


def test_each_example_has_its_own_value():
    x, y = pair(3, 2, 32768)
    loss = StyleLoss()
    each = loss.per_example(x, y)
    assert each.shape == (3,)
    for i in range(3):
        assert each[i].item() == pytest.approx(loss(x[i : i + 1], y[i : i + 1]).item(), rel=1e-5)
    assert loss(x, y).item() == pytest.approx(each.mean().item(), rel=1e-6)
    assert loss(x, x).item() == 0.0


def test_style_loss_is_the_papers_sum():
    x, y = pair(2, 1, 65536)
    expected = theirs()(x, y) + 100 * torch.nn.functional.l1_loss(x, y)
    assert StyleLoss()(x, y).item() == pytest.approx(expected.item(), rel=1e-5)


def test_wrong_shapes_are_refused():
    x, y = pair(1, 1, 1000)
    with pytest.raises(ValueError, match="expected the same"):
        multi_resolution_stft(x, y[..., :-1])
    with pytest.raises(ValueError, match="expected the same"):
        multi_resolution_stft(x[0], y[0])
    with pytest.raises(ValueError, match="16 samples"):
        multi_resolution_stft(x[..., :16], y[..., :16])
    with pytest.raises(ValueError, match="'mean' or 'none'"):
        multi_resolution_stft(x, y, reduction="sum")
