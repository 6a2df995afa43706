"""From a folder of recordings to pairs to learn from: search, split, load, sample, corrupt.

Nothing here imports torch or a plugin. Audio is float32, full scale at +-1.
"""

from blackbox_afx.data.corruptions import corrupt_input, corrupt_target, paper_pair
from blackbox_afx.data.folders import Collection, Recording, Skipped, find_audio
from blackbox_afx.data.segments import Clip, ClipSampler, ClipSet, load_clips

__all__ = [
    "Clip",
    "ClipSampler",
    "ClipSet",
    "Collection",
    "Recording",
    "Skipped",
    "corrupt_input",
    "corrupt_target",
    "find_audio",
    "load_clips",
    "paper_pair",
]
