"""A proxy with a plugin's usual shape: a filter that does not move, then a gain that follows the level.

Where a TCN has to find out what a filter is, here a small network says what *its response* is, and another, at a
control rate, what the gain does. So it learns an equaliser or a compressor from thousands of examples where a TCN needs
millions, and costs little more than two FFTs.

Conventions: audio [batch, 1, samples]; positions [batch, controls].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from blackbox_afx.networks.tcn import TCN
from blackbox_afx.proxies.curve import LARGEST_DB, Curve, Embedding

TAPS = 8192
"""Samples of the filter's impulse response: at 24 kHz a third of a second."""
LOWEST = 15.0 / 12000.0
"""Lowest knot of the response, as a share of the Nyquist frequency."""
DB = math.log(10.0) / 20.0


class Response(Curve):
    """Say a minimum-phase filter from positions.

    Parameters
    ----------
    controls, width : int
    knots : int
        Points of the magnitude response, evenly over the logarithm of frequency.
    """

    def __init__(self, controls: int, width: int, knots: int) -> None:
        super().__init__(controls, width, knots)
        bins = torch.linspace(0, 1, TAPS // 2 + 1)
        place = (torch.log(bins.clamp(min=LOWEST) / LOWEST) / math.log(1 / LOWEST)) * (knots - 1)
        # Where the knots lie, as shares of the Nyquist frequency.
        self.frequencies: Tensor
        self.register_buffer("frequencies", LOWEST ** torch.linspace(1, 0, knots), persistent=False)
        self.below: Tensor
        self.between: Tensor
        self.fold: Tensor
        self.register_buffer("below", place.floor().long().clamp(max=knots - 2), persistent=False)
        self.register_buffer("between", (place - place.floor().clamp(max=knots - 2)), persistent=False)
        fold = torch.zeros(TAPS)
        fold[0] = fold[TAPS // 2] = 1.0
        fold[1 : TAPS // 2] = 2.0
        self.register_buffer("fold", fold, persistent=False)

    def decibels(self, positions: Tensor) -> Tensor:
        """Give the magnitude response in dB [batch, TAPS / 2 + 1]."""
        knots = self.knots_db(positions)
        low, high = knots[:, self.below], knots[:, self.below + 1]
        return low + (high - low) * self.between

    def forward(self, positions: Tensor) -> Tensor:
        """Give the impulse response [batch, TAPS]."""
        # The cepstrum of a minimum-phase filter is that of its log magnitude, folded onto positive times.
        cepstrum = torch.fft.irfft(DB * self.decibels(positions), TAPS)
        return torch.fft.irfft(torch.exp(torch.fft.rfft(cepstrum * self.fold)), TAPS)


class Follower(nn.Module):
    """Say a gain over time from levels over time and positions.

    Parameters
    ----------
    controls, channels : int
    hop : int
        Samples of one step of the control rate.
    layers : int
        Of the TCN at the control rate; each doubles the memory.
    """

    def __init__(self, controls: int, channels: int, hop: int, layers: int) -> None:
        super().__init__()
        self.hop = hop
        self.embed = Embedding(controls, 32)
        self.network = TCN(32, inputs=2, channels=channels, kernel=3, dilations=[2**k for k in range(layers)])
        nn.init.zeros_(self.network.last.weight)
        nn.init.zeros_(self.network.last.bias)  # pyrefly: ignore[bad-argument-type]

    def forward(self, audio: Tensor, positions: Tensor) -> Tensor:
        """Give a linear gain [batch, 1, samples] for audio [batch, 1, samples]."""
        samples = audio.shape[-1]
        frames = nn.functional.pad(audio, (0, -samples % self.hop)).unflatten(-1, (-1, self.hop))
        peak = frames.abs().amax(-1)
        power = frames.square().mean(-1)
        levels = torch.cat([20 * torch.log10(peak + 1e-4), 10 * torch.log10(power + 1e-8)], dim=1)
        gain = 10.0 * self.network((levels + 40) / 20, self.embed(positions))
        gain = LARGEST_DB * torch.tanh(gain / LARGEST_DB)
        # Each frame's gain is reached at its end; the ramp begins where the frame before left off.
        ramp = torch.arange(1, self.hop + 1, device=audio.device, dtype=audio.dtype) / self.hop
        before = torch.cat([gain[..., :1], gain[..., :-1]], dim=-1)
        smooth = before[..., None] + (gain - before)[..., None] * ramp
        return torch.exp(DB * smooth.flatten(-2)[..., :samples])


class FilterGain(nn.Module):
    """Imitate a plugin by a filter and a gain, both set by positions.

    Parameters
    ----------
    controls : int
    width : int
        Of the network behind the filter's response.
    knots : int
        Points of that response.
    channels, hop, layers : int
        Of the network behind the gain, see `Follower`.
    parts : {"both", "filter", "gain"}
        What the plugin does: an equaliser needs no gain, a compressor no filter.

    Notes
    -----
    It can't distort, echo or modulate, and the filter acts before the gain. A plugin that does otherwise is imitated
    as well as these two can, which its card will show; a TCN is the proxy without assumptions.
    """

    def __init__(
        self,
        controls: int,
        *,
        width: int = 192,
        knots: int = 192,
        channels: int = 16,
        hop: int = 24,
        layers: int = 9,
        parts: str = "both",
    ) -> None:
        super().__init__()
        self.response = Response(controls, width, knots) if parts in ("both", "filter") else None
        self.follower = Follower(controls, channels, hop, layers) if parts in ("both", "gain") else None
        gain_memory = hop * 2 * (2**layers - 1) + hop if self.follower is not None else 1
        self.receptive_field = (TAPS if self.response is not None else 1) + gain_memory

    def forward(self, audio: Tensor, positions: Tensor) -> Tensor:
        """Process audio [batch, 1, samples] at positions [batch, controls]."""
        if self.response is not None:
            samples = audio.shape[-1]
            # Rounded up to a length that FFTs like.
            length = -(-(samples + TAPS) // 4096) * 4096
            spectrum = torch.fft.rfft(audio, length) * torch.fft.rfft(self.response(positions), length)[:, None]
            audio = torch.fft.irfft(spectrum, length)[..., :samples]
        if self.follower is not None:
            audio = audio * self.follower(audio, positions)
        return audio
