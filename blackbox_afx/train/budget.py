"""Minutes turned into a step plan, and the clock that holds it to them.

A short calibration measures what a training pair, a training step and a held-out score cost on this machine. The plan
made from it is stored, so that the same seed and plan give the same controller; the clock is only a safety net, and
says so when it had to cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from blackbox_afx.train.run_folder import RunFolder

Report = Callable[[str, float, str], None]
"""Told (stage, share done 0 to 1, words)."""

OVERRUN_SHARE, OVERRUN_S = 0.10, 15.0
SAFETY = 0.94
"""Share of the time left that is planned; steps slow down a little as memory fills."""
KEPT = 0.7
"""Part of its share that a stage keeps, however late those before it are."""
KEEP_S = 5.0
"""Seconds between two notes of the time spent: no more than that is forgotten by a kill."""
CLOCK = "clock.json"


class StepPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how much of everything a run does.

    Parameters
    ----------
    shards, shard_clips : int
        Files of self-made training pairs, and clips in each.
    proxy_steps, warm_steps : int
        Steps of the feature proxy and of the controller's warm start.
    batch, warm_batch : int
        Pairs in a step of the proxy and of the controller.
    audio_steps, audio_batch : int
        Steps on the audio loss through the plugin (0 leaves the stage out), and pairs in each.
    held_out : int
        Held-out pairs that judge each stage.
    score_s : float
        Seconds that one such judgement takes.
    threads : int
        Threads that the network trains with; another number rounds sums differently.
    warm_threads : int
        Those of the controller's stages, where they were chosen anew; 0 for the same.
    responses : int
        Responses of the chain that are measured for the feature proxy; 0 leaves the stage out.
    """

    shards: int
    shard_clips: int
    proxy_steps: int
    warm_steps: int
    batch: int
    warm_batch: int
    audio_steps: int
    audio_batch: int
    held_out: int
    score_s: float
    threads: int
    warm_threads: int = 0
    responses: int = 0


class Clock:
    """Count the wall-clock seconds of a run over all its sittings.

    Parameters
    ----------
    minutes : float > 0
    spent_s : float
        Seconds that earlier sittings of a resumed run took, or that went by before this one.
    cut, late : sequence of str
        Stages that an earlier sitting stopped short, or hurried.

    Attributes
    ----------
    cut : list of str
        Stages that the deadline stopped.
    late : list of str
        Stages that ran so late that the clock, and no more the plan, decided their learning rate.
    """

    def __init__(self, minutes: float, spent_s: float = 0.0, cut: Sequence[str] = (), late: Sequence[str] = ()) -> None:
        self.budget_s = 60.0 * minutes
        self._began = time.monotonic() - spent_s
        self.cut, self.late = list(cut), list(late)

    @classmethod
    def resumed(cls, minutes: float, stored: dict[str, Any] | None, spent_s: float = 0.0) -> Clock:
        """Go on from what `state` gave, `spent_s` seconds into this sitting."""
        stored = stored or {}
        return cls(minutes, stored.get("spent_s", 0.0) + spent_s, stored.get("cut", ()), stored.get("late", ()))

    @property
    def state(self) -> dict[str, Any]:
        """What a later sitting needs to know."""
        return {"spent_s": self.spent_s, "cut": self.cut, "late": self.late}

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

    def hurry(self, stage: str) -> None:
        """Note that a stage is late enough for the clock to decide its learning rate."""
        if stage not in self.late:
            self.late.append(stage)


class Ticker:
    """Report how far a run is, and keep its clock in its folder for a later resume.

    Parameters
    ----------
    folder : RunFolder
        Holds the clock of an earlier sitting, where there was one.
    minutes : float > 0
        Budget.
    spent_s : float
        Seconds that went by before this sitting had a folder.
    report : callable
        Told (stage, share done, words).

    Attributes
    ----------
    clock : Clock
        Goes on from the earlier sittings.
    """

    def __init__(self, folder: RunFolder, minutes: float, spent_s: float, report: Report) -> None:
        self.folder, self.report = folder, report
        self.clock = Clock.resumed(minutes, folder.read_json(CLOCK), spent_s)
        self._kept = time.monotonic()

    def tick(self, stage: str, share: float, words: str) -> None:
        """Report progress, and note the time spent now and then."""
        self.report(stage, share, words)
        if time.monotonic() - self._kept > KEEP_S:
            self.keep()

    def keep(self) -> None:
        """Note the time spent, and what the deadline did."""
        self._kept = time.monotonic()
        self.folder.write_json(CLOCK, self.clock.state)
