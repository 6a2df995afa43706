"""Values over time: the automation of a chain.

Conventions: times in seconds from the start of the audio, values raw (0 to 1), one column a control of the chain.
Before the first point its values hold, after the last point the last ones do, as DAWs do with automation lanes.
"""

from __future__ import annotations

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError

# A block that starts within this many seconds before a point already has its value: times are written rounded.
TIME_SLACK_S = 1e-9


class Trajectory(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold the raw values of a chain's controls over time.

    Parameters
    ----------
    times : float64 [points]
        Seconds >= 0, strictly increasing.
    raw : float64 [points, controls]
        Raw values, 0 to 1.
    hold : bool [controls], optional
        True where a value is held until the next point (a step), as toggles and choices need it; False where values
        go linearly, in raw, from point to point. All False by default.

    Raises
    ------
    UsageError
        No points, shapes that do not fit each other, times that do not increase, values that are not in 0 to 1.
    """

    times: np.ndarray
    raw: np.ndarray
    hold: np.ndarray | None = None

    def __post_init__(self) -> None:
        times = np.array(self.times, np.float64)
        raw = np.array(self.raw, np.float64)
        if raw.ndim != 2:
            raise UsageError(f"trajectory: raw has shape {raw.shape}, expected [points, controls]")
        hold = np.zeros(raw.shape[1], bool) if self.hold is None else np.array(self.hold, bool)
        _check(times, raw, hold)
        for name, value in (("times", times), ("raw", raw), ("hold", hold)):
            value.setflags(write=False)
            msgspec.structs.force_setattr(self, name, value)

    @classmethod
    def constant(cls, raw: np.ndarray) -> Trajectory:
        """Hold raw values [controls] for ever."""
        return cls(times=np.zeros(1), raw=np.atleast_2d(np.asarray(raw, np.float64)))

    @property
    def controls(self) -> int:
        """How many controls it moves."""
        return self.raw.shape[1]

    @property
    def moving(self) -> np.ndarray:
        """Mask [controls]: True where the value ever changes."""
        return np.ptp(self.raw, axis=0) > 0

    def at(self, seconds: np.ndarray | float) -> np.ndarray:
        """Evaluate at any times.

        Parameters
        ----------
        seconds : float [...]

        Returns
        -------
        float64 [..., controls]
            Raw values.
        """
        seconds = np.asarray(seconds, np.float64)
        last = np.searchsorted(self.times, seconds + TIME_SLACK_S, side="right") - 1
        values = np.array(self.raw[np.clip(last, 0, None)])  # one moment alone would be a view
        assert self.hold is not None
        for k in np.flatnonzero(self.moving & ~self.hold):
            values[..., k] = np.interp(seconds, self.times, self.raw[:, k])
        return values

    def lanes(self, blocks: int, block_size: int, sample_rate: float) -> np.ndarray:
        """Sample the trajectory at the first sample of every render block.

        Parameters
        ----------
        blocks : int >= 0
        block_size : int > 0
            Samples a block.
        sample_rate : float > 0
            Hertz.

        Returns
        -------
        float64 [blocks, controls]
            Raw values, as hosts take them.
        """
        return self.at(np.arange(blocks) * block_size / sample_rate)

    def part(self, columns: slice | np.ndarray | list[int]) -> Trajectory:
        """Keep only some of the controls."""
        assert self.hold is not None
        return Trajectory(times=self.times, raw=self.raw[:, columns], hold=self.hold[columns])


def _check(times: np.ndarray, raw: np.ndarray, hold: np.ndarray) -> None:
    if times.ndim != 1 or len(times) == 0:
        raise UsageError(f"trajectory: times have shape {times.shape}, expected at least one point in seconds")
    if len(times) != len(raw):
        raise UsageError(f"trajectory: {len(times)} times for {len(raw)} rows of values; give one time a row")
    if hold.shape != raw.shape[1:]:
        raise UsageError(
            f"trajectory: hold has shape {hold.shape}, expected one flag for each of {raw.shape[1]} controls"
        )
    if not np.all(np.isfinite(times)) or times[0] < 0:
        raise UsageError("trajectory: times must be finite seconds from 0 on")
    late = np.flatnonzero(np.diff(times) <= 0)
    if len(late):
        k = int(late[0])
        raise UsageError(
            f"trajectory: time {times[k + 1]:g} s follows {times[k]:g} s; sort the points and keep one a time"
        )
    bad = np.argwhere(~((raw >= 0) & (raw <= 1)))
    if len(bad):
        row, column = map(int, bad[0])
        raise UsageError(
            f"trajectory: control {column} is {raw[row, column]:g} at {times[row]:g} s, expected raw values of 0 to 1"
        )
