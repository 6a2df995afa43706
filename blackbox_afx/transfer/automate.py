"""Time-varying transfer: where the recording's level or tone changes, the controls follow.

The setting for the whole recording is the ground that lanes depart from. The recording is followed in blocks and cut
into sections that sound alike, and sections are grouped by whose voice they are. What sets a section apart from others
of its voice is how it was produced; the controller is asked about the stretches that stand for the whole recording as
if all of it had been produced so. Where nothing changes there is one section, and no lane; a section whose own setting
does not come nearer to the reference keeps that of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from blackbox_afx.export.thin import EPS, ThinLanes, thin_trajectory
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.trajectory import Trajectory
from blackbox_afx.transfer.judging import judge
from blackbox_afx.transfer.listen import Heard
from blackbox_afx.transfer.sections import find_changes
from blackbox_afx.transfer.style_controller import StyleController
from blackbox_afx.transfer.trajectories import Smoothing, positions_of, settle, smooth
from blackbox_afx.transfer.voices import group_voices, pool
from blackbox_afx.transfer.windows import Course, follow, reshape

BLOCKS = 4
"""Blocks in one window of the controller."""
VOICES_DB = (4.0, 6.5)
"""Voices up to the first from the mean level are so by nature, from the second on recorded so."""
MOST_DB = (12.0, 8.0)
"""Most that a section's level, and its tone, are taken to be away from the whole."""


class Automation(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold what moves, and why.

    Parameters
    ----------
    trajectory : Trajectory
        Before thinning.
    lanes : ThinLanes
        What is rendered and exported.
    sections : tuple of (start, end)
        Seconds; one where nothing changes.
    moved : tuple of int
        Controls of the chain that have a lane.
    smoothing : Smoothing
    """

    trajectory: Trajectory
    lanes: ThinLanes
    sections: tuple[tuple[float, float], ...]
    moved: tuple[int, ...]
    smoothing: Smoothing


def automate(
    controller: StyleController,
    source: Heard,
    references: Sequence[Heard],
    static: np.ndarray,
    *,
    amount: float = 1.0,
    smoothing: Smoothing | None = None,
    eps: float = EPS,
    farm: Farm | None = None,
) -> Automation:
    """Let a setting follow the recording.

    Parameters
    ----------
    controller : StyleController
    source : Heard
        As the controller hears it; its file is read again, in bounded memory.
    references : sequence of Heard
        They are heard as a whole.
    static : float64 [controls]
        Positions for the whole recording, with `amount` in them; refined ones are departed from just so.
    amount : float, 0 to 1
        How much of the departure to take.
    smoothing : Smoothing, optional
    eps : float
        Largest error of a lane by thinning it, raw.
    farm : Farm, optional
        Renders sections to hear whether they come nearer to the reference; without it all are believed.

    Returns
    -------
    Automation

    Raises
    ------
    AudioError
        The file can't be read any more.
    """
    smoothing = smoothing or Smoothing()
    space, card = controller.spec.space, controller.card
    course = follow(source.path, card.sample_rate, card.segment // BLOCKS, source.channel, controller.trim_db(source))
    edges = find_changes(course.shapes, course.heard, penalty=smoothing.penalty)
    base, changes = _departures(controller, source, references, course, edges, smoothing)
    bounds = np.append(edges[:-1] * course.block_s, source.seconds).tolist()
    if farm is not None and smoothing.pays is not None and changes.any():
        own = static + amount * (positions_of(base + changes) - positions_of(base))
        own = np.where(np.any(changes, axis=1, keepdims=True), space.snap(np.clip(own, 0.0, 1.0)), static)
        changes[~judge(farm, controller, source, references, static, own, bounds, smoothing.pays)] = 0.0
    answers = smooth(np.repeat(changes, np.diff(edges), axis=0), course.block_s, smoothing.seconds)
    positions = static + amount * (positions_of(base + answers) - positions_of(base))
    settled = settle(space, positions, static, smoothing)
    held = np.array([control.steps > 0 for control in space.controls], bool)
    times = (np.arange(len(settled)) + 0.5) * course.block_s
    trajectory = Trajectory(times=times, raw=space.to_raw(settled), hold=held)
    if not np.any(trajectory.moving):
        trajectory = Trajectory(times=np.zeros(1), raw=space.to_raw(static)[None], hold=held)
    lanes = thin_trajectory(trajectory, source.seconds, eps=eps, space=space)
    return Automation(
        trajectory=trajectory,
        lanes=lanes,
        sections=tuple(pairwise(bounds)),
        moved=tuple(k for k, lane in enumerate(lanes.lanes) if lane is not None),
        smoothing=smoothing,
    )


def _departures(
    controller: StyleController,
    source: Heard,
    references: Sequence[Heard],
    course: Course,
    edges: np.ndarray,
    smoothing: Smoothing,
) -> tuple[np.ndarray, np.ndarray]:
    """Say how the answer for each section differs from that for the whole recording, in logits.

    Returns
    -------
    float64 [controls]
        The answer for the whole recording.
    float64 [sections, controls]
        Departures from it; 0 for a section that sounds like the whole.
    """
    rate, gain = controller.card.sample_rate, np.float32(10 ** (controller.trim_db(source) / 20))
    stretches = [clip * gain for clip in source.stretches]
    styles = controller.embed([clip for heard in references for clip in heard.stretches])
    base = controller.answer(controller.embed(stretches), styles)
    changes = np.zeros((len(edges) - 1, len(base)))
    if len(changes) == 1:
        return base, changes
    states = produced(course, edges)
    own = np.stack([_state_at(source, k, edges, states, course.block_s) for k in range(len(stretches))])
    for k, state in enumerate(states):
        whole = own.mean(axis=0)
        change = bound(state - whole)
        sizes = np.array([abs(change[0]), *[np.linalg.norm(change[1:])] * (len(change) - 1)])
        # Level and tone count apart: a louder passage of the same tone need not move an equaliser.
        counts = believe(sizes, smoothing.least_db)
        if not counts.any():
            continue
        moved = [
            reshape(clip, counts * (whole + change - here), rate) for clip, here in zip(stretches, own, strict=True)
        ]
        changes[k] = controller.answer(controller.embed(moved), styles) - base
    return base, changes


def produced(course: Course, edges: np.ndarray) -> np.ndarray:
    """Say how each section was produced: what of its level and tone is not its voice's.

    Parameters
    ----------
    course : Course
    edges : int [sections + 1]

    Returns
    -------
    float64 [sections, SHAPES]
        dB, to be compared with one another.
    """
    spans = list(pairwise(edges))
    heard = np.array([max(course.heard[start:end].sum(), 1e-3) for start, end in spans])
    shapes = np.stack([_mean_shape(course, start, end) for start, end in spans])
    voices = np.array(group_voices([pool(course.prints[start:end]) for start, end in spans]))
    members = [voices == voice for voice in range(max(voices) + 1)]
    usual = np.stack([np.average(shapes[those], axis=0, weights=heard[those]) for those in members])
    middle = np.average(usual[voices, 0], weights=heard)
    states = shapes - usual[voices]
    # A voice is louder than another by nature, but not by far.
    between = usual[:, 0] - middle
    low, high = VOICES_DB
    states[:, 0] += (between * np.clip((np.abs(between) - low) / (high - low), 0.0, 1.0))[voices]
    return states


def believe(size: np.ndarray, least: float) -> np.ndarray:
    """Say how much of something measured to believe: none up to `least`, all far above."""
    return 1.0 - np.minimum(1.0, least / np.maximum(np.abs(size), 1e-9)) ** 2


def bound(change: np.ndarray) -> np.ndarray:
    """Keep a departure [SHAPES] within `MOST_DB`; a curve keeps its shape."""
    level, tone = change[:1], change[1:]
    return np.concatenate(
        [np.clip(level, -MOST_DB[0], MOST_DB[0]), tone * min(1.0, MOST_DB[1] / max(float(np.linalg.norm(tone)), 1e-9))]
    )


def _mean_shape(course: Course, start: int, end: int) -> np.ndarray:
    heard = course.heard[start:end]
    return np.average(course.shapes[start:end], axis=0, weights=heard if heard.any() else None)


def _state_at(source: Heard, k: int, edges: np.ndarray, states: np.ndarray, block_s: float) -> np.ndarray:
    """Give the state of the sections that stretch k lies in."""
    length = len(source.stretches[k]) / source.rate
    inside = (source.starts[k] + length * np.array([0.1, 0.3, 0.5, 0.7, 0.9])) / block_s
    return states[np.clip(np.searchsorted(edges, inside, side="right") - 1, 0, len(states) - 1)].mean(axis=0)
