"""Filters: coefficients against pedalboard, responses and recursions against scipy, gradients against differences."""

from __future__ import annotations

import numpy as np
import pedalboard
import pytest
import scipy.signal
import torch

from blackbox_afx.dsp import equalise
from blackbox_afx.dsp.biquads import NYQUIST_SHARE, high_shelf, low_shelf, one_pole_low_pass, peak
from blackbox_afx.dsp.frequency_sampling import SHORTEST, fft_size, filter_sampled, frequency_response
from blackbox_afx.dsp.recursion import filter_recursive
from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.builtins import NYQUIST_SHARE as BUILTIN_SHARE

DESIGNS = {"LowShelfFilter": low_shelf, "PeakFilter": peak, "HighShelfFilter": high_shelf}
SETTINGS = [(12.0, 100.0, 0.707), (-24.0, 1000.0, 3.0), (6.0, 5000.0, 0.3)]


def doubles(*values):
    return tuple(torch.tensor([float(value)], dtype=torch.float64) for value in values)


def bank(rate: float = 24000.0, batch: int = 2):
    """Six bands, different in each example, over the whole range that the effects allow."""
    rng = np.random.default_rng(0)
    designs = (low_shelf, peak, peak, peak, peak, high_shelf)
    lowest = (20, 200, 800, 2000, 4000, 4000)
    return [
        design(
            torch.tensor(rng.uniform(-24, 24, batch)),
            torch.tensor(low * rng.uniform(1, 2.5, batch)),
            torch.tensor(10 ** rng.uniform(-1, 1, batch)),
            rate,
        )
        for design, low in zip(designs, lowest, strict=True)
    ]


def sections(bands, example: int) -> np.ndarray:
    return np.stack([np.r_[band.b[example].numpy(), band.a[example].numpy()] for band in bands])


def ratio_db(error: np.ndarray, signal: np.ndarray) -> float:
    return 10 * np.log10(np.square(signal).sum() / max(np.square(error).sum(), 1e-300))


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", DESIGNS)
def test_coefficients_are_pedalboards(name, setting):
    gain, frequency, q = setting
    b, a = DESIGNS[name](*doubles(gain, frequency, q), 24000.0)
    noise = np.random.default_rng(1).standard_normal(8192).astype(np.float32) * 0.1
    ours = scipy.signal.lfilter(b[0].numpy(), a[0].numpy(), noise)
    effect = getattr(pedalboard, name)(cutoff_frequency_hz=frequency, gain_db=gain, q=q)
    theirs = effect.process(noise, 24000, reset=True)
    # JUCE computes in single precision.
    assert ratio_db(ours - theirs, theirs) > 70


@pytest.mark.parametrize("gain", [-18.0, 6.0])
def test_gains_lie_where_the_cookbook_says(gain):
    def level(design, frequency, at):
        b, a = design(*doubles(gain, frequency, 0.8), 48000.0)
        return 20 * np.log10(abs(scipy.signal.freqz(b[0].numpy(), a[0].numpy(), [at], fs=48000)[1][0]))

    assert level(peak, 1000, 1000) == pytest.approx(gain, abs=1e-9)
    assert level(low_shelf, 500, 500) == pytest.approx(gain / 2, abs=1e-9)
    assert level(low_shelf, 500, 0) == pytest.approx(gain, abs=1e-9)
    assert level(high_shelf, 4000, 4000) == pytest.approx(gain / 2, abs=1e-9)
    assert level(high_shelf, 4000, 24000) == pytest.approx(gain, abs=1e-6)


def test_the_low_pass_is_scipys_butterworth():
    b, a = one_pole_low_pass(torch.tensor([3000.0]), 24000.0)
    theirs = scipy.signal.butter(1, 3000, fs=24000)
    np.testing.assert_allclose(b[0, :2].numpy(), theirs[0], atol=1e-12)
    np.testing.assert_allclose(a[0, :2].numpy(), theirs[1], atol=1e-12)


def test_corners_stay_below_nyquist_as_in_the_built_in_effects():
    assert NYQUIST_SHARE == BUILTIN_SHARE
    one, other = (peak(*doubles(6, frequency, 1), 16000.0) for frequency in (10800, 0.495 * 16000))
    assert torch.equal(one.b, other.b)


def test_the_sampled_response_is_scipys():
    for rate, dtype, bound in ((24000.0, torch.float64, 1e-9), (44100.0, torch.float32, 1e-4)):
        bands = bank(rate)
        b, a = (torch.stack([band[part] for band in bands], 1) for part in (0, 1))
        ours = frequency_response(b, a, 32768, dtype)
        angle = np.linspace(0, np.pi, 16385)
        for example in range(2):
            theirs = scipy.signal.sosfreqz(sections(bands, example), angle)[1]
            # Relative: even at 20 Hz and in float32, a thousandth of a dB.
            assert np.abs(ours[example].numpy() / theirs - 1)[:-1].max() < bound


def test_both_ways_of_filtering_are_scipys_cascade():
    bands = bank()
    noise = 0.1 * torch.randn(2, 2, 16384, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = np.stack([scipy.signal.sosfilt(sections(bands, k), noise[k].numpy()) for k in range(2)])
    exact = equalise(noise, bands, filtering="exact").numpy()
    assert np.abs(exact - theirs).max() < 1e-9 * np.abs(theirs).max()
    # What rings beyond the FFT folds back: little, even at 20 Hz.
    assert ratio_db(equalise(noise, bands, filtering="sampled").numpy() - theirs, theirs) > 60
    for filtering in ("exact", "sampled"):
        single = equalise(noise.float(), bands, filtering=filtering)
        assert single.dtype == torch.float32
        assert ratio_db(single.numpy() - theirs, theirs) > 60


def test_the_fft_holds_a_linear_convolution():
    assert fft_size(131072) == 262144
    assert fft_size(131073) == 524288
    assert fft_size(1) == fft_size(100) == SHORTEST


def small_problem():
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(2, 1, 12, generator=generator, dtype=torch.float64, requires_grad=True)
    gains, qs = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([6.0, -3.0], [0.8, 2.0]))
    frequencies = torch.tensor([900.0, 4000.0], dtype=torch.float64, requires_grad=True)
    return audio, gains, frequencies, qs


@pytest.mark.parametrize("filtering", ["sampled", "exact"])
@pytest.mark.parametrize("design", [low_shelf, peak, high_shelf])
def test_gradients_are_those_of_differences(design, filtering, monkeypatch):
    monkeypatch.setattr("blackbox_afx.dsp.frequency_sampling.SHORTEST", 64)

    def run(audio, gains, frequencies, qs):
        return equalise(audio, [design(gains, 1000.0 * frequencies, qs, 24000.0)], filtering=filtering)

    audio, gains, frequencies, qs = small_problem()
    kilohertz = (frequencies.detach() / 1000).requires_grad_()
    assert torch.autograd.gradcheck(run, (audio, gains, kilohertz, qs))


def test_the_recursion_can_be_differentiated_twice():
    def run(audio, a1, a2):
        one = torch.ones_like(a1)
        b = torch.stack((0.5 * one, 0.2 * one, 0.1 * one), -1)[:, None]
        return filter_recursive(audio, b, torch.stack((one, a1, a2), -1)[:, None], engine="scipy")

    audio = small_problem()[0]
    a1, a2 = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([-0.9, 0.3], [0.4, -0.2]))
    assert torch.autograd.gradcheck(run, (audio, a1, a2))
    assert torch.autograd.gradgradcheck(run, (audio, a1, a2))


def test_torchlpc_gives_the_same():
    pytest.importorskip("torchlpc", reason="the extra 'exact' is not installed")
    bands = bank()
    b, a = (torch.stack([band[part] for band in bands], 1).requires_grad_() for part in (0, 1))
    noise = torch.randn(2, 1, 4096, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for engine in ("scipy", "torchlpc"):
        out = filter_recursive(noise, b, a, engine=engine)
        found.append([out.detach(), *torch.autograd.grad(out.square().sum(), (b, a))])
    for one, other in zip(*found, strict=True):
        assert (one - other).abs().max() < 1e-9 * one.abs().max()


def test_wrong_names_are_refused():
    audio, bands = torch.zeros(2, 1, 8), bank()
    with pytest.raises(UsageError, match=r"no filtering is called 'sampeld'; did you mean 'sampled'\?"):
        equalise(audio, bands, filtering="sampeld")
    with pytest.raises(UsageError, match="known: auto, scipy, torchlpc"):
        filter_recursive(audio, bands[0].b[:, None], bands[0].a[:, None], engine="cupy")


@pytest.mark.parametrize("samples", [0, 1, 3])
@pytest.mark.parametrize("apply", [filter_sampled, filter_recursive])
def test_very_short_audio_has_its_length(apply, samples):
    band = bank()[1]
    audio = torch.ones(2, 1, samples, requires_grad=True)
    out = apply(audio, band.b[:, None], band.a[:, None])
    assert out.shape == audio.shape
    assert out.isfinite().all()
