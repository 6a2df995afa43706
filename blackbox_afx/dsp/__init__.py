"""Differentiable effects: equaliser, compressor, distortion, reverb, and twins of plugins made of them.

Underneath are pure functions in physical units, parameters as tensors [batch]; above them modules
``(audio [batch, channels, samples], positions [batch, controls]) -> audio`` with an attribute ``sample_rate``.
"""

from blackbox_afx.dsp.compressor import compress
from blackbox_afx.dsp.equaliser import equalise
from blackbox_afx.dsp.gain import gain
from blackbox_afx.dsp.mapping import PlainMap
from blackbox_afx.dsp.stages import EffectModule, Stage
from blackbox_afx.dsp.twins import TWINS, AutodiffChain, ChannelStripTwin, autodiff_effect

__all__ = [
    "TWINS",
    "AutodiffChain",
    "ChannelStripTwin",
    "EffectModule",
    "PlainMap",
    "Stage",
    "autodiff_effect",
    "compress",
    "equalise",
    "gain",
]
