"""A reverb of decaying noise in three bands: what a room's late part is, and differentiable throughout.

References
----------
Moorer, "About this reverberation business", Computer Music Journal 3(2), 1979 (noise with exponential decay).
Steinmetz, Ithapu, Calamia, "Filtered noise shaping for time domain room impulse response estimation from reverberant
speech", WASPAA 2021.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

CROSSOVERS_HZ = (500.0, 4000.0)
LONGEST_S = 4.0
_SIXTY_DB = math.log(1000.0)


@lru_cache(maxsize=8)
def _bands(sample_rate: float, channels: int, samples: int, seed: int) -> Tensor:
    """Make noise [3, channels, samples] float64 in bands whose powers add up to white; independent, so that they do."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(3, channels, samples, generator=generator, dtype=torch.float64)
    frequency = torch.fft.rfftfreq(samples, 1.0 / sample_rate, dtype=torch.float64)
    # Second-order slopes; low and high of one crossover are power-complementary.
    below = [1.0 / (1.0 + (frequency / corner) ** 4) for corner in CROSSOVERS_HZ]
    powers = torch.stack((below[0], (1.0 - below[0]) * below[1], (1.0 - below[0]) * (1.0 - below[1])))
    return torch.fft.irfft(torch.fft.rfft(noise) * powers.sqrt()[:, None], samples)


def reverberate(
    audio: Tensor,
    sample_rate: float,
    *,
    low_decay_s: Tensor,
    mid_decay_s: Tensor,
    high_decay_s: Tensor,
    predelay_ms: Tensor,
    mix: Tensor,
    seed: int = 0,
) -> Tensor:
    """Add the late sound of a room.

    Parameters
    ----------
    audio : Tensor [batch, channels, samples]
    sample_rate : float
        Hz.
    low_decay_s, mid_decay_s, high_decay_s : Tensor [batch] > 0
        Reverberation times (60 dB) below 500 Hz, between, and above 4 kHz.
    predelay_ms : Tensor [batch] >= 0
        Before the wet sound begins; any fraction of a sample.
    mix : Tensor [batch], 0 to 1
        0 the audio alone, 1 the wet sound alone.
    seed : int
        Of the noise: which room. Each channel has its own noise.

    Returns
    -------
    Tensor [batch, channels, samples]
        The tail ends with the audio.

    Notes
    -----
    White noise comes out of the wet path as loud as it went in, whatever the decay times; the response itself is cut
    after `LONGEST_S`.
    """
    samples, channels = audio.shape[-1], audio.shape[1]
    if samples == 0:
        return audio
    length = round(LONGEST_S * sample_rate)
    bands = _bands(float(sample_rate), channels, length, seed).to(audio.device)[:, :, : min(length, samples)]
    decays = torch.stack((low_decay_s, mid_decay_s, high_decay_s), 1).double()
    time = torch.arange(bands.shape[-1], dtype=torch.float64, device=audio.device) / sample_rate
    rate = _SIXTY_DB / decays
    # The energy of a decaying envelope, so that its sum over samples is 1.
    envelope = (-rate[..., None] * time).exp() * (2.0 * rate / sample_rate).sqrt()[..., None]
    response = torch.einsum("bkn,kcn->bcn", envelope, bands).to(audio)

    reach = round(0.2 * sample_rate)
    size = 1 << (samples + response.shape[-1] + reach).bit_length()
    turn = torch.arange(size // 2 + 1, dtype=torch.float64, device=audio.device) * (2.0 * math.pi / size)
    delay = predelay_ms.double()[:, None] * (sample_rate / 1000.0) * turn
    spectrum = torch.fft.rfft(audio, size)
    shift = torch.polar(torch.ones_like(delay), -delay).to(spectrum.dtype)
    wet = torch.fft.irfft(spectrum * torch.fft.rfft(response, size) * shift[:, None], size)
    share = mix.to(audio)[:, None, None]
    return (1.0 - share) * audio + share * wet[..., :samples]
