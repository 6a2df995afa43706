"""From settings that hold for sections to lanes worth drawing: smooth, few, and switched only when it is certain.

Conventions: W moments, evenly spaced; P controls; positions are 0 to 1. Averages of predictions are taken over logits.
"""

from __future__ import annotations

import msgspec
import numpy as np
from scipy import ndimage, signal

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.control import ControlSpace

SMOOTH_S = 0.7


class Smoothing(msgspec.Struct, frozen=True, kw_only=True):
    """Say how calm the automation has to be.

    Parameters
    ----------
    seconds : float >= 0
        Time constant: so long before a sudden change, and so long after it, lanes are a fifth of the way from the one
        setting and the other.
    penalty : float >= 0
        How sure a change of level or tone must be: 1 is Schwarz's criterion, more cuts less.
    least_db : float >= 0
        Departures of level or of tone smaller than this from the whole recording move nothing.
    hysteresis : float, 0 to 0.5
        How far past the middle between two choices the answer must be to switch, in choices.
    moves : float, 0 to 1
        Controls whose position changes by less than this stay where the setting for the whole recording has them.
    pays : float >= 0, or None
        How much of its distance to the reference a section's own setting may leave at the most, else the section keeps
        that for the whole recording; None believes all.

    Raises
    ------
    UsageError
        A number is out of its range.
    """

    seconds: float = SMOOTH_S
    penalty: float = 1.25
    least_db: float = 1.0
    hysteresis: float = 0.2
    moves: float = 0.01
    pays: float | None = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < float("inf"):
            raise UsageError(f"smoothing of {self.seconds:g} s; expected a time constant of 0 s or more")
        if not 0 <= self.hysteresis < 0.5:
            raise UsageError(f"hysteresis of {self.hysteresis:g} choices; expected 0 to less than 0.5")
        for name, value, most in (
            ("penalty", self.penalty, np.inf),
            ("least_db", self.least_db, np.inf),
            ("moves", self.moves, 1.0),
            ("pays", 0.0 if self.pays is None else self.pays, np.inf),
        ):
            if not (0 <= value <= most and np.isfinite(value)):
                raise UsageError(f"{name} = {value:g}; expected a number of 0 or more")


def smooth(values: np.ndarray, hop_s: float, seconds: float) -> np.ndarray:
    """Take the median of three, then a one-pole low-pass forwards and backwards, so that nothing comes late.

    Parameters
    ----------
    values : float64 [W, P]
    hop_s : float > 0
        Seconds from moment to moment.
    seconds : float >= 0
        Time constant of the kernel exp(-|t| / seconds); 0 leaves the median only.

    Returns
    -------
    float64 [W, P]
        Within the range of `values`, and equal to them where they are constant.
    """
    calm = ndimage.median_filter(np.asarray(values, np.float64), size=(3, 1), mode="nearest")
    if seconds == 0:
        return calm
    pole = np.exp(-hop_s / seconds)
    low, high = calm.min(axis=0), calm.max(axis=0)
    for _ in range(2):
        calm = signal.lfilter([1 - pole], [1, -pole], calm, axis=0, zi=pole * calm[:1])[0][::-1]
    # Rounding must not make a constant move.
    return np.clip(calm, low, high)


def hold_choice(answers: np.ndarray, choices: int, hysteresis: float, start: float | None = None) -> np.ndarray:
    """Turn positions into choices that switch only when the answer is well past the middle between two.

    Parameters
    ----------
    answers : float64 [W]
        Positions, 0 to 1.
    choices : int >= 2
    hysteresis : float, 0 to 0.5
        In choices.
    start : float, optional
        Position of the choice to begin with; the one nearest to the first answer by default.

    Returns
    -------
    float64 [W]
        Positions of choices: multiples of 1 / (choices - 1).
    """
    scaled = np.clip(answers, 0.0, 1.0) * (choices - 1)
    held = np.empty(len(scaled))
    now = float(np.floor((scaled[0] if start is None else start * (choices - 1)) + 0.5))
    for k, answer in enumerate(scaled):
        if abs(answer - now) > 0.5 + hysteresis:
            now = float(np.floor(answer + 0.5))
        held[k] = now
    return held / (choices - 1)


def settle(space: ControlSpace, answers: np.ndarray, static: np.ndarray, smoothing: Smoothing) -> np.ndarray:
    """Decide which controls move, and hold the stepped ones.

    Parameters
    ----------
    space : ControlSpace
    answers : float64 [W, P]
        Smoothed positions.
    static : float64 [P]
        The setting for the whole recording; controls that hardly move, or may not be automated, keep it throughout.
    smoothing : Smoothing

    Returns
    -------
    float64 [W, P]
        Positions.
    """
    settled = np.clip(answers, 0.0, 1.0)
    for k, control in enumerate(space.controls):
        column = settled[:, k]
        if control.steps and control.automatable:
            choices = round(1.0 / float(space.resolution[k])) + 1
            if choices > 1:
                settled[:, k] = hold_choice(column, choices, smoothing.hysteresis, float(static[k]))
                continue
        if not control.automatable or control.steps or np.ptp(column) < smoothing.moves:
            settled[:, k] = static[k]
    return settled


def positions_of(logits: np.ndarray) -> np.ndarray:
    """Map logits to positions."""
    return 1.0 / (1.0 + np.exp(-np.asarray(logits, np.float64)))
