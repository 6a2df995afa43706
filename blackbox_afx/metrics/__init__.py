"""How far a result is from its target, in the figures that papers print; one file a metric.

Conventions: every metric is `(target, estimate, sample_rate) -> float`, numpy in, smaller is better (PESQ:
larger), and NaN where it can't be measured (silence, too short), which `summarise` counts apart.
Audio is [samples] or [channels, samples], full scale at +-1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from blackbox_afx.errors import AudioError, UsageError, nearest
from blackbox_afx.metrics.centroid import centroid_error
from blackbox_afx.metrics.loudness import loudness_error
from blackbox_afx.metrics.mel import mel_distance
from blackbox_afx.metrics.pesq import pesq_score
from blackbox_afx.metrics.rms import rms_error
from blackbox_afx.metrics.stft import stft_distance

METRICS: dict[str, Callable[[np.ndarray, np.ndarray, float], float]] = {
    "stft": stft_distance,
    "msd": mel_distance,
    "sce_hz": centroid_error,
    "rms_db": rms_error,
    "lufs_db": loudness_error,
    "pesq": pesq_score,
}
"""Name in the JSON files, and the function."""

ALWAYS = ("stft", "msd", "sce_hz", "rms_db", "lufs_db")
"""The metrics that need no extra."""


def score_pair(
    target: np.ndarray, estimate: np.ndarray, sample_rate: float, names: Sequence[str] = ALWAYS
) -> dict[str, float]:
    """Score a result against its target.

    Parameters
    ----------
    target, estimate : np.ndarray [samples] or [channels, samples]
        Of one shape; for unpaired audio of different lengths leave "stft" and "pesq" out, the others take it.
    sample_rate : float > 0
        Hz, of both.
    names : sequence of str
        Keys of `METRICS`.

    Returns
    -------
    dict of float
        A value a name; NaN where it can't be measured.

    Raises
    ------
    UsageError
        For an unknown name.
    AudioError
        For NaN in the audio, or no samples: a score of that would hide a fault.
    """
    for name in names:
        if name not in METRICS:
            raise UsageError(f"no metric is called '{name}'; {nearest(name, list(METRICS))}")
    for what, audio in (("target", target), ("estimate", estimate)):
        if audio.size == 0 or not np.isfinite(audio).all():
            problem = "has no samples" if audio.size == 0 else "holds NaN or infinite samples"
            raise AudioError(f"the {what} {problem}; expected audio to score; look at what made it")
    return {name: METRICS[name](target, estimate, sample_rate) for name in names}


def summarise(scores: Iterable[dict[str, float]]) -> dict[str, dict[str, float | int | None]]:
    """Average the scores of many pairs, counting apart what could not be measured.

    Parameters
    ----------
    scores : iterable of dict
        As `score_pair` returns them.

    Returns
    -------
    dict
        For each name ``{"mean": float or None, "measured": int, "failed": int}``; no mean where all failed.
    """
    values: dict[str, list[float]] = {}
    for score in scores:
        for name, value in score.items():
            values.setdefault(name, []).append(value)
    summary: dict[str, dict[str, float | int | None]] = {}
    for name, found in values.items():
        good = [value for value in found if math.isfinite(value)]
        summary[name] = {
            "mean": math.fsum(good) / len(good) if good else None,
            "measured": len(good),
            "failed": len(found) - len(good),
        }
    return summary
