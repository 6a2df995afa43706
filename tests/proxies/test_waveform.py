"""Waveform proxies: conformance, exact gains, filters as scipy knows them, frozen ones that stay as they are."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import scipy.signal
import torch

from blackbox_afx import shelf
from blackbox_afx.errors import ProxyError, RecipeError, ShelfError, UsageError
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.profile import load_profile
from blackbox_afx.proxies.filter_gain import TAPS, FilterGain
from blackbox_afx.proxies.proxy_file import ProxyCard, load_chain_proxy, load_proxy, save_proxy
from blackbox_afx.proxies.waveform import ChainProxy, Frozen, WaveformProxy, output_gain
from blackbox_afx.testing import check_proxy

STRIP, GAIN = builtin_profile("ChannelStrip"), builtin_profile("Gain")
SMALL_TCN = {"channels": 4, "kernel": 3, "dilations": [1, 4, 16]}


def restless(proxy: WaveformProxy) -> WaveformProxy:
    """Give every weight a value: some start at zero, where nothing could be told apart."""
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in proxy.parameters():
            if not weight.any():
                weight.normal_(0, 0.05)
    return proxy.eval()


def strip_proxy(architecture: str = "filter_gain", options: dict | None = None) -> WaveformProxy:
    torch.manual_seed(0)
    return restless(WaveformProxy(len(STRIP.active), architecture, options, output_gain(STRIP)))


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("filter_gain", {}),
        ("filter_gain", {"parts": "gain"}),
        ("tcn", SMALL_TCN),
        ("tcn", {**SMALL_TCN, "stages": [18, 5]}),
    ],
)
def test_conformance(architecture, options):
    proxy = strip_proxy(architecture, options)
    check_proxy(proxy, ChainSpec(profiles=(STRIP,)), exact_gain=output_gain(STRIP))


def test_the_suite_notices_what_is_wrong():
    class Late(torch.nn.Module):
        def forward(self, audio, positions):
            return audio.roll(-100, -1) * positions[:, :1, None]

    class Mixing(torch.nn.Module):
        def forward(self, audio, positions):
            return audio.mean(1, keepdim=True).expand_as(audio) * positions[:, :1, None]

    class Moves(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, audio, positions):
            self.seen += 1
            return audio * positions[:, :1, None]

    spec = ChainSpec(profiles=(GAIN,))
    with pytest.raises(AssertionError, match="future"):
        check_proxy(Late(), spec)
    with pytest.raises(AssertionError, match="other channel"):
        check_proxy(Mixing(), spec)
    with pytest.raises(AssertionError, match="changed the proxy"):
        check_proxy(Moves(), spec)


def test_the_output_gain_is_the_profiles():
    gain = output_gain(STRIP)
    control = STRIP.active[gain.index]
    assert control.name == STRIP.output_gain
    positions = torch.rand(5, len(STRIP.active))
    plain = control.plain_from_position(positions[:, gain.index].numpy())
    np.testing.assert_allclose(gain.factor(positions).numpy(), 10 ** (plain / 20), rtol=1e-5)
    assert gain.neutral_db == pytest.approx(0.0)


def test_the_filter_is_minimum_phase_and_as_loud_as_it_says():
    """By scipy's minimum_phase of the same magnitudes."""
    torch.manual_seed(0)
    network = FilterGain(3, parts="filter")
    torch.nn.init.normal_(network.response.last.weight, 0, 0.05)
    at = torch.rand(2, 3)
    with torch.no_grad():
        wanted = network.response.decibels(at).numpy().astype(np.float64)
        taps = network.response(at).numpy().astype(np.float64)
    assert np.ptp(wanted) > 3
    made = 20 * np.log10(np.abs(np.fft.rfft(taps)))
    np.testing.assert_allclose(made, wanted, atol=0.01)
    # A filter of minimum phase has the most energy at its beginning of all with that magnitude.
    linear = np.fft.irfft(10 ** (wanted[0] / 20))
    minimum = scipy.signal.minimum_phase(np.fft.fftshift(linear), method="homomorphic", half=False, n_fft=4 * TAPS)
    np.testing.assert_allclose(taps[0, :400], minimum[:400], atol=2e-3)


def test_untrained_it_leaves_the_audio_alone():
    audio = torch.randn(2, 1, 5000)
    with torch.no_grad():
        made = FilterGain(4).eval()(audio, torch.rand(2, 4))
    torch.testing.assert_close(made, audio, atol=1e-5, rtol=1e-5)


def test_frozen_statistics_do_not_move():
    """In whatever mode it is put, and gradients pass all the same."""
    inner = WaveformProxy(1, "tcn", SMALL_TCN)
    frozen = Frozen(inner)
    before = {name: tensor.clone() for name, tensor in inner.state_dict().items()}
    frozen.train()
    torch.nn.Sequential(frozen).train()
    assert not inner.training
    at = torch.rand(3, 1, requires_grad=True)
    frozen(torch.randn(3, 1, 500), at).square().sum().backward()
    assert at.grad.abs().sum() > 0
    assert not any(weight.requires_grad for weight in frozen.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in inner.state_dict().items())
    # The same in training mode moves them, as the paper's code did.
    inner.train()
    inner(torch.randn(3, 1, 500), at)
    assert not all(torch.equal(before[name], tensor) for name, tensor in inner.state_dict().items())


def test_a_chain_splits_the_positions():
    one, two = strip_proxy(), restless(WaveformProxy(1, "tcn", SMALL_TCN))
    audio, at = torch.randn(2, 1, 4000), torch.rand(2, len(STRIP.active) + 1)
    with torch.no_grad():
        expected = two(one(audio, at[:, :-1]), at[:, -1:])
        assert torch.equal(ChainProxy([one, two])(audio, at), expected)


def card(profile=STRIP, rate: int = 24000, **more) -> ProxyCard:
    settings = {"architecture": "filter_gain", "options": {}, "gain": output_gain(profile), **more}
    return ProxyCard(profile=profile, sample_rate=rate, **settings)


def test_a_file_comes_back_as_it_was(tmp_path, monkeypatch):
    proxy = strip_proxy()
    folder = tmp_path / "proxies" / "mine"
    folder.mkdir(parents=True)
    save_proxy(folder / "weights.safetensors", proxy, card())
    monkeypatch.setenv("AFX_SHELF", str(tmp_path))
    again, about = load_proxy("mine")
    audio, at = torch.randn(1, 1, 3000), torch.rand(1, len(STRIP.active))
    with torch.no_grad():
        assert torch.equal(again(audio, at), proxy(audio, at))
    assert about.profile.fingerprint() == STRIP.fingerprint()
    chain = load_chain_proxy(ChainSpec(profiles=(STRIP,)), (), 24000)
    with torch.no_grad():
        assert torch.equal(chain(audio, at), proxy(audio, at))


@pytest.mark.parametrize("item", shelf.items("proxies"), ids=lambda item: item.name)
def test_shipped_proxies_load_conform_and_are_small(item):
    proxy, about = load_proxy(item.path)
    assert item.path.stat().st_size < 1.5e6
    assert about.profile.folder == ""
    check_proxy(proxy, ChainSpec(profiles=(about.profile,)), exact_gain=about.gain)
    # What the card says of the error was measured to be worth it.
    assert about.scores["stft_ratio"] < 0.3
    assert (item.path.parent / "CARD.md").exists()
    # It is of the profile that ships.
    profile = load_profile(shelf.find("plugins", about.profile.name))
    assert profile.fingerprint() == about.profile.fingerprint()


def test_what_does_not_fit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("AFX_SHELF", str(tmp_path))
    folder = tmp_path / "proxies" / "mine"
    folder.mkdir(parents=True)
    save_proxy(folder / "weights.safetensors", strip_proxy(), card())
    strip = ChainSpec(profiles=(STRIP,))
    fewer = msgspec.structs.replace(STRIP.controls[0], maximum=6.0)
    narrowed = msgspec.structs.replace(STRIP, controls=(fewer, *STRIP.controls[1:]))
    with pytest.raises(ProxyError, match="other controls, ranges"):
        load_chain_proxy(ChainSpec(profiles=(narrowed,)), ("mine",), 24000)
    with pytest.raises(UsageError, match="44100 Hz"):
        load_chain_proxy(strip, ("mine",), 44100)
    with pytest.raises(UsageError, match="2 proxies"):
        load_chain_proxy(strip, ("mine", "mine"), 24000)
    with pytest.raises(UsageError, match="no proxy of"):
        load_chain_proxy(ChainSpec(profiles=(GAIN,)), (), 24000)
    with pytest.raises(ShelfError, match="nobody"):
        load_proxy("nobody")
    (tmp_path / "cut.safetensors").write_bytes((folder / "weights.safetensors").read_bytes()[:500])
    with pytest.raises(ProxyError, match="cut short"):
        load_proxy(tmp_path / "cut.safetensors")
    with pytest.raises(RecipeError, match="filter_gain"):
        WaveformProxy(3, "filter_gian")
    with pytest.raises(RecipeError, match="can't be built"):
        WaveformProxy(3, "tcn", {"width": 3})
