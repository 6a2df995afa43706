"""NP-FH as it was meant: the plugin's audio forward, the exact loss gradient there, the proxy's Jacobian backward."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_afx.errors import UsageError
from blackbox_afx.grads.straight_through import StraightThroughEffect
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.train.effect import FarmEffect

SPEC = ChainSpec(profiles=(builtin_profile("Gain"),))


class ExactGain(torch.nn.Module):
    """The gain plugin in torch, with a weight that must not be touched."""

    def __init__(self, slope: float = 1.0) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(slope))
        control = SPEC.profiles[0].active[0]
        self.low, self.span = control.minimum, control.maximum - control.minimum

    def forward(self, audio, positions):
        gain = 10 ** ((self.low + self.span * positions * self.slope) / 20)
        return audio * gain[:, :, None]


@pytest.fixture
def box():
    with Farm(1) as farm:
        yield FarmEffect(farm, SPEC, 24000)


def test_with_a_perfect_proxy_it_is_the_true_gradient(box):
    """Of a loss on what pedalboard's gain makes; the formula of a gain in dB is no secret."""
    proxy = ExactGain()
    effect = StraightThroughEffect(box, proxy)
    audio = 0.1 * torch.randn(3, 1, 2000, generator=torch.Generator().manual_seed(0))
    at = torch.tensor([[0.45], [0.5], [0.55]], requires_grad=True)
    made = effect(audio, at)
    made.square().sum(2).sum().backward()
    plain = SPEC.space.to_plain(at.detach().double().numpy())
    power = (audio.double().numpy()[:, 0] ** 2).sum(1)
    expected = power * 10 ** (plain[:, 0] / 10) * np.log(10) / 10 * proxy.span
    np.testing.assert_allclose(at.grad[:, 0].numpy(), expected, rtol=1e-3)
    assert proxy.slope.grad is None
    assert not list(effect.parameters())


def test_the_loss_hears_the_plugin_and_not_the_proxy(box):
    """A proxy that is off: the audio is the plugin's all the same, and the cotangent is the loss's at that audio."""
    effect = StraightThroughEffect(box, ExactGain(slope=0.5))
    audio, at = 0.1 * torch.ones(1, 1, 100), torch.tensor([[0.75]], requires_grad=True)
    made = effect(audio, at)
    with torch.no_grad():
        np.testing.assert_allclose(made, ExactGain()(audio, at), rtol=1e-4)
    weight = torch.linspace(-1, 1, 100)
    (made[0, 0] * weight).sum().backward()
    half = ExactGain(slope=0.5)
    other = at.detach().clone().requires_grad_(True)
    (half(audio, other)[0, 0] * weight).sum().backward()
    torch.testing.assert_close(at.grad, other.grad)


def test_stepped_controls_and_failed_examples_get_nothing():
    class Failing:
        def render(self, audio, positions):
            return [np.full_like(clip, np.nan) if k == 1 else clip for k, clip in enumerate(audio)], np.ones(3, bool)

        def respond(self, audio, points, cotangents):
            raise AssertionError("nobody probes here")

    class Two(torch.nn.Module):
        def forward(self, audio, positions):
            return audio * positions.sum(1)[:, None, None]

    effect = StraightThroughEffect(Failing(), Two(), np.array([True, False]))
    at = torch.rand(3, 2, requires_grad=True)
    audio = torch.randn(3, 1, 50)
    made = effect(audio, at)
    assert effect.last_ok.tolist() == [True, False, True]
    assert effect.failed == 1
    assert torch.equal(made, audio)
    made.square().sum().backward()
    assert (at.grad[[0, 2], 0] != 0).all()
    assert not at.grad[:, 1].any()
    assert not at.grad[1].any()


def test_a_box_of_another_length_is_refused():
    class Longer:
        def render(self, audio, positions):
            return [np.pad(clip, ((0, 0), (0, 3))) for clip in audio], np.ones(len(audio), bool)

        def respond(self, audio, points, cotangents):
            raise AssertionError

    with pytest.raises(UsageError, match="latency"):
        StraightThroughEffect(Longer(), ExactGain())(torch.zeros(1, 1, 5), torch.zeros(1, 1))
