"""The compressor: static curve, attack and release, one-pole approximation, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch

from blackbox_afx.dsp import compress
from blackbox_afx.dsp.ballistics import coefficient, smooth
from blackbox_afx.dsp.compressor import FLOOR_DB, RISE_TIME
from blackbox_afx.dsp.gain_computer import gain_reduction_db
from blackbox_afx.dsp.scan import linear_scan
from blackbox_afx.errors import UsageError

RATE = 24000.0


def each(*values):
    return torch.tensor(values, dtype=torch.float64)


def giannoulis(level, threshold, ratio, knee):
    """Read equation 4 of the paper as it is printed: output level by three cases."""
    if 2 * (level - threshold) < -knee:
        return level
    if 2 * abs(level - threshold) <= knee and knee > 0:
        return level + (1 / ratio - 1) * (level - threshold + knee / 2) ** 2 / (2 * knee)
    return threshold + (level - threshold) / ratio


def branching(signal, attack, release):
    """Read equation 16 as it is printed, a sample at a time."""
    out, before = [], 0.0
    for x in signal:
        alpha = attack if x > before else release
        before = alpha * before + (1 - alpha) * x
        out.append(before)
    return np.array(out)


@pytest.mark.parametrize("knee", [0.0, 6.0, 12.0])
@pytest.mark.parametrize("ratio", [1.0, 4.0, 20.0])
def test_the_static_curve_is_the_published_one(ratio, knee):
    levels = np.linspace(-60, 0, 601)
    ours = gain_reduction_db(torch.tensor(levels), each(-24.0), each(ratio), each(knee)).numpy()
    theirs = levels - np.array([giannoulis(level, -24.0, ratio, knee) for level in levels])
    # A hard knee counts as 0.0001 dB wide.
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert np.abs(np.diff(ours)).max() <= 0.1 + 1e-6


def test_the_knee_is_safe_at_zero():
    levels, knee = torch.linspace(-30, -20, 11, dtype=torch.float64), each(0.0).requires_grad_()
    threshold = each(-25.0).requires_grad_()
    gain_reduction_db(levels, threshold, each(4.0), knee).sum().backward()
    assert threshold.grad is not None
    assert threshold.grad.isfinite().all()
    assert knee.grad == 0


@pytest.mark.parametrize("engine", ["loop", "iterate"])
@pytest.mark.parametrize("times", [(1.0, 100.0), (100.0, 5.0), (10.0, 10.0), (0.1, 1000.0)])
def test_attack_and_release_are_a_reading_of_the_paper(times, engine):
    rng = np.random.default_rng(0)
    signal = np.abs(rng.standard_normal(3000)) * np.repeat(rng.random(30), 100)
    signal[1000:2500] = 0.5
    alphas = [math.exp(-math.log(9.0) / (RATE * time / 1000)) for time in times]
    ours = smooth(torch.tensor(signal)[None], each(alphas[0]), each(alphas[1]), engine=engine)
    np.testing.assert_allclose(ours[0].numpy(), branching(signal, *alphas), rtol=1e-9, atol=1e-12)
    assert float(coefficient(each(times[0]), RATE, RISE_TIME)) == pytest.approx(alphas[0], rel=1e-12)


def test_the_rise_takes_the_attack_time():
    step = torch.ones(1, 24000, dtype=torch.float64)
    alpha = coefficient(each(50.0), RATE, RISE_TIME)
    rise = smooth(step, alpha, alpha)[0].numpy()
    assert (np.argmax(rise >= 0.9) - np.argmax(rise >= 0.1)) / RATE == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("engine", ["loop", "iterate", "torchcomp"])
def test_gradients_of_attack_and_release(engine):
    if engine == "torchcomp":
        pytest.importorskip("torchcomp", reason="the extra 'exact' is not installed")
    signal = torch.rand(2, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    attack, release = each(0.3, 0.9).requires_grad_(), each(0.95, 0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda *args: smooth(*args, engine=engine), (signal, attack, release))


def test_the_scan_is_the_recursion():
    generator = torch.Generator().manual_seed(0)
    for samples in (0, 1, 2, 99):
        decay, drive = (torch.rand(3, samples, generator=generator, dtype=torch.float64) for _ in range(2))
        wanted, value = torch.zeros(3, samples, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
        for k in range(samples):
            value = decay[:, k] * value + drive[:, k]
            wanted[:, k] = value
        torch.testing.assert_close(linear_scan(decay, drive), wanted, rtol=1e-12, atol=1e-12)


def settings(**changed):
    plain = {
        "threshold_db": -24.0,
        "ratio": 4.0,
        "attack_ms": 5.0,
        "release_ms": 80.0,
        "knee_db": 6.0,
        "makeup_db": 3.0,
    }
    return {name: each(value) for name, value in {**plain, **changed}.items()}


def test_the_whole_is_a_plain_reading():
    audio = 0.3 * np.random.default_rng(0).standard_normal(4000) * np.repeat([1, 0.05, 0.7, 0.2], 1000)
    level = np.maximum(20 * np.log10(np.maximum(np.abs(audio), 1e-12)), FLOOR_DB)
    reduction = level - np.array([giannoulis(x, -24.0, 4.0, 6.0) for x in level])
    alphas = [math.exp(-math.log(9.0) / (RATE * time / 1000)) for time in (5.0, 80.0)]
    wanted = audio * 10 ** ((3.0 - branching(reduction, *alphas)) / 20)
    ours = compress(torch.tensor(audio)[None, None], RATE, **settings())[0, 0].numpy()
    np.testing.assert_allclose(ours, wanted, rtol=1e-6, atol=1e-9)
    # The paper's approximation: the reduction through one Butterworth pole at 1 / (2 attack) Hz.
    b, a = scipy.signal.butter(1, 100.0, fs=RATE)
    wanted = audio * 10 ** ((3.0 - scipy.signal.lfilter(b, a, reduction)) / 20)
    ours = compress(torch.tensor(audio)[None, None], RATE, smoothing="one_pole", **settings())[0, 0].numpy()
    np.testing.assert_allclose(ours, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("smoothing", ["exact", "one_pole"])
@pytest.mark.parametrize("detector", ["gain", "level"])
def test_gradients_of_the_whole(detector, smoothing, monkeypatch):
    monkeypatch.setattr("blackbox_afx.dsp.frequency_sampling.SHORTEST", 64)
    # Well away from 0, where the level's logarithm is steep and its floor makes a corner.
    audio = torch.rand(1, 2, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.5 + 0.2
    names = list(settings())
    plain = [value.requires_grad_() for value in settings(attack_ms=0.2, release_ms=1.0).values()]

    def run(audio, *plain):
        return compress(audio, RATE, detector=detector, smoothing=smoothing, **dict(zip(names, plain, strict=True)))

    assert torch.autograd.gradcheck(run, (audio.requires_grad_(), *plain))


def test_a_steady_level_settles_on_the_curve():
    steady = torch.full((1, 1, 24000), 10 ** (-6 / 20), dtype=torch.float64)
    for detector in ("gain", "level"):
        out = compress(steady, RATE, detector=detector, **settings(makeup_db=0.0))
        assert 20 * math.log10(out[0, 0, -1]) == pytest.approx(giannoulis(-6.0, -24.0, 4.0, 6.0), abs=1e-3)


def test_wrong_names_are_refused():
    audio = torch.zeros(1, 1, 8)
    with pytest.raises(UsageError, match=r"no detector is called 'levle'; did you mean 'level'\?"):
        compress(audio, RATE, detector="levle", **settings())
    with pytest.raises(UsageError, match=r"no smoothing is called 'two_pole'; did you mean 'one_pole'\?"):
        compress(audio, RATE, smoothing="two_pole", **settings())
    with pytest.raises(UsageError, match="known: auto, loop, iterate, torchcomp"):
        compress(audio, RATE, engine="fast", **settings())
