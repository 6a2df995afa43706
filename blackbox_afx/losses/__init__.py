"""Distances between audio that gradients flow through; one family a file.

Conventions: `(estimate, target)` in that order, both [batch, channels, samples]; zero where they are equal.
Figures to report come from `blackbox_afx.metrics` instead.
"""

from blackbox_afx.losses.reported import ReportedLoss
from blackbox_afx.losses.stft import FFT_SIZES, multi_resolution_stft
from blackbox_afx.losses.style import StyleLoss

__all__ = ["FFT_SIZES", "ReportedLoss", "StyleLoss", "multi_resolution_stft"]
