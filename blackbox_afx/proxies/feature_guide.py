"""A feature proxy as a guide: what a loss gradient asks of a sound's statistics, carried back to the controls.

The plugin renders, and the loss is differentiated exactly at its audio. How that gradient would have each band's
quiet, usual and loud frames is read off it (`blackbox_afx.features.band_gradient`), and the proxy, which knows how
controls move exactly these, says what that means for them: one pass through a small network that the warm start has
trained already. What controls do to filters need not be believed: quiet impulses at the very setting measure it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from blackbox_afx.features.reading import Reading, read
from blackbox_afx.proxies.feature_proxy import FeatureProxy, filtered


class Reader(Protocol):
    """What the guide asks of the chain; `blackbox_afx.train.linear_parts.LinearParts` is one."""

    def read(
        self,
        audio: Sequence[np.ndarray],
        positions: np.ndarray,
        cotangents: np.ndarray,
        output: Sequence[np.ndarray],
    ) -> list[Reading]:
        """Read all examples, with what impulses tell at their settings; arguments as `FeatureGuide.__call__`."""
        ...


class FeatureGuide:
    """Give the derivative that a feature proxy expects, as the guide of `blackbox_afx.grads.bridge.BlackBoxEffect`.

    Parameters
    ----------
    proxy : FeatureProxy
        Trained; it is not changed.
    sample_rate : int
        Hertz.
    parts : Reader, optional
        Measures the chain's linear parts at the very settings, and reads the examples while it is about it. What
        filters do to the sound then comes from there, and from the proxy only what it learned beside their response.
    """

    def __init__(self, proxy: FeatureProxy, sample_rate: int, parts: Reader | None = None) -> None:
        self.proxy, self.sample_rate, self.parts = proxy, sample_rate, parts

    def __call__(
        self,
        audio: Sequence[np.ndarray],
        positions: np.ndarray,
        cotangents: np.ndarray,
        output: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Give dL/dp float64 [batch, P]; arguments as `BlackBoxEffect.estimate`."""
        if self.parts is None:
            examples = zip(audio, output, cotangents, strict=True)
            found = [read(*example, self.sample_rate) for example in examples]
        else:
            found = self.parts.read(audio, positions, cotangents, output)
        heard, asked = np.stack([row.heard for row in found]), np.stack([row.asked for row in found])
        gradient = self._learned(heard, positions, asked, np.array([row.linear is not None for row in found]))
        for k, row in enumerate(found):
            if row.linear is not None:
                gradient[k] += row.linear
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
