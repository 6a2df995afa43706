"""Gain, distortion, reverb, and every effect module at its extremes."""

from __future__ import annotations

import math

import numpy as np
import pedalboard
import pytest
import torch

from blackbox_afx.dsp import EFFECTS, distort, make_effect, reverberate
from blackbox_afx.dsp.mapping import PlainMap
from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.builtins import builtin_profile

RATE = 24000


def each(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("name", ["ChannelStrip", "Compressor", "LadderFilter"])
def test_plain_values_are_the_control_spaces(name):
    space = builtin_profile(name).space
    positions = np.random.default_rng(0).random((5, len(space)))
    positions[0], positions[1] = 0.0, 1.0
    ours = PlainMap(space)(torch.tensor(positions)).numpy()
    free = space.continuous
    np.testing.assert_allclose(ours[:, free], space.to_plain(positions)[:, free], rtol=1e-12)
    # Stepped controls meet at their ends, and move steadily between.
    np.testing.assert_allclose(ours[:2], space.to_plain(positions[:2]), rtol=1e-12)
    with pytest.raises(UsageError, match="expected the last axis to be"):
        PlainMap(space)(torch.zeros(2, 1))


def test_distortion_is_pedalboards():
    noise = 0.2 * np.random.default_rng(0).standard_normal(4096).astype(np.float32)
    theirs = pedalboard.Distortion(drive_db=18).process(noise, RATE, reset=True)
    ours = distort(torch.from_numpy(noise)[None, None], RATE, drive_db=each(18.0))[0, 0].numpy()
    # JUCE's tanh is the C library's; its gain comes up from the first sample on.
    np.testing.assert_allclose(ours[256:], theirs[256:], atol=2e-4)


@pytest.mark.parametrize("shape", ["tanh", "soft_clip"])
def test_oversampling_keeps_harmonics_from_folding_back(shape):
    samples, tone = 24000, 5000
    sine = torch.sin(2 * math.pi * tone * torch.arange(samples, dtype=torch.float64) / RATE)[None, None]

    def folded(factor):
        out = distort(0.9 * sine, RATE, drive_db=each(12.0), shape=shape, oversampling=factor)[0, 0, 4000:20000]
        spectrum = np.abs(np.fft.rfft(out.numpy() * np.hanning(16000)))
        # The third harmonic at 15 kHz folds to 9 kHz: there is nothing else there.
        at = round(9000 * 16000 / RATE)
        return 20 * np.log10(spectrum[at - 3 : at + 4].max() / spectrum.max())

    assert folded(1) > -30
    # The cubic has corners, whose harmonics reach further.
    assert folded(4) < {"tanh": -60, "soft_clip": -40}[shape]


def test_distortion_errors_and_gradients():
    audio = torch.linspace(-0.4, 0.4, 9, dtype=torch.float64).reshape(1, 1, 9).requires_grad_()
    for shape in ("tanh", "soft_clip"):
        for factor in (1, 2):
            assert torch.autograd.gradcheck(
                lambda x, d, s=shape, f=factor: distort(x, RATE, drive_db=d, shape=s, oversampling=f),
                (audio, each(3.0).requires_grad_()),
            )
    with pytest.raises(UsageError, match="no shape is called 'fuzz'; known: soft_clip, tanh"):
        distort(audio, RATE, drive_db=each(0.0), shape="fuzz")
    with pytest.raises(UsageError, match="oversampling = 0; expected a whole number from 1"):
        distort(audio, RATE, drive_db=each(0.0), oversampling=0)


def room(**changed):
    plain = {"low_decay_s": 1.0, "mid_decay_s": 1.0, "high_decay_s": 1.0, "predelay_ms": 0.0, "mix": 1.0, **changed}
    return {name: each(value) for name, value in plain.items()}


@pytest.mark.parametrize("seconds", [0.4, 1.2])
def test_the_reverberation_time_is_that_asked_for(seconds):
    impulse = torch.zeros(1, 1, 2 * RATE, dtype=torch.float64)
    impulse[..., 0] = 1.0
    same = {f"{band}_decay_s": seconds for band in ("low", "mid", "high")}
    response = reverberate(impulse, RATE, **room(**same))[0, 0].numpy()
    # Schroeder's backward integration, fitted between -5 and -35 dB as ISO 3382 does.
    decay = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2))
    time = np.arange(len(decay)) / RATE
    part = (decay < -5) & (decay > -35)
    slope = np.polyfit(time[part], decay[part], 1)[0]
    assert -60 / slope == pytest.approx(seconds, rel=0.05)
    assert np.sum(response**2) == pytest.approx(1.0, rel=0.1)


def test_predelay_and_mix():
    audio = torch.zeros(1, 2, 8000, dtype=torch.float64)
    audio[..., 0] = 1.0
    torch.testing.assert_close(reverberate(audio, RATE, **room(mix=0.0)), audio)
    early, late = (reverberate(audio, RATE, **room(predelay_ms=ms)) for ms in (0.0, 50.0))
    torch.testing.assert_close(late[..., 1200:], early[..., :-1200], rtol=1e-9, atol=1e-9)
    # Channels have noise of their own.
    assert abs(np.corrcoef(early[0].numpy())[0, 1]) < 0.1


@pytest.mark.parametrize("samples", [1, 2, 700])
@pytest.mark.parametrize("name", EFFECTS)
def test_extremes_stay_finite(name, samples):
    effect = make_effect(name, RATE)
    controls = len(effect.space)
    corners = torch.stack(
        [torch.zeros(controls), torch.ones(controls), torch.tensor(effect.space.defaults), torch.full((controls,), 0.5)]
    ).float()
    for audio in (torch.zeros(4, 2, samples), torch.ones(4, 2, samples)):
        positions = corners.clone().requires_grad_()
        heard = audio.clone().requires_grad_()
        out = effect(heard, positions)
        assert out.shape == audio.shape
        assert out.dtype == torch.float32
        assert out.isfinite().all()
        out.sum().backward()
        assert positions.grad is not None
        assert positions.grad.isfinite().all()
        assert heard.grad is not None
        assert heard.grad.isfinite().all()


def test_unknown_effects_are_refused():
    with pytest.raises(UsageError, match=r"no differentiable effect is called 'revreb'; did you mean 'reverb'\?"):
        make_effect("revreb", RATE)
