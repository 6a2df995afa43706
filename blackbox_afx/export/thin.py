"""Thin automation to the few points that a producer can edit.

Conventions: times in seconds, values raw (0 to 1). A controller gives a value every few milliseconds; a lane keeps the
points that its straight lines can't do without, by the vertical distance, which is the error of the value itself.

References
----------
Douglas and Peucker, "Algorithms for the reduction of the number of points required to represent a digitized line or
its caricature", Cartographica 10(2), 1973; here with the vertical distance in place of the perpendicular one.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.chain import Chain
from blackbox_afx.plugins.control import ControlSpace
from blackbox_afx.plugins.trajectory import Trajectory

EPS = 0.002
"""Largest error of a thinned lane, raw: 9 to 70 % of the points stay, about -39 dB of the sound is touched."""


class ThinLanes(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold a trajectory as lanes of their own points.

    Parameters
    ----------
    start : float64 [controls]
        Raw values at time 0; those of controls without a lane hold throughout.
    lanes : tuple of (times, raw) or None
        One a control: float64 [points] each, the first at 0, the last at the end; None where it does not move.
    hold : bool [controls]
    eps : float
    points_before : int
        Of the controls that move, before thinning.
    """

    start: np.ndarray
    lanes: tuple[tuple[np.ndarray, np.ndarray] | None, ...]
    hold: np.ndarray
    eps: float
    points_before: int

    @property
    def points_after(self) -> int:
        """How many points all lanes have."""
        return sum(len(lane[0]) for lane in self.lanes if lane is not None)

    @property
    def trajectory(self) -> Trajectory:
        """The lanes as a trajectory: what to render for sound and lanes to be the same."""
        moving = [lane for lane in self.lanes if lane is not None]
        if not moving:
            return Trajectory.constant(self.start)
        times = np.unique(np.concatenate([lane[0] for lane in moving]))
        raw = np.repeat(self.start[None], len(times), axis=0)
        for k, lane in enumerate(self.lanes):
            if lane is None:
                continue
            if self.hold[k]:
                raw[:, k] = lane[1][np.searchsorted(lane[0], times, side="right") - 1]
            else:
                raw[:, k] = np.interp(times, *lane)
        return Trajectory(times=times, raw=raw, hold=self.hold)


def thin_trajectory(
    trajectory: Trajectory, end_s: float, *, eps: float = EPS, space: ControlSpace | None = None
) -> ThinLanes:
    """Cut a trajectory to 0 to `end_s` and thin every control by itself.

    Parameters
    ----------
    trajectory : Trajectory
    end_s : float > 0
        Where the audio ends, seconds.
    eps : float >= 0
        Largest error, raw. A control whose whole range is below it gets no lane but its value at time 0.
    space : ControlSpace, optional
        Of the chain: keeps the error below `eps` in positions too, which matters where a profile gives a log scale to
        what the plugin has as a linear one: 0.002 of 20 to 14000 Hz is nothing at the top and a third at 100 Hz. Its
        toggles and choices are held.

    Returns
    -------
    ThinLanes

    Raises
    ------
    UsageError
        `end_s` or `eps` is no such number.
    """
    if not 0 < end_s < float("inf"):
        raise UsageError(f"the automation ends at {end_s:g} s; expected a length above 0")
    if not 0 <= eps < 1:
        raise UsageError(f"eps = {eps:g}; expected the largest error of a lane, 0 to 1, for example {EPS:g}")
    assert trajectory.hold is not None
    if space is not None:
        switches = np.array([control.steps > 0 for control in space.controls], bool)
        trajectory = Trajectory(times=trajectory.times, raw=trajectory.raw, hold=trajectory.hold | switches)
    assert trajectory.hold is not None
    inside = trajectory.times[(trajectory.times > 0) & (trajectory.times < end_s)]
    times = np.concatenate([[0.0], inside, [end_s]])
    raw = trajectory.at(times)
    lanes: list[tuple[np.ndarray, np.ndarray] | None] = []
    before = 0
    for k in range(trajectory.controls):
        # A switch acts on any change; a range below eps is no movement of any other control.
        bend = space.controls[k].position_from_raw if space and not space.controls[k].steps else None
        if _range(raw[:, k], bend) <= (0.0 if trajectory.hold[k] else eps):
            lanes.append(None)
            continue
        before += len(times)
        keep = held_points(raw[:, k]) if trajectory.hold[k] else line_points(times, raw[:, k], eps, bend)
        lanes.append((times[keep], raw[keep, k]))
    return ThinLanes(start=raw[0], lanes=tuple(lanes), hold=trajectory.hold, eps=eps, points_before=before)


def line_points(
    times: np.ndarray, values: np.ndarray, eps: float, bend: Callable[[np.ndarray], np.ndarray] | None = None
) -> np.ndarray:
    """Choose the points whose straight lines stay within `eps` of all others.

    Parameters
    ----------
    times : float64 [points]
        Strictly increasing.
    values : float64 [points]
    eps : float >= 0
    bend : callable, optional
        Another scale of the values, [points] -> [points], on which the error must be as small.

    Returns
    -------
    bool [points]
        The first and the last are always kept.
    """
    times, values = np.asarray(times, np.float64), np.asarray(values, np.float64)
    if times.ndim != 1 or times.shape != values.shape or not len(times):
        raise UsageError(
            f"a lane has {times.shape} times and {values.shape} values; expected as many of each, at least one"
        )
    if not np.all(np.isfinite(values)) or not np.all(np.isfinite(times)):
        raise UsageError("a lane holds NaN or infinity; expected finite times and values")
    if np.any(np.diff(times) <= 0):
        raise UsageError("a lane's times do not increase; sort the points and keep one a time")
    keep = np.zeros(len(times), bool)
    keep[[0, -1]] = True
    bent = values if bend is None else bend(values)
    # All pieces between kept points are split at once, level by level: some twenty passes over arrays.
    while True:
        edges = np.flatnonzero(keep)
        if len(edges) == len(keep):
            return keep
        line = np.interp(times, times[edges], values[edges])
        error = np.abs(values - line)[:-1]
        if bend is not None:
            error = np.maximum(error, np.abs(bent - bend(line))[:-1])
        worst = np.maximum.reduceat(error, edges[:-1])
        # A thousandth of slack: rounding must not keep points that lie on the line.
        worst[worst <= eps * 1.001 + 1e-12] = np.inf
        piece = np.cumsum(keep)[:-1] - 1
        splits = np.flatnonzero(error == worst[piece])
        if not len(splits):
            return keep
        _, first = np.unique(piece[splits], return_index=True)
        keep[splits[first]] = True


def _range(values: np.ndarray, bend: Callable[[np.ndarray], np.ndarray] | None) -> float:
    return float(max(np.ptp(values), np.ptp(bend(values)) if bend is not None else 0.0))


def held_points(values: np.ndarray) -> np.ndarray:
    """Choose the first point, the last one, and those where a held value changes: bool [points]."""
    keep = np.ones(len(values), bool)
    keep[1:-1] = values[1:-1] != values[:-2]
    return keep


def difference_db(audio: np.ndarray, reference: np.ndarray) -> float:
    """Measure RMS of the difference over RMS of the reference, dB; -inf where they are equal.

    Parameters
    ----------
    audio, reference : float [channels, samples]
        Of one shape.
    """
    difference = np.asarray(audio, np.float64) - np.asarray(reference, np.float64)
    power, norm = float(np.mean(difference**2)), float(np.mean(np.asarray(reference, np.float64) ** 2))
    if power == 0:
        return -np.inf
    return float(10 * np.log10(power / norm)) if norm else np.inf


def thinning_error_db(
    chain: Chain, audio: np.ndarray, before: Trajectory, after: Trajectory, sample_rate: int
) -> float:
    """Measure what thinning does to the sound, by rendering both.

    Parameters
    ----------
    chain : Chain
    audio : float32 [channels, samples]
        From time 0 on; some tens of seconds tell enough.
    before, after : Trajectory
    sample_rate : int
        Hertz.

    Returns
    -------
    float
        dB below the render along `before`; -inf where nothing changed.
    """
    return difference_db(chain.render_raw(audio, after, sample_rate), chain.render_raw(audio, before, sample_rate))
