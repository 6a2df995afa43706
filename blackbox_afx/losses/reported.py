"""What the reports measure, as a loss: distances of long-term mel spectrum, centroid, level and loudness.

Conventions: as `blackbox_afx.metrics` defines each, so that their values agree for one channel; of several channels
it is the mean of their distances. Here they are differentiable and come one an example. The metrics stay the source of
figures: these are batched float32 and forgive digital silence.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn

from blackbox_afx.features.bands import k_weighting
from blackbox_afx.losses.style import StyleLoss
from blackbox_afx.metrics import centroid, mel
from blackbox_afx.metrics.loudness import BLOCK_SECONDS

TYPICAL = {"mel": 4.0, "centroid": 500.0, "rms": 3.0, "loudness": 3.0}
"""What each is divided by, so that none outweighs the others; Hz for the centroid, dB for the last two. A choice, after
the errors of unprocessed inputs that `afx benchmark synthetic --protocol paper` prints."""
FAINT = 1e-10
"""Mean power below which a level is not told apart."""
SILENT = 1e-12
"""Power of a frame's bins together below which it is digital silence."""
OVERLAP = 4
"""Loudness blocks begin this many times a block."""


@lru_cache(maxsize=8)
def _filterbank(sample_rate: float, like: tuple[torch.dtype, torch.device]) -> Tensor:
    return torch.tensor(mel.mel_filterbank(sample_rate), dtype=like[0], device=like[1])


@lru_cache(maxsize=8)
def _k_gain(sample_rate: float, size: int, like: tuple[torch.dtype, torch.device]) -> Tensor:
    power = k_weighting(np.fft.rfftfreq(size, 1 / sample_rate))
    return torch.tensor(np.sqrt(power), dtype=like[0], device=like[1])


def mel_bands(audio: Tensor, sample_rate: float) -> Tensor:
    """Analyse audio [rows, samples] into mel magnitudes [rows, bands, frames], as `metrics.mel.mel_spectrum` does."""
    audio = nn.functional.pad(audio, (0, max(0, mel.SIZE - audio.shape[-1])))
    window = torch.hann_window(mel.SIZE, dtype=audio.dtype, device=audio.device)
    spectrum = torch.stft(audio, mel.SIZE, mel.SIZE, mel.SIZE, window, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    magnitude = power.clamp(min=mel.POWER_FLOOR).sqrt()
    rows, bins, frames = magnitude.shape
    flat = magnitude.permute(1, 0, 2).reshape(bins, rows * frames)
    return (_filterbank(sample_rate, (audio.dtype, audio.device)) @ flat).reshape(-1, rows, frames).permute(1, 0, 2)


def centroids(audio: Tensor, sample_rate: float) -> Tensor:
    """Give the mean spectral centroid of audio [rows, samples] in Hz, frames of digital silence left out, [rows]."""
    window = torch.hann_window(centroid.SIZE, dtype=audio.dtype, device=audio.device)
    # Twice the metric's hop: half the time, and nearly the same.
    spectrum = torch.stft(audio, centroid.SIZE, 2 * centroid.HOP, centroid.SIZE, window, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    heard = (power.detach().sum(1) > SILENT).to(audio.dtype)
    # The root has no derivative at 0.
    magnitude = power.clamp(min=1e-16).sqrt()
    hertz = torch.fft.rfftfreq(centroid.SIZE, 1 / sample_rate, dtype=audio.dtype, device=audio.device)
    weight = magnitude.sum(1)
    each = torch.einsum("rft,f->rt", magnitude, hertz) / weight
    return (each * heard).sum(1) / heard.sum(1).clamp(min=1)


def levels_db(audio: Tensor) -> Tensor:
    """Give the level of audio [rows, samples] in dB below full scale, [rows]."""
    return 10 * torch.log10(audio.square().mean(1) + FAINT)


def loudness_db(audio: Tensor, sample_rate: float) -> Tensor:
    """Give the gated loudness of audio [rows, samples] in LUFS, [rows]; the gates are not differentiated."""
    rows, samples = audio.shape
    step = max(1, round(BLOCK_SECONDS * sample_rate / OVERLAP))
    # Room for the filter to ring out, which would wrap around.
    size = next_fast_len(samples + OVERLAP * step, real=True)
    weighted = torch.fft.irfft(
        torch.fft.rfft(audio, size) * _k_gain(sample_rate, size, (audio.dtype, audio.device)), size
    )
    # Of a recording shorter than a block the rest is silence.
    steps = max(OVERLAP, samples // step)
    cells = weighted[:, : steps * step].view(rows, steps, step).square().mean(2)
    power = cells.unfold(1, OVERLAP, 1).mean(2) + FAINT
    with torch.no_grad():
        level = 10 * torch.log10(power) - 0.691
        above = level > -70
        mean = (power * above).sum(1) / above.sum(1).clamp(min=1)
        above &= level > 10 * torch.log10(mean + FAINT)[:, None] - 0.691 - 10
        # Nothing above the gate: all of it counts.
        above |= ~above.any(1, keepdim=True)
    return 10 * torch.log10((power * above).sum(1) / above.sum(1)) - 0.691


class ReportedLoss(nn.Module):
    """Add to the paper's loss what the reports measure beside it.

    Parameters
    ----------
    sample_rate : float
        Hertz.
    weight : float >= 0
        Of each of the four distances, once divided by what is typical of an unprocessed input.
    waveform_weight : float >= 0
        Of the mean absolute error of the waveform.
    """

    def __init__(self, sample_rate: float, weight: float = 1.0, waveform_weight: float = 100.0) -> None:
        super().__init__()
        self.sample_rate, self.weight = sample_rate, weight
        self.style = StyleLoss(waveform_weight)

    def parts(self, estimate: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Give each of the four distances, [batch], in the units of `TYPICAL`."""
        rows, others = (audio.flatten(0, 1) for audio in (estimate, target))
        rate = self.sample_rate
        with torch.no_grad():
            aim = mel_bands(others, rate), centroids(others, rate), levels_db(others), loudness_db(others, rate)
        bands = mel_bands(rows, rate)
        gap = (bands - aim[0]).abs() + (bands.log() - aim[0].log()).abs()
        found = {
            "mel": gap.mean((1, 2)),
            "centroid": (centroids(rows, rate) - aim[1]).abs(),
            "rms": (levels_db(rows) - aim[2]).abs(),
            "loudness": (loudness_db(rows, rate) - aim[3]).abs(),
        }
        return {name: part.view(estimate.shape[:2]).mean(1) for name, part in found.items()}

    def per_example(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each example, [batch], of audio [batch, channels, samples]."""
        parts = self.parts(estimate, target)
        heard = torch.stack([part / TYPICAL[name] for name, part in parts.items()]).sum(0)
        return self.style.per_example(estimate, target) + self.weight * heard

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        return self.per_example(estimate, target).mean()
