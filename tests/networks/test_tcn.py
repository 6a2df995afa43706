"""TCNs: the paper's counts of weights, its memory, and nothing from the future."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.signal
import torch

from blackbox_afx.errors import RecipeError
from blackbox_afx.networks.tcn import PAPER, SMALL, TCN, StagedTCN, dilated


def weights(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_papers_counts():
    """Table 5 of the paper: 174 k for one TCN on 24 controls, 336 k for two on 18 and 6."""
    assert weights(StagedTCN(24, **PAPER)) == 174_209
    assert weights(StagedTCN(24, (18, 6), **PAPER)) == 336_130


def test_the_papers_receptive_field():
    network = StagedTCN(24, **PAPER)
    assert network.receptive_field == 7021
    assert round(7021 / 24000 * 1000, 1) == 292.5
    assert StagedTCN(24, (18, 6), **PAPER).receptive_field == 2 * 7021 - 1


@pytest.mark.parametrize("size", [{"kernel": 3, "dilations": (1, 4)}, {"kernel": 5, "dilations": (2, 1, 3)}])
def test_an_output_sample_depends_on_the_receptive_field_and_no_more(size):
    torch.manual_seed(0)
    network = TCN(2, channels=8, **size).double().eval()
    audio = torch.randn(1, 1, 200, dtype=torch.float64, requires_grad=True)
    network(audio, torch.rand(1, 2, dtype=torch.float64))[0, 0, 150].backward()
    touched = audio.grad[0, 0].nonzero().flatten()
    assert touched.max() == 150
    assert touched.min() == 150 - network.receptive_field + 1


def test_it_is_causal_and_begins_from_silence():
    """Silence before the first sample changes nothing: what is padded is what was there."""
    torch.manual_seed(0)
    network = StagedTCN(3, **SMALL).eval()
    audio, at = torch.randn(2, 1, 3000), torch.rand(2, 3)
    with torch.no_grad():
        whole = network(audio, at)
        assert torch.allclose(network(audio[..., :1500], at), whole[..., :1500], atol=1e-5)


def test_one_block_is_what_scipy_makes_of_its_weights():
    """Convolution, normalisation, scale and shift, PReLU, residual: by hand in float64."""
    torch.manual_seed(1)
    network = TCN(2, channels=4, kernel=3, dilations=(2,)).double().eval()
    block = network.blocks[0]
    block.film.norm.running_mean.uniform_(-1, 1)
    block.film.norm.running_var.uniform_(0.5, 2)
    torch.nn.init.uniform_(block.bend.weight, 0.0, 0.5)
    audio, at = np.random.default_rng(0).standard_normal(50), np.array([0.3, 0.8])
    scale, shift = np.split(block.film.adapt(torch.tensor(at)).detach().numpy(), 2)
    channels = []
    for c in range(4):
        taps = np.zeros(5)
        # torch correlates: the last tap meets the newest sample.
        taps[::2] = block.filter.weight[c, 0].detach().numpy()[::-1]
        y = scipy.signal.lfilter(taps, 1.0, audio) + block.filter.bias[c].item()
        norm = block.film.norm
        y = (y - float(norm.running_mean[c])) / np.sqrt(float(norm.running_var[c]) + norm.eps) * scale[c] + shift[c]
        y = np.where(y > 0, y, float(block.bend.weight[c]) * y)
        channels.append(y + float(block.residual.weight[c, 0, 0]) * audio)
    expected = np.tensordot(network.last.weight[0, :, 0].detach().numpy(), np.stack(channels), 1)
    expected += float(network.last.bias[0])
    made = network(torch.tensor(audio)[None, None], torch.tensor(at)[None])[0, 0].detach().numpy()
    np.testing.assert_allclose(made, expected, atol=1e-12)


def test_stages_must_add_up():
    with pytest.raises(RecipeError, match="add up"):
        StagedTCN(24, (18, 5), **SMALL)


@pytest.mark.parametrize("stages", [None, (18, 5)])
def test_it_can_begin_as_the_identity_and_leave_it(stages):
    torch.manual_seed(0)
    network = StagedTCN(23, stages, **SMALL, start="identity")
    audio, at = torch.randn(2, 1, 2000), torch.rand(2, 23)
    assert torch.allclose(network(audio, at), audio, atol=1e-5)
    (network(audio, at) - 0.5 * audio).square().mean().backward()
    slopes = [block.film.adapt.weight.grad.abs().max() for tcn in network.networks for block in tcn.blocks]
    assert min(slopes) > 0


def test_an_identity_is_linear_whatever_its_filters_and_scales_are():
    torch.manual_seed(0)
    network = TCN(2, channels=8, kernel=3, dilations=(1, 4), start="identity").double().eval()
    for block in network.blocks:
        torch.nn.init.normal_(block.film.adapt.weight)
    audio, silence = torch.randn(1, 1, 200).double(), torch.zeros(1, 1, 200).double()
    positions = torch.rand(1, 2).double()
    offset = network(silence, positions)
    change = network(audio, positions) - offset
    assert not torch.allclose(change, audio)
    for factor in (2.0, -1.0):
        assert torch.allclose(network(factor * audio, positions) - offset, factor * change)


def test_several_channels_begin_as_the_identity_too():
    network = TCN(2, inputs=2, outputs=2, channels=8, kernel=3, dilations=(1, 4), start="identity").eval()
    audio = torch.randn(1, 2, 100)
    assert torch.allclose(network(audio, torch.rand(1, 2)), audio, atol=1e-6)


def test_an_unknown_start_is_refused():
    with pytest.raises(RecipeError, match="identity"):
        TCN(2, start="silence")
    with pytest.raises(RecipeError, match="as many"):
        TCN(2, inputs=1, outputs=2, start="identity")


@pytest.mark.parametrize("dilation", [1, 8, 64])
def test_a_dilated_filter_and_its_gradients_are_pytorchs(dilation):
    torch.manual_seed(0)
    own = torch.nn.Conv1d(3, 5, 13, dilation=dilation).double()
    theirs = copy.deepcopy(own)
    x = torch.randn(2, 3, 1301, dtype=torch.float64)
    first, second = (x.clone().requires_grad_() for _ in range(2))
    (y, expected) = dilated(first, own), theirs(second)
    assert torch.allclose(y, expected, atol=1e-12)
    weight = torch.randn_like(expected)
    (y * weight).sum().backward()
    (expected * weight).sum().backward()
    assert torch.allclose(first.grad, second.grad, atol=1e-12)
    for a, b in zip(own.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-10)
