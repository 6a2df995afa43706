"""Peak and RMS level, and normalisation to a peak.

Conventions: dB are 20 log10 of amplitude against full scale (1.0); digital silence is -inf.
Not to be confused with loudness, which is weighted and gated: that is `blackbox_afx.metrics.loudness`.
"""

from __future__ import annotations

import math

import numpy as np

from blackbox_afx.errors import AudioError


def _db(amplitude: float) -> float:
    if math.isnan(amplitude):
        return math.nan
    return 20.0 * math.log10(amplitude) if amplitude > 0 else -math.inf


def peak_dbfs(audio: np.ndarray) -> float:
    """Measure the largest sample over all channels, in dBFS; -inf for silence or no samples."""
    if audio.size == 0:
        return -math.inf
    # Two reductions without a temporary: an hour of audio has no |audio| copy to spare.
    return _db(max(float(audio.max()), -float(audio.min())))


def rms_db(audio: np.ndarray) -> float:
    """Measure the root mean square over all channels, dB against full scale; a full-scale sine has -3.01."""
    if audio.size == 0:
        return -math.inf
    return _db(math.sqrt(float(np.mean(np.square(audio, dtype=np.float64)))))


def normalise_peak(audio: np.ndarray, dbfs: float = -12.0) -> tuple[np.ndarray, float]:
    """Scale a recording so that its largest sample has a given level.

    Parameters
    ----------
    audio : np.ndarray [channels, samples] or [samples] float32
        All channels get the same gain.
    dbfs : float
        The wanted peak, dBFS.

    Returns
    -------
    audio : np.ndarray, same shape, float32
        A scaled copy.
    gain_db : float
        The gain that was applied; subtract it to go back.

    Raises
    ------
    AudioError
        For silence, which has no gain that would help, and for NaN or infinite samples.
    """
    level = peak_dbfs(audio)
    if not math.isfinite(level):
        what = "silent" if level == -math.inf else "not finite (NaN or infinite samples)"
        raise AudioError(f"the audio is {what}; expected a signal to bring to {dbfs:g} dBFS; give another one")
    gain_db = dbfs - level
    return (audio * np.float32(10.0 ** (gain_db / 20.0))).astype(np.float32, copy=False), gain_db
