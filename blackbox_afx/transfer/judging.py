"""Judge by ear whether departing from one setting pays: what comes nearer to the reference, heard through the plugins.

Nothing here knows a target: a section is rendered with both settings, and each is compared with the reference by
statistics alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_afx.audio import read_audio
from blackbox_afx.features.statistics import LAYOUT, statistics
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import RenderJob
from blackbox_afx.transfer.listen import Heard
from blackbox_afx.transfer.style_controller import StyleController

JUDGED_S = 8.0
"""Seconds of a section that are heard, from its beginning."""
TOGETHER = 16
"""Sections rendered together; what is in memory stays so many times JUDGED_S."""


def distance(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Say how far apart two recordings are in spectrum, and in level and loudness, which count the same.

    Parameters
    ----------
    estimate, reference : float32 [DIMENSION]
        As `features.statistics`.

    Returns
    -------
    float
        dB; a plain gain moves both halves by itself.
    """
    gap = np.abs(estimate - reference)
    return 0.5 * float(np.mean(gap[LAYOUT["mean_power"]]) + np.mean(gap[LAYOUT["scalars"]][1:3]))


def judge(
    farm: Farm,
    controller: StyleController,
    source: Heard,
    references: Sequence[Heard],
    static: np.ndarray,
    settings: np.ndarray,
    starts: Sequence[float],
    pays: float,
) -> np.ndarray:
    """Say of each section whether a setting of its own pays.

    Parameters
    ----------
    farm : Farm
    controller : StyleController
    source : Heard
    references : sequence of Heard
    static : float64 [controls]
        Positions for the whole recording.
    settings : float64 [sections, controls]
        Positions of each section's own; one that has `static` is not rendered.
    starts : sequence of float [sections + 1]
        Where each begins, and where the last ends, seconds.
    pays : float > 0
        What the section's own setting must leave of the distance, at the most.

    Returns
    -------
    bool [sections]
        False for a section that has `static`.

    Raises
    ------
    AudioError
        The file can't be read any more.
    """
    spec, rate = controller.spec, controller.card.sample_rate
    wanted = statistics(np.concatenate([clip for heard in references for clip in heard.stretches]), rate)
    gain = np.float32(10 ** (controller.trim_db(source) / 20))
    better = np.zeros(len(settings), bool)
    asked = [k for k in range(len(settings)) if not np.array_equal(settings[k], static)]
    for batch in (asked[at : at + TOGETHER] for at in range(0, len(asked), TOGETHER)):
        jobs = []
        for k in batch:
            audio = _read(source, starts[k], starts[k + 1], rate) * gain
            jobs += [
                RenderJob(spec=spec, audio=audio[None], positions=positions, sample_rate=rate)
                for positions in (static, settings[k])
            ]
        found = []
        for result in farm.run(jobs):
            # A setting that a plugin breaks at does not pay.
            broken = result.failure is not None
            found.append(np.inf if broken else distance(statistics(result.value.mean(axis=0), rate), wanted))
        before, after = np.array(found).reshape(-1, 2).T
        better[batch] = after < pays * before
    return better


def _read(source: Heard, start_s: float, end_s: float, rate: int) -> np.ndarray:
    start = round(start_s * source.sample_rate)
    frames = round(min(end_s - start_s, JUDGED_S) * source.sample_rate)
    audio, _ = read_audio(source.path, start=start, frames=frames, sample_rate=rate)
    mono = audio.mean(axis=0, dtype=np.float32) if source.channel is None else audio[source.channel]
    return np.ascontiguousarray(mono)
