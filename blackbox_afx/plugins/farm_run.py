"""What a farm keeps in mind: of one run, and of what happened besides rendering."""

from __future__ import annotations

import msgspec

from blackbox_afx.plugins.jobs import Job
from blackbox_afx.plugins.journal import Outcome


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something a farm did besides rendering.

    Parameters
    ----------
    kind : str
        ``crash``, ``hang``, ``resumed``, ``retry``, ``quarantine``, ``recycle`` or ``backend``.
    text : str
        One line.
    at : float
        Seconds on the monotonic clock.
    """

    kind: str
    text: str
    at: float


class Run:
    """What one call of `Farm.run_iter` keeps in mind."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.costs = [max(job.cost_s(), 1e-6) for job in jobs]
        self.left = set(range(len(jobs)))
        # Jobs under suspicion: which way they failed, and with what message and point.
        self.suspects: dict[int, Outcome] = {}
        self.barren = 0
        self.once = False
