"""The made-up sound that plugins are examined with."""

from __future__ import annotations

import numpy as np

LOUD_PEAK = 0.7
QUIET_DB = -26.0


def probe_signal(sample_rate: int, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    """Make a sound that shows what a control does: bursts of noise as of speech over a sweep, loud and then quiet.

    Parameters
    ----------
    sample_rate : int > 0
        Hertz.
    seconds : float > 0
    channels : int >= 1
        They share the sweep and differ in the noise.

    Returns
    -------
    float32 [channels, samples]
        The same for the same arguments; peak 0.7, its second half 26 dB below the first.

    Notes
    -----
    Every frequency is there, so that any filter shows; levels change in steps, so that attack and release show; two
    levels 26 dB apart show thresholds; pauses show gates, reverberation and echoes.
    """
    samples = round(sample_rate * seconds)
    half = max(samples // 2, 1)
    time = np.arange(half) / sample_rate
    span = half / sample_rate
    low, high = 40.0, 0.45 * sample_rate
    rate = np.log(high / low) / span
    sweep = np.sin(2 * np.pi * low * np.expm1(rate * time) / rate)
    # Syllables: 60 % of each sixth of a second, the later ones softer.
    syllable = (time * 6.0) % 1.0
    envelope = np.where(syllable < 0.6, np.sin(np.pi * syllable / 0.6) ** 2, 0.0)
    envelope *= np.where(time < 0.6 * span, 1.0, 0.3)
    rng = np.random.default_rng(24000)
    sound = np.empty((channels, samples))
    for channel in sound:
        white = np.fft.rfft(rng.standard_normal(half))
        white /= np.sqrt(1.0 + np.arange(len(white)) * sample_rate / half / 200.0)
        noise = np.fft.irfft(white, half)
        part = envelope * noise / np.abs(noise).max() + 0.15 * sweep * (syllable < 0.8)
        channel[:half] = part / np.abs(part).max() * LOUD_PEAK
        channel[half:] = 0.0
        rest = min(half, samples - half)
        channel[half : half + rest] = channel[:rest] * 10 ** (QUIET_DB / 20)
    return sound.astype(np.float32)
