"""Search on the plugin itself: find a setting whose render has the style of a reference, within so many renders.

What is rendered is an excerpt of the input, whatever the length of the file; workers send back statistics, no audio.
Input and reference differ in content, so that no setting brings the distance to 0, and the last bit of it is content,
not style: settings are therefore pulled towards the start, which for a learned controller is what it said.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.audio import info, read_audio
from blackbox_afx.errors import PluginError, UsageError, nearest
from blackbox_afx.features.statistics import statistics
from blackbox_afx.features.style import style_distance, style_of
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.control import ControlSpace
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import AudioRef, CallJob, audio_flaw
from blackbox_afx.transfer.foretold import Foretold, table_calls, table_job
from blackbox_afx.transfer.guided_search import GuidedSearch
from blackbox_afx.transfer.listen import listen
from blackbox_afx.transfer.objective import Objective
from blackbox_afx.transfer.search import METHODS, Search, known_gain, make_search

RATE = 24000
"""Hertz at which recordings are listened to; renders are measured at the file's own rate."""
MEASURE_S = 0.004
"""Seconds that measuring a second of audio takes, roughly."""
MATCH_PULL, MATCH_REACH = 0.01, 1.0
"""With no controller: enough to leave alone what nobody hears; the whole box is searched."""
REFINE_PULL, REFINE_REACH = 1.0, 0.2
"""After a controller. On validation pairs, 0.3 lets the search fit content where the controller was right; 3 holds it
back no better, and 10 loses half of what it mends where the controller was wrong."""

SHARE = 0.25
"""Tables that cost more than this share of the renders that are left are done without."""

Report = Callable[[int, float, float], None]


class Refinement(msgspec.Struct, frozen=True, kw_only=True):
    """Say how to search.

    Parameters
    ----------
    renders : int >= 2
        The most renders of the excerpt, impulses counted by their samples.
    seconds : float, 1 to 60
        Length of the excerpt.
    seed : int
    method : {"guided", "surrogate", "cma"}
    pull : float >= 0
        Towards the start.
    reach : float, 0 to 1
        How far from the start the first settings are spread, and how far a step goes that impulses lead.
    spectrum : float, 0.1 to 100
        How many times as much as usual the mean spectrum counts beside loudness, dynamics and all else.

    Raises
    ------
    UsageError
        A number is out of its range, or the method unknown.
    """

    renders: int = 80
    seconds: float = 8.0
    seed: int = 0
    method: str = "guided"
    pull: float = MATCH_PULL
    reach: float = MATCH_REACH
    spectrum: float = 1.0

    def __post_init__(self) -> None:
        if not 2 <= self.renders <= 100_000:
            raise UsageError(f"{self.renders} renders; expected 2 to 100000, for example 80")
        if not 1 <= self.seconds <= 60:
            raise UsageError(f"an excerpt of {self.seconds:g} s; expected 1 to 60 s, for example 8")
        # CMA-ES takes seeds of 32 bits, and the next one is asked for too.
        if not 0 <= self.seed < 2**32 - 1:
            raise UsageError(f"seed {self.seed}; expected 0 to {2**32 - 2}")
        if self.method not in METHODS:
            raise UsageError(f"no method is called '{self.method}'; {nearest(self.method, list(METHODS))}")
        if not (0 <= self.pull < float("inf") and 0 < self.reach <= 1):
            raise UsageError(f"pull {self.pull:g} and reach {self.reach:g}; expected 0 or more, and more than 0 to 1")
        if not 0.1 <= self.spectrum <= 100:
            raise UsageError(f"spectrum {self.spectrum:g}; expected 0.1 to 100, for example 5")


class Refined(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold what a search found.

    Parameters
    ----------
    positions : float64 [controls]
        What was found, or as much of the way there as was asked for.
    before, after : float or None
        Style distance at the start and at `positions`; None where that render failed.
    renders, failed : int
        How many the search spent, impulses counted by their samples, and how many renders failed.
    curve : tuple of float
        The best distance after each render, impulses counted.
    interrupted : bool
    """

    positions: np.ndarray
    before: float | None
    after: float | None
    renders: int
    failed: int
    curve: tuple[float, ...]
    interrupted: bool = False

    @property
    def text(self) -> str:
        """What was gained, in words."""
        failed = f", {self.failed} of them failed" if self.failed else ""
        stopped = "; interrupted, the best so far was kept" if self.interrupted else ""
        before, after = ("-" if value is None else f"{value:.3f}" for value in (self.before, self.after))
        return f"style distance {before} -> {after} after {self.renders} renders{failed}{stopped}"


class Trial:
    """One search under way: what was rendered, and how far it was.

    Parameters
    ----------
    search : Search
    objective : Objective
    job : callable
        Makes the job that renders one setting [controls] and gives its style.
    renders : int
        The most; impulses count by the samples that are rendered.
    tables : callable, optional
        Makes the job that measures the tables of a setting, for searches that want them; without it they get none.
    table_calls : float
        What such a job costs, in renders.
    """

    def __init__(
        self,
        search: Search,
        objective: Objective,
        job: Callable[[np.ndarray], CallJob],
        renders: int,
        tables: Callable[[np.ndarray], CallJob] | None = None,
        table_calls: float = 0.0,
    ) -> None:
        self.search, self.objective, self.job, self.renders = search, objective, job, renders
        self.tables, self.table_calls, self.impulses = tables, table_calls, 0.0
        self.points: list[np.ndarray] = []
        self.heard: list[np.ndarray | None] = []
        self.spent_at: list[float] = []
        self.distances: list[float] = []
        self.values: list[float] = []
        self.failure = ""

    @property
    def going(self) -> bool:
        """Whether there is more to render."""
        return self.left >= 1 and not self.search.done

    @property
    def spent(self) -> float:
        """Renders so far, with impulses."""
        return len(self.points) + self.impulses

    @property
    def counted(self) -> int:
        """The same in whole renders."""
        return int(np.ceil(self.spent - 1e-9))

    @property
    def left(self) -> int:
        """Renders that may still follow."""
        return int(self.renders - self.spent + 1e-9)

    @property
    def failed(self) -> int:
        """How many renders failed."""
        return int(np.sum(~np.isfinite(self.distances)))

    def tell(self, points: np.ndarray, heard: Sequence[np.ndarray | None]) -> None:
        """Take what settings [M, controls] sounded like: [features] each, None where a render failed."""
        fine = [k for k, row in enumerate(heard) if row is not None]
        styles = np.full((len(points), len(self.objective.target)), np.nan)
        if fine:
            styles[fine] = self.objective.styles(np.stack([row for row in heard if row is not None]))
        self.search.tell(points, styles)
        self.spent_at += [self.spent + k + 1 for k in range(len(points))]
        self.points += list(points)
        if self.tables is not None:
            self.heard += [None if row is None else np.asarray(row, np.float32) for row in heard]
        self.distances += self.objective.distances(styles).tolist()
        self.values += self.objective.values(points, styles).tolist()

    def distance_of(self, heard: np.ndarray) -> float:
        """Give the style distance of what one setting sounded like, [features]."""
        return float(self.objective.distances(self.objective.styles(np.asarray(heard, np.float64)[None]))[0])

    def best(self) -> int:
        """Give the number of the best render."""
        return int(np.argmin(self.values))

    def curve(self) -> list[float]:
        """Give the distance of the best setting after each render, impulses counted; of the first one before it."""
        best, out, known = 0, [], 0
        for spent in range(1, self.counted + 1):
            while known < len(self.points) and self.spent_at[known] <= spent + 1e-9:
                best = known if self.values[known] < self.values[best] else best
                known += 1
            out.append(self.distances[best])
        return out

    def wanted(self) -> CallJob | None:
        """Give the job that measures the tables that the search wants, if it does and they can be paid for."""
        if self.search.wanted is None or self.tables is None or self.table_calls > SHARE * self.left:
            return None
        return self.tables(self.search.wanted)

    def take(self, tables: np.ndarray | None) -> None:
        """Hand the search what it wanted; None where that failed."""
        anchor = self.search.wanted
        assert anchor is not None
        self.impulses += self.table_calls
        if tables is None:
            self.search.take(None)
            return
        heard = next(row for point, row in zip(self.points, self.heard, strict=True) if np.array_equal(point, anchor))
        assert heard is not None
        self.search.take(Foretold(anchor, heard, tables))


def drive(trials: Sequence[Trial], farm: Farm, report: Callable[[], None] = lambda: None) -> None:
    """Let searches ask, render for all of them at once, and tell them; until each is done.

    Parameters
    ----------
    trials : sequence of Trial
    farm : Farm
    report : callable
        Called after each turn.
    """
    while going := [trial for trial in trials if trial.going]:
        asked = [trial.search.ask(trial.left) for trial in going]
        results = iter(
            farm.run([trial.job(point) for trial, points in zip(going, asked, strict=True) for point in points])
        )
        for trial, points in zip(going, asked, strict=True):
            rows: list[np.ndarray | None] = []
            for _ in points:
                result = next(results)
                rows.append(None if result.failure else np.asarray(result.value, np.float64))
                if result.failure:
                    trial.failure = f"{result.failure.plugin}: {result.failure.message}"
            trial.tell(points, rows)
        wanting = [(trial, job) for trial in going if (job := trial.wanted()) is not None]
        for (trial, _), result in zip(wanting, farm.run([job for _, job in wanting]), strict=True):
            trial.take(None if result.failure else result.value)
        report()


def hear_setting(
    worker: Any, spec: ChainSpec, audio: AudioRef, positions: np.ndarray, sample_rate: int, channel: int | None = None
) -> np.ndarray:
    """Render an excerpt and measure the statistics of one channel, or of their mean; runs in a farm worker.

    Raises
    ------
    PluginError
        What came out is no sound.
    """
    made = worker.chain(spec).render(worker.audio(audio), positions, sample_rate)
    flaw = audio_flaw(made)
    if flaw:
        raise PluginError(f"{spec.label}: {flaw}")
    return statistics(made.mean(axis=0) if channel is None else made[channel], sample_rate)


def make_trial(
    objective: Objective,
    options: Refinement,
    spec: ChainSpec,
    audio: AudioRef,
    sample_rate: int,
    *,
    seed: int,
    channel: int | None = None,
) -> Trial:
    """Prepare a search on an excerpt that renders are made of."""
    search = make_search(options.method, objective, seed=seed, reach=options.reach, known=known_gain(spec))
    job, seconds = hearing(spec, audio, sample_rate, channel), audio.shape()[1] / sample_rate
    if not isinstance(search, GuidedSearch):
        return Trial(search, objective, job, options.renders)
    return Trial(
        search,
        objective,
        job,
        options.renders,
        tables=lambda anchor: table_job(spec, anchor, sample_rate, seconds),
        table_calls=table_calls(spec, seconds),
    )


def hearing(
    spec: ChainSpec, audio: AudioRef, sample_rate: int, channel: int | None = None
) -> Callable[[np.ndarray], CallJob]:
    """Give what makes a job of a setting: render and measure it."""
    channels, samples = audio.shape()
    seconds = samples / sample_rate
    cost = spec.cost_s(seconds, sample_rate, channels) + MEASURE_S * seconds * sample_rate / RATE

    def job(positions: np.ndarray) -> CallJob:
        return CallJob(function=hear_setting, args=(spec, audio, positions, sample_rate, channel), spec=spec, cost=cost)

    return job


def excerpt(source: Path, seconds: float, trim_db: float) -> tuple[np.ndarray, int | None]:
    """Choose the active stretch of a file that is most like all of them.

    Returns
    -------
    float32 [channels, samples]
        At the file's own rate.
    int or None
        The channel to hear, where the mean of all would cancel.
    """
    heard = listen(source, RATE, round(seconds * RATE))
    styles = np.stack([style_of(statistics(clip, RATE)) for clip in heard.stretches])
    start = heard.starts[int(np.argmin(style_distance(styles, styles.mean(axis=0))))]
    rate = info(source).sample_rate
    audio, _ = read_audio(source, start=round(start * rate), frames=round(seconds * rate))
    return audio * np.float32(10 ** (trim_db / 20)), heard.channel


def style_target(references: Sequence[Path], seconds: float) -> np.ndarray:
    """Average the styles of all active stretches of the references, float64 [STYLE]."""
    clips = [clip for path in references for clip in listen(path, RATE, round(seconds * RATE)).stretches]
    return np.mean([style_of(statistics(clip, RATE)) for clip in clips], axis=0)


def refine(
    spec: ChainSpec,
    farm: Farm,
    source: Path,
    references: Sequence[Path],
    start: np.ndarray,
    options: Refinement,
    *,
    trim_db: float = 0.0,
    amount: float = 1.0,
    report: Report = lambda renders, before, best: None,
) -> Refined:
    """Search from a setting for one that comes nearer to the references' style.

    Parameters
    ----------
    spec : ChainSpec
    farm : Farm
    source : Path
    references : sequence of Path
        They count as one style.
    start : float64 [controls]
        Positions; what is found is never farther from the style than they are.
    options : Refinement
    trim_db : float
        Gain before the first plugin, dB.
    amount : float, 0 to 1
        How much of the way from the plugins' defaults to what is found to go; its distance is measured by one more
        render.
    report : callable
        Told the renders done, the distance at the start and the best one.

    Returns
    -------
    Refined
        Ctrl-C ends the search early and keeps the best so far.

    Raises
    ------
    AudioError
    PluginError
        Every render failed.
    """
    target = style_target(references, options.seconds)
    clip, channel = excerpt(source, options.seconds, trim_db)
    objective = Objective(spec.space, target, start, options.pull, spectrum=options.spectrum)
    interrupted = False
    with tempfile.TemporaryDirectory(prefix="afx-") as folder:
        np.save(Path(folder, "excerpt.npy"), clip)
        audio = AudioRef(path=str(Path(folder, "excerpt.npy")))
        rate = info(source).sample_rate
        trial = make_trial(objective, options, spec, audio, rate, seed=options.seed, channel=channel)
        try:
            drive([trial], farm, lambda: _report(trial, report))
        except KeyboardInterrupt:
            if not np.isfinite(trial.distances).any():
                raise
            interrupted = True
        blended = blend(spec.space, trial.points[trial.best()], amount)
        try:
            made, after = _measured(trial, farm, blended, amount)
        except KeyboardInterrupt:
            # What was found is not lost for want of a number.
            made, after, interrupted = blended, np.nan, True
    if not np.isfinite(trial.distances).any():
        raise PluginError(f"all of {len(trial.points)} renders failed; the last: {trial.failure}; nothing was written")
    first = trial.distances[0]
    return Refined(
        positions=made,
        before=first if np.isfinite(first) else None,
        after=after if np.isfinite(after) else None,
        renders=trial.counted,
        failed=trial.failed,
        curve=tuple(trial.curve()),
        interrupted=interrupted,
    )


def _measured(trial: Trial, farm: Farm, blended: np.ndarray, amount: float) -> tuple[np.ndarray, float]:
    """Give what is to be written, and its distance: of the best setting, or of one on the way to it."""
    best = trial.best()
    if amount == 1 or not np.isfinite(trial.distances).any():
        return trial.points[best], trial.distances[best]
    for point, distance in zip(trial.points, trial.distances, strict=True):
        if np.array_equal(point, blended):
            return blended, distance
    (result,) = farm.run([trial.job(blended)])
    if result.failure is not None:
        return blended, np.nan
    return blended, trial.distance_of(result.value)


def blend(space: ControlSpace, positions: np.ndarray, amount: float) -> np.ndarray:
    """Go a share of the way, 0 to 1, from the plugins' defaults to positions [controls]; steps stay on their grid."""
    return space.snap(space.defaults + amount * (positions - space.defaults))


def _report(trial: Trial, report: Report) -> None:
    if not np.isfinite(trial.distances).any() and len(trial.points) >= min(trial.renders, 24):
        raise PluginError(
            f"all of the first {len(trial.points)} renders failed; the last: {trial.failure}; nothing was written"
        )
    report(trial.counted, trial.distances[0], trial.distances[trial.best()])
