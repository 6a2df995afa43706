"""How different two recordings sound, from their statistics alone: a differentiable stand-in for the metrics.

Conventions: inputs are `blackbox_afx.features.statistics` [batch, DIMENSION]; parts are mean absolute differences in
dB (centroid: octaves; of linear amplitudes: at full scale, and as a share of both), scaled so that each is about 1
between an unprocessed input and its target. The constants, and the same in numpy, lie in
`blackbox_afx.features.distance`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from blackbox_afx.features.distance import FAINT, LOUDEST_DB, QUANTILE_WEIGHTS, TYPICAL, band_weights
from blackbox_afx.features.statistics import BANDS, LAYOUT, QUANTILES


class SoundDistance(nn.Module):
    """Weigh differences of statistics as the STFT, mel, centroid, RMS and loudness metrics would.

    Linear-frequency weights stand for the STFT distance, mel weights for the mel distance; two parts on linear
    amplitudes follow the metrics' linear terms, one at full scale, which loud targets dominate, one at any level.

    Parameters
    ----------
    shares : bool
        Whether the second of these takes part; controllers of earlier versions were learned without it.
    """

    def __init__(self, *, shares: bool = True) -> None:
        super().__init__()
        self.shares = shares
        hertz, mel = band_weights()
        self.hertz: Tensor
        self.mel: Tensor
        self.quantile: Tensor
        self.register_buffer("hertz", torch.tensor(hertz, dtype=torch.float32))
        self.register_buffer("mel", torch.tensor(mel, dtype=torch.float32))
        self.register_buffer("quantile", torch.tensor(QUANTILE_WEIGHTS))

    def parts(self, estimate: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Give each part [batch] before scaling, in the units that stand above."""
        gap = (estimate - target).abs()
        frames = gap[:, LAYOUT["quantiles"]].reshape(len(gap), len(QUANTILES), BANDS)
        power = LAYOUT["mean_power"]
        _, rms, loudness, centroid = gap[:, LAYOUT["scalars"]].unbind(1)
        first, second = (10 ** (x[:, power].clamp(max=LOUDEST_DB) / 20) for x in (estimate, target))
        linear = (first - second).abs() @ self.mel
        return {
            "stft": 0.5 * (gap[:, LAYOUT["mean_db"]] @ self.hertz)
            + 0.5 * torch.einsum("bqf,q,f->b", frames, self.quantile, self.hertz),
            "mel": gap[:, power] @ self.mel,
            "rms": rms,
            "loudness": loudness,
            "centroid": centroid,
            "linear": linear,
            "share": 2 * linear / ((first + second) @ self.mel + FAINT),
            "levels": gap[:, LAYOUT["levels"]].mean(1),
        }

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Give one distance [batch]: the sum of the scaled parts."""
        parts = self.parts(estimate, target)
        if not self.shares:
            parts.pop("share")
        return torch.stack([part / TYPICAL[name] for name, part in parts.items()]).sum(0)
