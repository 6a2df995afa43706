"""Carry on a filter's response beyond what was rendered of it.

A narrow filter rings for seconds, where an impulse is rendered for a twentieth of one. What is left of it by then is a
few damped sinusoids, whose poles are in the samples that there are: a render of more is not needed.

References
----------
Y. Hua, T. K. Sarkar, "Matrix pencil method for estimating parameters of exponentially damped/undamped sinusoids in
noise", IEEE Trans. ASSP 38, 1990.
"""

from __future__ import annotations

import numpy as np

LONGEST = 32768
"""Samples."""
SILENT = 1e-6
"""Level, relative to the response's peak, at which it ends."""
TAIL = 1024
"""Samples at the end in which the poles are looked for."""
OFFSETS = np.unique(np.round(np.geomspace(1, 385, 32)).astype(int) - 1)
"""Samples that are compared with the one after each: far ones tell low frequencies, near ones keep high ones apart."""
WEAK = 1e-5
"""Singular value, relative to the greatest, below which there is no sinusoid."""
MOST_POLES = 8
MISSED = 0.05
"""Of the tail's amplitude; a tail that is told apart worse is left off."""


def extend(response: np.ndarray) -> np.ndarray:
    """Carry on a response float [taps] until it is silent, at most to `LONGEST` samples; float64 [taps or more]."""
    response = np.asarray(response, np.float64)
    tail, peak = response[-TAIL:], float(np.abs(response).max(initial=0.0))
    level = float(np.abs(tail[-TAIL // 3 :]).max(initial=0.0))
    if len(tail) < TAIL or level <= SILENT * peak:
        return response
    poles = _poles(tail)
    if not len(poles):
        return response
    strength, missed = _fit(poles, tail)
    decay = float(np.abs(poles).max())
    if missed > MISSED:
        return response
    beyond = LONGEST - len(response)
    if decay < 1.0:
        beyond = min(beyond, int(np.log(SILENT * peak / level) / np.log(decay)) + 1)
    times = TAIL + np.arange(max(beyond, 0))
    more = np.zeros(len(times))
    for pole, amount in zip(poles, strength, strict=True):
        more += np.real(amount * np.exp(np.log(pole) * times))
    return np.concatenate([response, more])


def _poles(tail: np.ndarray) -> np.ndarray:
    """Find the poles complex [K] of damped sinusoids; of each pair the upper one."""
    rows = np.lib.stride_tricks.sliding_window_view(tail, OFFSETS[-1] + 2)
    first, second = rows[:, OFFSETS], rows[:, OFFSETS + 1]
    left, strength, right = np.linalg.svd(first, full_matrices=False)
    count = int(min((strength > WEAK * strength[0]).sum(), MOST_POLES))
    turned = (left[:, :count].T @ second @ right[:count].T) / strength[:count, None]
    found = np.linalg.eigvals(turned).astype(complex)
    found = found[(found.imag >= 0.0) & (np.abs(found) > 0.5)]
    return found / np.maximum(np.abs(found), 1.0)


def _fit(poles: np.ndarray, tail: np.ndarray) -> tuple[np.ndarray, float]:
    """Find each pole's complex amplitude [K] at the tail's start, and the share of its end that they miss."""
    waves = np.exp(np.log(poles)[None] * np.arange(len(tail))[:, None])
    columns = np.concatenate([waves.real, -waves.imag], axis=1)
    found = np.linalg.lstsq(columns, tail, rcond=1e-12)[0]
    late = slice(-len(tail) // 3, None)
    missed = np.linalg.norm(tail[late] - (columns @ found)[late]) / max(float(np.linalg.norm(tail[late])), 1e-300)
    return found[: len(poles)] + 1j * found[len(poles) :], float(missed)


def extend_all(responses: np.ndarray) -> np.ndarray:
    """Carry on responses [N, taps] to the length of the longest, float64."""
    rows = [extend(row) for row in responses]
    made = np.zeros((len(rows), max(map(len, rows), default=0)))
    for k, row in enumerate(rows):
        made[k, : len(row)] = row
    return made
