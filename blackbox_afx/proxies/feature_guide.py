"""A feature proxy as a guide: what a loss gradient asks of a sound's statistics, carried back to the controls.

The plugin renders, and the loss is differentiated exactly at its audio. How that gradient would have each band's
quiet, usual and loud frames is read off it (`blackbox_afx.features.band_gradient`), and the proxy, which knows how
controls move exactly these, says what that means for them: one pass through a small network that the warm start has
trained already. What controls do to filters need not be believed: quiet impulses at the very setting measure it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from blackbox_afx.features.band_gradient import band_gradient
from blackbox_afx.features.filters import linear_part
from blackbox_afx.features.statistics import DIMENSION, LAYOUT, statistics
from blackbox_afx.proxies.feature_proxy import FeatureProxy, filtered
from blackbox_afx.proxies.tangent import Measure


class FeatureGuide:
    """Give the derivative that a feature proxy expects, as the guide of `blackbox_afx.grads.bridge.BlackBoxEffect`.

    Parameters
    ----------
    proxy : FeatureProxy
        Trained; it is not changed.
    sample_rate : int
        Hertz.
    parts : Measure, optional
        Measures the chain's linear parts at the very settings. What filters do to the sound then comes from there, and
        from the proxy only what it learned beside their response.
    """

    def __init__(self, proxy: FeatureProxy, sample_rate: int, parts: Measure | None = None) -> None:
        self.proxy, self.sample_rate, self.parts = proxy, sample_rate, parts

    def __call__(
        self,
        audio: Sequence[np.ndarray],
        positions: np.ndarray,
        cotangents: np.ndarray,
        output: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Give dL/dp float64 [batch, P]; arguments as `BlackBoxEffect.estimate`."""
        heard = np.stack([statistics(_sounding(sound), self.sample_rate) for sound in audio])
        asked = np.zeros((len(heard), DIMENSION), np.float32)
        for row, wet, cotangent in zip(asked, output, cotangents, strict=True):
            row[LAYOUT["quantiles"]] = band_gradient(wet, cotangent, self.sample_rate).ravel()
        measured: list[Any] = [None] * len(heard) if self.parts is None else self.parts.measure(positions)
        known = np.array([found is not None for found in measured])
        gradient = self._learned(heard, positions, asked, known)
        for k, found in enumerate(measured):
            if found is not None:
                gradient[k] += linear_part(found.here, found.change, output[k], cotangents[k])
        return gradient

    def _learned(self, heard: np.ndarray, positions: np.ndarray, asked: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Carry what is asked of the output's statistics back through the proxy; filters left out where known."""
        device = self.proxy.last.weight.device
        self.proxy.eval()
        statistics_in = torch.from_numpy(heard).to(device)
        with torch.enable_grad():
            at = torch.as_tensor(positions, dtype=torch.float32, device=device).requires_grad_(True)
            expected = self.proxy(statistics_in, at)
            if known.any():
                filters = filtered(statistics_in, self.proxy.response.knots_db(at))
                expected = expected - torch.from_numpy(known).to(device)[:, None] * filters
            (gradient,) = torch.autograd.grad(expected, at, torch.from_numpy(asked).to(device))
        return gradient.double().cpu().numpy()


def _sounding(audio: np.ndarray) -> np.ndarray:
    """Mix audio [channels, samples] down, without the zeros that a short clip was padded with."""
    mono = audio.mean(0)
    last = np.flatnonzero(mono)
    return mono[: last[-1] + 1] if len(last) else mono
