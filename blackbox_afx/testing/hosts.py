"""What any plugin host must do, as one check that runs on any profile."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_afx.errors import AfxError, AudioError, PluginError
from blackbox_afx.plugins.host import Host, Instance
from blackbox_afx.plugins.profile import Profile

_PIECE = 997  # prime, so that pieces and blocks never fall together


def check_host(
    host: Host,
    profile: Profile,
    *,
    sample_rate: int = 24000,
    seed: int = 0,
    seconds: float = 0.5,
    spread: float = 1.0,
) -> None:
    """Assert that a host makes this plugin a function of (audio, values).

    Shape and input are kept; the same gives the same whatever was rendered between; fixed values equal constant
    lanes and streams; odd values are clamped or refused; NaN and the wrong channel count are refused; latency is
    compensated; other rates work; the controls move the sound.

    Parameters
    ----------
    host : Host
    profile : Profile
        How exact "the same" is, `repeatability` says, as a share of the peak.
    sample_rate : int
        Hertz.
    seed : int
        Of test audio and values.
    seconds : float
        Of test audio.
    spread : float
        Positions are drawn from a band this wide, centred; less than 1 where a plugin's extremes are unstable.

    Raises
    ------
    AssertionError
        Saying which of it does not hold.
    """
    rng = np.random.default_rng(seed)
    instance = host.load(profile)
    try:
        channels = profile.channels or 1
        audio = _test_audio(rng, channels, int(seconds * sample_rate) + 13, sample_rate)
        space = profile.space
        first, second = (
            space.to_raw(0.5 + spread * (rng.random(len(space)) - 0.5)).astype(np.float64) for _ in range(2)
        )
        near = profile.repeatability

        kept = audio.copy()
        out = instance.render(audio, first, sample_rate)
        assert out.shape == audio.shape, f"shape {audio.shape} became {out.shape}"
        assert out.dtype == np.float32, f"the output is {out.dtype}"
        assert np.array_equal(audio, kept), "the input was changed"
        kept.flags.writeable = False
        _same(instance.render(kept, first, sample_rate), out, near, "a read-only input")

        other = instance.render(audio, second, sample_rate)
        _same(instance.render(audio, first, sample_rate), out, near, "the same after other values")
        assert not np.allclose(other, out, atol=max(near, 1e-6)), "other values gave the same sound"

        _check_lanes(instance, audio, first, sample_rate, out, near)
        _check_values(instance, audio, first, sample_rate, near)
        _check_refusals(instance, profile, audio, first, sample_rate)
        _check_latency(instance, profile, rng, sample_rate)
        for rate in (44100, 48000):
            elsewhere = instance.render(audio, first, rate)
            assert elsewhere.shape == audio.shape, f"at {rate} Hz the shape became {elsewhere.shape}"
        _same(instance.render(audio, first, sample_rate), out, near, "the same after other rates")
    finally:
        instance.close()
    with pytest.raises(AfxError):
        instance.render(audio, first, sample_rate)


def _test_audio(rng: np.random.Generator, channels: int, samples: int, sample_rate: int) -> np.ndarray:
    """Noise whose level moves over 20 dB with a tone in it, the channels alike but not the same."""
    time = np.arange(samples) / sample_rate
    level = 10 ** (np.sin(2 * np.pi * 3 * time) / 2 - 1)
    noise = rng.standard_normal((channels, samples))
    tone = np.sin(2 * np.pi * 440 * time)
    return (level * (0.3 * noise + tone) * 0.5).astype(np.float32)


def _same(got: np.ndarray, wanted: np.ndarray, near: float, what: str) -> None:
    assert got.shape == wanted.shape, f"{what}: shape {got.shape}, expected {wanted.shape}"
    peak = float(np.max(np.abs(wanted))) or 1.0
    off = float(np.max(np.abs(got - wanted))) / peak
    assert off <= near, f"{what}: off by {off:.3g} of the peak, allowed {near:.3g}"


def _check_lanes(
    instance: Instance,
    audio: np.ndarray,
    values: np.ndarray,
    sample_rate: int,
    out: np.ndarray,
    near: float,
) -> None:
    size = instance.profile.block_size
    count = -(-audio.shape[1] // size)
    lanes = np.repeat(values[None], count, axis=0)
    _same(instance.render(audio, lanes, sample_rate), out, near, "constant lanes")
    _same(instance.render(audio, lanes[:1], sample_rate), out, near, "one row, held")
    pieces = [audio[:, at : at + _PIECE] for at in range(0, audio.shape[1], _PIECE)]
    streamed = list(instance.stream(iter(pieces), values, sample_rate))
    _same(np.concatenate(streamed, axis=1), out, near, "streamed")

    moved = lanes.copy()
    for k, control in enumerate(instance.profile.active):
        if control.automatable and not control.steps:
            low, high = float(values[k]) * 0.9, float(values[k])
            moved[:, k] = np.linspace(low, high, count)
    along = instance.render(audio, moved, sample_rate)
    assert along.shape == audio.shape, "lanes changed the shape"
    streamed = list(instance.stream(iter(pieces), moved, sample_rate))
    _same(np.concatenate(streamed, axis=1), along, near, "streamed lanes")


def _check_values(instance: Instance, audio: np.ndarray, values: np.ndarray, sample_rate: int, near: float) -> None:
    """Values outside [0, 1] mean the nearest bound, or are refused."""
    for k in range(min(len(values), 3)):
        beyond, bound = values.copy(), values.copy()
        beyond[k], bound[k] = -0.5, 0.0
        try:
            got = instance.render(audio, beyond, sample_rate)
        except PluginError:
            continue
        _same(got, instance.render(audio, bound, sample_rate), near, "a value below 0")


def _check_refusals(
    instance: Instance, profile: Profile, audio: np.ndarray, values: np.ndarray, sample_rate: int
) -> None:
    for bad in (np.nan, np.inf):
        wrong = values.copy()
        wrong[0] = bad
        with pytest.raises(PluginError, match=r".+"):
            instance.render(audio, wrong, sample_rate)
    with pytest.raises(PluginError):
        instance.render(audio, np.append(values, 0.5), sample_rate)
    dirty = audio.copy()
    dirty[0, 7] = np.nan
    with pytest.raises(AudioError):
        instance.render(dirty, values, sample_rate)
    with pytest.raises(AudioError):
        instance.render(audio[0], values, sample_rate)
    if profile.channels:
        with pytest.raises(PluginError):
            instance.render(np.repeat(audio[:1], 3 - profile.channels, axis=0), values, sample_rate)
    assert instance.render(audio[:, :0], values, sample_rate).shape == (audio.shape[0], 0)
    assert instance.render(audio[:, :5], values, sample_rate).shape == (audio.shape[0], 5)


def _check_latency(instance: Instance, profile: Profile, rng: np.random.Generator, sample_rate: int) -> None:
    """At the plugin's defaults, where what comes out is like what went in, it comes out in time."""
    noise = (0.1 * rng.standard_normal((profile.channels or 1, sample_rate))).astype(np.float32)
    out = instance.render(noise, profile.space.to_raw(profile.space.defaults), sample_rate)
    count = 2 * noise.shape[1]
    spectrum = np.fft.rfft(out[0], count) * np.conj(np.fft.rfft(noise[0], count))
    correlation = np.abs(np.fft.irfft(spectrum, count))
    lag = int(np.argmax(correlation))
    strength = correlation[lag] / (np.linalg.norm(out[0]) * np.linalg.norm(noise[0]) + 1e-12)
    if strength > 0.8:
        assert lag == 0, f"what comes out is {lag if lag < count // 2 else lag - count} samples late"
    assert instance.latency(sample_rate) >= 0
