"""Minutes turned into a step plan, and the clock that holds it to them.

A short calibration measures what a training pair, a training step and a held-out score cost on this machine. The plan
made from it is stored, so that the same seed and plan give the same controller; the clock is only a safety net, and
says so when it had to cut.
"""

from __future__ import annotations

import time

import msgspec

OVERRUN_SHARE, OVERRUN_S = 0.10, 15.0


class StepPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how much of everything a run does.

    Parameters
    ----------
    shards, shard_clips : int
        Files of self-made training pairs, and clips in each.
    proxy_steps, warm_steps, batch : int
        Steps of the feature proxy and of the controller's warm start, and pairs in each.
    audio_steps, audio_batch : int
        Steps on the audio loss through the plugin (0 leaves the stage out), and pairs in each.
    held_out : int
        Held-out pairs that judge each stage.
    score_s : float
        Seconds that one such judgement takes.
    threads : int
        Threads that the network trains with; another number rounds sums differently.
    """

    shards: int
    shard_clips: int
    proxy_steps: int
    warm_steps: int
    batch: int
    audio_steps: int
    audio_batch: int
    held_out: int
    score_s: float
    threads: int


class Clock:
    """Count the wall-clock seconds of a run over all its sittings.

    Parameters
    ----------
    minutes : float > 0
    spent_s : float
        Seconds that earlier sittings of a resumed run took.
    """

    def __init__(self, minutes: float, spent_s: float = 0.0) -> None:
        self.budget_s = 60.0 * minutes
        self._began = time.monotonic() - spent_s
        self.cut: list[str] = []

    @property
    def spent_s(self) -> float:
        """Seconds used so far."""
        return time.monotonic() - self._began

    @property
    def left_s(self) -> float:
        """Seconds left; negative when over."""
        return self.budget_s - self.spent_s

    def over(self, stage: str, reserve_s: float = 0.0) -> bool:
        """Say whether a stage must stop now so that `reserve_s` of later work still fits, and note the cut."""
        allowance = min(OVERRUN_SHARE * self.budget_s, OVERRUN_S) / 3
        if self.left_s + allowance > reserve_s:
            return False
        if stage not in self.cut:
            self.cut.append(stage)
        return True
