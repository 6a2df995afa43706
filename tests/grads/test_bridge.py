"""The torch bridge against autograd on the same function, and against differences on real effects."""

import numpy as np
import pedalboard
import pytest
import torch

from blackbox_afx.errors import UsageError
from blackbox_afx.grads import SPSA, Differences, Orthogonal
from blackbox_afx.grads.bridge import BlackBoxEffect, shortened

RATE = 24_000


class Rendered:
    """A black box around a function (audio [C, N], position [P]) -> audio; a None is a failed render."""

    def __init__(self, function):
        self.function = function
        self.responded = 0

    def render(self, audio, positions):
        outputs = [self.function(sound, position) for sound, position in zip(audio, positions, strict=True)]
        ok = np.array([output is not None for output in outputs])
        filled = [np.full_like(audio[0], np.nan) if output is None else output for output in outputs]
        return np.stack(filled), ok

    def respond(self, audio, points, cotangents):
        responses = np.full(points.shape[:2], np.nan)
        for row, sound in enumerate(audio):
            for index, position in enumerate(points[row]):
                self.responded += 1
                if (output := self.function(sound, position)) is not None:
                    responses[row, index] = np.sum(cotangents[row] * output, dtype=np.float64)
        return responses


def shaper(audio, values):
    """Drive into a tanh, tilt by one sample's delay, set the level: smooth in all three values."""
    drive, tilt, level = (values[..., index, None, None] for index in range(3))
    shaped = torch.tanh(audio * 10.0 ** (2.0 * drive - 0.5))
    tilted = shaped + (2.0 * tilt - 1.0) * torch.roll(shaped, 1, dims=-1)
    return tilted * 10.0 ** ((48.0 * level - 24.0) / 20.0)


def shaped(sound, position):
    return shaper(torch.from_numpy(sound)[None], torch.from_numpy(position)[None])[0].numpy()


def loss(output, target):
    return torch.log(torch.fft.rfft(output - 0.5 * target).abs() + 1e-3).mean() + (output - target).abs().mean()


def example(batch=3, channels=2, samples=512, dtype=torch.float64, controls=3):
    generator = torch.Generator().manual_seed(5)
    audio = 0.3 * torch.randn(batch, channels, samples, generator=generator, dtype=dtype)
    target = 0.3 * torch.randn(batch, channels, samples, generator=generator, dtype=dtype)
    values = torch.empty(batch, controls, dtype=dtype).uniform_(0.2, 0.8, generator=generator)
    return audio, target, values.requires_grad_()


@pytest.mark.parametrize("estimator", [Differences(), Orthogonal(directions=None), Orthogonal(directions=3)])
def test_gradient_agrees_with_autograd(estimator):
    audio, target, values = example()
    effect = BlackBoxEffect(Rendered(shaped), estimator, np.full(3, 1e-4))
    output = effect(audio, values)
    torch.testing.assert_close(output, shaper(audio, values))
    (found,) = torch.autograd.grad(loss(output, target), values)
    (expected,) = torch.autograd.grad(loss(shaper(audio, values), target), values)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert effect.calls == 3 * len(estimator.ask(np.zeros((1, 3)), effect.steps, None, effect.rng, None)[0][0])
    assert effect.failed == 0
    assert effect.last_ok.all()


def test_gradcheck_in_double():
    audio, _, values = example(batch=2, channels=1, samples=16)
    effect = BlackBoxEffect(Rendered(shaped), Differences(), np.full(3, 1e-5))
    assert torch.autograd.gradcheck(lambda v: effect(audio, v), values, eps=1e-5, atol=1e-5)


def test_one_direction_is_unbiased_through_the_bridge():
    audio, target, values = example(batch=1, channels=1, samples=64)
    effect = BlackBoxEffect(Rendered(shaped), SPSA(), np.full(3, 1e-4))
    many = values.detach().expand(600, 3).clone().requires_grad_()
    output = effect(audio.expand(600, 1, 64).contiguous(), many)
    (found,) = torch.autograd.grad(sum(loss(y[None], target) for y in output), many)
    (expected,) = torch.autograd.grad(loss(shaper(audio, values), target), values)
    error = found.std(dim=0) / 600**0.5
    assert torch.all((found.mean(dim=0) - expected[0]).abs() < 4.0 * error + 1e-6)


def test_two_forward_passes_before_one_backward():
    audio, target, values = example()
    effect = BlackBoxEffect(Rendered(shaped), Differences(), np.full(3, 1e-4))
    other = (1.0 - values.detach()).requires_grad_()
    total = loss(effect(audio, values), target) + loss(effect(0.5 * audio, other), target)
    found = torch.autograd.grad(total, (values, other))
    total = loss(shaper(audio, values), target) + loss(shaper(0.5 * audio, other), target)
    expected = torch.autograd.grad(total, (values, other))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_gradients():
    audio, target, values = example()
    runs = []
    for _ in range(2):
        effect = BlackBoxEffect(Rendered(shaped), SPSA(), np.full(3, 1e-4), seed=3)
        runs.append([torch.autograd.grad(loss(effect(audio, values), target), values)[0] for _ in range(2)])
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=0)
    assert not torch.equal(runs[0][0], runs[0][1])


def test_a_failed_forward_render_is_dropped_and_counted():
    audio, target, values = example()
    broken = float(audio[1, 0, 0])
    box = Rendered(lambda sound, position: None if sound[0, 0] == broken else shaped(sound, position))
    effect = BlackBoxEffect(box, Differences(), np.full(3, 1e-4))
    output = effect(audio, values)
    assert list(effect.last_ok) == [True, False, True]
    torch.testing.assert_close(output[1], audio[1])
    loss(output, target).backward()
    assert effect.failed == 1
    assert effect.calls == box.responded == 12
    assert torch.all(values.grad[1] == 0.0)
    assert torch.all(values.grad[[0, 2]] != 0.0)


def test_failed_probes_make_a_zero_row():
    audio, target, values = example()
    centre = values.detach().numpy().copy()

    def fails_beside(sound, position):
        near_second = np.abs(position - centre[1]).max() < 1e-3
        return None if near_second and not np.array_equal(position, centre[1]) else shaped(sound, position)

    effect = BlackBoxEffect(Rendered(fails_beside), Orthogonal(directions=2), np.full(3, 1e-4))
    loss(effect(audio, values), target).backward()
    assert list(effect.last_ok) == [True, False, True]
    assert effect.failed == 1
    assert torch.all(values.grad[1] == 0.0)
    assert torch.isfinite(values.grad).all()


def test_an_example_left_out_of_the_loss_costs_no_calls():
    audio, target, values = example()
    effect = BlackBoxEffect(Rendered(shaped), Differences(), np.full(3, 1e-4))
    loss(effect(audio, values)[:1], target[:1]).backward()
    assert effect.calls == 6
    assert effect.last_ok.all()
    assert torch.all(values.grad[1:] == 0.0)


def test_a_broken_loss_is_seen_and_not_blamed_on_the_plugin():
    audio, _, values = example()
    effect = BlackBoxEffect(Rendered(shaped), Differences(), np.full(3, 1e-4))
    weight = torch.tensor([1.0, float("nan"), 1.0], dtype=torch.float64)
    (effect(audio, values).square().mean(dim=(1, 2)) * weight).sum().backward()
    assert list(torch.isnan(values.grad).any(dim=1)) == [False, True, False]
    assert effect.failed == 0


def test_points_are_snapped_and_divided_by_what_was_applied():
    """A plugin that rounds its values to 1/40, probed at steps of 0.04: differences over the grid it really has."""
    grid = 1.0 / 40.0

    def snap(positions):
        return np.round(positions / grid) * grid

    audio, target, values = example()
    effect = BlackBoxEffect(
        Rendered(lambda sound, position: shaped(sound, snap(position))),
        Differences(),
        np.full(3, 0.04),
        snap=snap,
    )
    output = effect(audio, values)
    cotangent = torch.autograd.grad(loss(output, target), output, retain_graph=True)[0].numpy()
    loss(output, target).backward()
    centre = snap(values.detach().numpy())
    for row in range(3):
        for control in range(3):
            move = np.zeros(3)
            move[control] = 0.04
            plus, minus = snap(centre[row] + move), snap(centre[row] - move)
            change = cotangent[row] * (shaped(audio[row].numpy(), plus) - shaped(audio[row].numpy(), minus))
            expected = change.sum() / (plus - minus)[control]
            assert values.grad[row, control].item() == pytest.approx(expected, rel=1e-6)


def test_wrong_shapes_and_values_are_refused():
    audio, _, values = example()
    effect = BlackBoxEffect(Rendered(shaped), Differences(), np.full(3, 1e-4))
    with pytest.raises(UsageError, match=r"expected \[batch, channels, samples\] and \[batch, 3\]"):
        effect(audio, values[:, :2])
    for wrong in (1.5, float("nan")):
        with pytest.raises(UsageError, match="expected positions from 0 to 1"):
            effect(audio, torch.full((3, 3), wrong))
    cut = BlackBoxEffect(
        Rendered(lambda sound, position: shaped(sound, position)[:, 1:]), Differences(), np.full(3, 1e-4)
    )
    with pytest.raises(UsageError, match="crop its latency"):
        cut(audio, values)
    with pytest.warns(UserWarning, match="one chain"):
        effect(audio.clone().requires_grad_(), values)


def test_no_graph_no_probes():
    audio, _, values = example()
    effect = BlackBoxEffect(Rendered(shaped), Differences(), np.full(3, 1e-4)).eval()
    with torch.no_grad():
        assert not effect(audio, values).requires_grad
    assert effect.calls == 0


def gain(sound, position):
    return pedalboard.Gain(gain_db=48.0 * position[0] - 24.0)(sound, RATE)


@pytest.mark.parametrize("estimator", [SPSA(), Orthogonal(directions=1), Differences()])
def test_pedalboard_gain_has_its_analytic_gradient(estimator):
    """d/dp of 10^((48 p - 24)/20) x is 48 ln(10)/20 times the output; float32 audio, the paper's step."""
    audio, target, values = example(channels=1, samples=8192, dtype=torch.float32, controls=1)
    effect = BlackBoxEffect(Rendered(gain), estimator, np.array([5e-4]))
    output = effect(audio, values)
    cotangent = torch.autograd.grad(loss(output, target), output, retain_graph=True)[0]
    loss(output, target).backward()
    slope = 48.0 * np.log(10.0) / 20.0
    expected = slope * (cotangent.double() * output.detach().double()).sum(dim=(1, 2))
    # float32 renders limit a difference over 2 * 5e-4
    torch.testing.assert_close(values.grad[:, 0].double(), expected, rtol=2e-3, atol=1e-5)


def channel(sound, position):
    """Peak filter (frequency, gain, Q) and compressor (threshold, ratio, attack), fresh for each render."""
    f, g, q, t, r, a = position
    board = pedalboard.Pedalboard(
        [
            pedalboard.PeakFilter(200.0 * 20.0**f, 36.0 * g - 18.0, 0.3 * 20.0**q),
            pedalboard.Compressor(60.0 * (t - 1.0), 20.0**r, 0.5 * 100.0**a, 50.0),
        ]
    )
    return board(sound, RATE, buffer_size=512)


def test_pedalboard_channel_agrees_with_plain_differences():
    """Six controls of two effects; the reference is a loop over the controls with a step ten times wider."""
    audio, target, values = example(batch=2, channels=1, samples=8192, dtype=torch.float32, controls=6)
    sounds, centre = audio.numpy(), values.detach().double().numpy()
    expected = np.zeros((2, 6))
    output = BlackBoxEffect(Rendered(channel), Differences(), np.full(6, 5e-4))(audio, values)
    cotangent = torch.autograd.grad(loss(output, target), output)[0].double().numpy()
    for row in range(2):
        for control in range(6):
            move = np.zeros(6)
            move[control] = 5e-3
            plus, minus = channel(sounds[row], centre[row] + move), channel(sounds[row], centre[row] - move)
            expected[row, control] = (cotangent[row] * (plus.astype(np.float64) - minus)).sum() / 1e-2
    for estimator in (Differences(), Orthogonal(directions=None), Orthogonal(directions=6)):
        effect = BlackBoxEffect(Rendered(channel), estimator, np.full(6, 2e-3))
        values.grad = None
        loss(effect(audio, values), target).backward()
        found = values.grad.double().numpy()
        cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        assert np.all(cosine > 0.99), (estimator, cosine)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1), rtol=0.1)


def test_an_example_whose_gradient_is_far_longer_than_others_is_shortened():
    gradient = np.diag([1.0, 2.0, 3.0, 500.0, 0.0])
    found = shortened(gradient, 1.5)
    # The median of those that are not 0 is 2.5.
    np.testing.assert_allclose(np.diag(found), [1.0, 2.0, 3.0, 3.75, 0.0])
    assert not shortened(np.zeros((2, 3)), 1.5).any()
    audio, target, values = example(batch=3, channels=1, samples=4096)
    lengths = []
    for limit in (0.0, 1.5):
        effect = BlackBoxEffect(Rendered(shaped), Differences(), np.full(3, 1e-3), limit=limit)
        values.grad = None
        # The last example's loss counts a thousand times.
        weight = torch.tensor([1.0, 1.0, 1000.0])[:, None, None]
        (weight * (effect(audio, values) - target).square()).mean().backward()
        lengths.append(values.grad.norm(dim=1).numpy())
    np.testing.assert_allclose(lengths[1][:2], lengths[0][:2])
    assert lengths[1][2] == pytest.approx(1.5 * np.median(lengths[0]))
