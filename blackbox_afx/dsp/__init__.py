"""Differentiable effects: equaliser, compressor, distortion, reverb, and twins of plugins made of them.

Underneath are pure functions in physical units, parameters as tensors [batch]; above them modules
``(audio [batch, channels, samples], positions [batch, controls]) -> audio`` with an attribute ``sample_rate``.
"""

from blackbox_afx.dsp.compressor import compress
from blackbox_afx.dsp.distortion import distort
from blackbox_afx.dsp.effects import EFFECTS, effect_space, make_effect
from blackbox_afx.dsp.equaliser import equalise
from blackbox_afx.dsp.gain import gain
from blackbox_afx.dsp.mapping import PlainMap
from blackbox_afx.dsp.reverb import reverberate
from blackbox_afx.dsp.stages import EffectModule, Stage, Twin
from blackbox_afx.dsp.twins import TWINS, AutodiffChain, ChannelStripTwin, autodiff_effect, find_twin

__all__ = [
    "EFFECTS",
    "TWINS",
    "AutodiffChain",
    "ChannelStripTwin",
    "EffectModule",
    "PlainMap",
    "Stage",
    "Twin",
    "autodiff_effect",
    "compress",
    "distort",
    "effect_space",
    "equalise",
    "find_twin",
    "gain",
    "make_effect",
    "reverberate",
]
