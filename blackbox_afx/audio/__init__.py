"""Read, write, resample, measure and check audio; free of torch.

Conventions: audio is float32 [channels, samples], full scale at +-1; sample rates are in Hz, levels in dBFS.
Long files go through `stream` and `AudioWriter`, in bounded memory.
"""

from blackbox_afx.audio.check import check_audio, check_file, checked_stream, list_audio
from blackbox_afx.audio.levels import normalise_peak, peak_dbfs, rms_db
from blackbox_afx.audio.read import AUDIO_SUFFIXES, AudioInfo, info, read_audio, stream
from blackbox_afx.audio.resampling import StreamingResampler, resample
from blackbox_afx.audio.whole import cut_short
from blackbox_afx.audio.write import AudioWriter, write_audio

__all__ = [
    "AUDIO_SUFFIXES",
    "AudioInfo",
    "AudioWriter",
    "StreamingResampler",
    "check_audio",
    "check_file",
    "checked_stream",
    "cut_short",
    "info",
    "list_audio",
    "normalise_peak",
    "peak_dbfs",
    "read_audio",
    "resample",
    "rms_db",
    "stream",
    "write_audio",
]
