"""Many renders on several processes, none of which can take the others down.

Conventions: jobs go to workers in *chunks*, long ones first and short ones last. A worker journals each job's start
and result, so that a crash or a hang costs the job it happened in and no other; that job is tried once more, alone,
and what fails twice is quarantined by (plugins, values).

Time-outs, recovery and recycling are promised on joblib's default backend (loky); others run without and say so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

import joblib
import msgspec

from blackbox_afx.errors import FarmError
from blackbox_afx.plugins import farm_joblib, farm_loky, journal
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm_run import Event, Run
from blackbox_afx.plugins.farm_share import share
from blackbox_afx.plugins.farm_watch import Watch
from blackbox_afx.plugins.farm_worker import Chunk, Report, Worker, load_chain
from blackbox_afx.plugins.jobs import CallJob, Failure, Job, Result
from blackbox_afx.plugins.journal import Outcome

IDLE_ROUNDS = 5
"""Rounds in a row that may bring nothing back, before the run is given up."""
ROUND_S = 60.0
"""Seconds a worker gets at a time; between rounds workers that have grown are replaced."""
STALL_S = 60.0
LOAD_FACTOR = 20.0
"""How many times longer than the profiles say the loading of plugins may take."""
BARREN_LOSSES = 3
"""Workers that may die in a row with no job to blame and none finished."""

Progress = Callable[[int, int], None]


class Farm:
    """Run jobs on worker processes; close it, or use it in a ``with`` statement.

    Parameters
    ----------
    n_jobs : int, optional
        Workers; as set with `joblib.parallel_config`, or one a core, by default. Plugins from outside get at least
        two processes; 1 runs jobs with nothing but built-in effects in this process.
    timeout_factor, timeout_extra_s : float
        A job may take `timeout_factor` times its estimated cost and `timeout_extra_s` seconds, beside the loading.
    load_s : float
        Loading a job's plugins may take so many seconds, or 20 times what their profiles say where that is more.
    memory_limit_mb : float
        Megabytes by which a worker may grow before all are replaced, between rounds.
    log : path, optional
        Where native code's stderr goes; a file that is deleted with the farm by default.

    Attributes
    ----------
    quarantined : dict of str to Failure
        What failed twice, by `Job.key`; such jobs are not run again.
    events : list of Event
    busy_s : float
        Seconds that workers spent in chunks, all together.

    Examples
    --------
    >>> with Farm(n_jobs=2) as farm:  # doctest: +SKIP
    ...     results = farm.run(jobs)
    """

    def __init__(
        self,
        n_jobs: int | None = None,
        *,
        timeout_factor: float = 10.0,
        timeout_extra_s: float = 5.0,
        load_s: float = 10.0,
        memory_limit_mb: float = 250.0,
        log: str | os.PathLike[str] | None = None,
    ) -> None:
        backend, configured = farm_loky.active_backend()
        wanted = n_jobs if n_jobs is not None else configured
        self.n_jobs = joblib.cpu_count() if wanted is None else max(1, backend.effective_n_jobs(wanted))
        self.timeout_factor = timeout_factor
        self.timeout_extra_s = timeout_extra_s
        self.load_s = load_s
        self.memory_limit_mb = memory_limit_mb
        self.quarantined: dict[str, Failure] = {}
        self.events: list[Event] = []
        self.busy_s = 0.0
        self._folder = journal.make_folder()
        self._log = os.path.abspath(log) if log is not None else os.path.join(self._folder, "native.log")
        self._delete = weakref.finalize(self, shutil.rmtree, self._folder, True)
        self._number = 0
        # Measured over estimated seconds, for the size of chunks only.
        self._pace = 1.0
        self._first_rss: dict[int, int] = {}
        self._recycle = False
        self._lost_at: float | None = None
        self._local: Worker | None = None
        self._pool = farm_loky.Pool(max(2, self.n_jobs), self._log, self._folder)
        self._closing = False
        self._preparing: threading.Thread | None = None
        # By fingerprint of the chain, how it failed.
        self._unprepared: dict[str, Outcome] = {}

    def __enter__(self) -> Farm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers and delete the journals; closing twice does nothing."""
        self._closing = True
        self._pool.close()
        if self._preparing is not None:
            self._preparing.join()
            self._preparing = None
        if self._local is not None:
            self._local.close()
            self._local = None
        self._delete()

    def prepare(self, spec: ChainSpec) -> None:
        """Begin to start the workers and to load a chain in one, and return at once; the next run waits for that.

        Parameters
        ----------
        spec : ChainSpec

        Notes
        -----
        Saves time where this process has other work first. What goes wrong is told by the jobs that meet it again.
        Does nothing where jobs run in this process, and on other backends than loky.
        """
        if (self.n_jobs == 1 and spec.trusted) or not farm_loky.recovers(farm_loky.active_backend()[0]):
            return
        jobs: list[Job] = [CallJob(function=load_chain, args=(spec,), spec=spec, cost=0.1)]

        def load() -> None:
            quarantined, events = dict(self.quarantined), len(self.events)
            # Whatever it is, workers that were ended by `close` included, the jobs that follow meet it again.
            with contextlib.suppress(Exception):
                run = Run(jobs)
                run.once = True
                for _ in self._iterate(run):
                    pass
                for outcome in run.suspects.values():
                    self._unprepared[spec.fingerprint()] = outcome
            self.quarantined = quarantined
            del self.events[events:]

        self._wait_for_preparing()
        self._preparing = threading.Thread(target=load, name="farm-prepare", daemon=True)
        self._preparing.start()

    def _wait_for_preparing(self) -> None:
        if self._preparing is not None and self._preparing is not threading.current_thread():
            self._preparing.join()
            self._preparing = None

    def run(self, jobs: Iterable[Job], progress: Progress | None = None) -> list[Result]:
        """Run jobs and give their results in order.

        Parameters
        ----------
        jobs : iterable of Job
        progress : callable, optional
            Called with the numbers of jobs done and of all.

        Returns
        -------
        list of Result
            Each a value or a named failure.

        Raises
        ------
        FarmError
            Plugins from outside would run in this process, or workers can't be started.
        """
        jobs = list(jobs)
        results: list[Result | None] = [None] * len(jobs)
        for count, result in enumerate(self.run_iter(jobs), 1):
            results[result.index] = result
            if progress is not None:
                progress(count, len(jobs))
        return [result for result in results if result is not None]

    def run_iter(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Run jobs and yield their results as they come; see `run`."""
        if not self._delete.alive:
            raise FarmError("this farm is closed; make another")
        self._wait_for_preparing()
        yield from self._iterate(Run(list(jobs)))

    def _iterate(self, run: Run) -> Iterator[Result]:
        yield from self._turn_away(run)
        external = any(job.spec is not None and not job.spec.trusted for job in run.jobs)
        if self.n_jobs == 1 and not external:
            yield from self._run_here(run)
        elif run.left:
            workers = max(2, self.n_jobs)
            yield from self._run_there(run, workers, self._check_backend(workers, external))

    def _turn_away(self, run: Run) -> Iterator[Result]:
        """Fail what is quarantined."""
        if not self.quarantined:
            return
        for index, job in enumerate(run.jobs):
            known = self.quarantined.get(job.key())
            if known is not None:
                run.left.discard(index)
                message = f"quarantined after it failed twice: {known.message}"
                failure = msgspec.structs.replace(known, index=index, message=message)
                yield Result(index=index, failure=failure)

    def _run_here(self, run: Run) -> Iterator[Result]:
        self._local = self._local or Worker()
        for index in sorted(run.left):
            yield self._result(run, index, self._local.run(run.jobs[index]))

    def _check_backend(self, workers: int, external: bool) -> bool:
        """Refuse backends that would load outside plugins in this process; say where there is no recovery."""
        backend, _ = farm_loky.active_backend()
        name = type(backend).__name__
        threads = getattr(backend, "uses_threads", False)
        if external and (threads or backend.effective_n_jobs(workers) < 2):
            raise FarmError(
                f"joblib offers {name}, which would run plugins in this process; "
                "use a backend with processes (loky is joblib's default) outside of other workers"
            )
        recovers = farm_loky.recovers(backend)
        if not recovers and not any(event.kind == "backend" for event in self.events):
            text = f"joblib backend {name}: no time-outs, and no recovery where a worker dies"
            self._event("backend", text)
            warnings.warn(text, RuntimeWarning, stacklevel=4)
        return recovers

    def _run_there(self, run: Run, workers: int, recovers: bool) -> Iterator[Result]:
        for index in sorted(run.left):
            spec = run.jobs[index].spec
            # What failed while it was prepared is not given two more chances.
            failed = self._unprepared.pop(spec.fingerprint(), None) if spec is not None else None
            if failed is not None:
                run.suspects[index] = failed
        idle_rounds = 0
        while todo := sorted(run.left - run.suspects.keys()):
            yield from self._round(run, self._share(run, todo, workers), workers, recovers)
            self._recycle_grown()
            # Workers that do everything and bring nothing back would be asked for ever.
            idle_rounds = idle_rounds + 1 if sorted(run.left - run.suspects.keys()) == todo else 0
            if idle_rounds >= IDLE_ROUNDS:
                raise FarmError(
                    f"{len(todo)} jobs brought no result in {IDLE_ROUNDS} rounds, though no worker failed; workers and "
                    "this process may run different versions of the package, or the disk is full: start again"
                )
        if run.once:
            return
        # The rest is safe by now; each suspect gets the workers to itself, so that nothing else can be to blame.
        for index in sorted(run.suspects):
            first = run.suspects.pop(index)
            self._event("retry", f"job {index} alone, after {first.message}")
            while index in run.left and index not in run.suspects:
                yield from self._round(run, [(index,)], workers, recovers)
            if index in run.suspects:
                yield self._result(run, index, run.suspects.pop(index))

    def _share(self, run: Run, todo: list[int], workers: int) -> list[tuple[int, ...]]:
        """Cut the next round's jobs into chunks."""
        costs, total = [], 0.0
        for index in todo:
            costs.append(run.costs[index] * self._pace)
            total += costs[-1]
            if total > ROUND_S * workers:
                break
        return [tuple(todo[place] for place in places) for places in share(costs, workers)]

    def _limit(self, run: Run, index: int, loading: bool) -> float:
        if loading:
            spec = run.jobs[index].spec
            return max(self.load_s, LOAD_FACTOR * spec.load_s if spec is not None else 0.0)
        return self.timeout_factor * run.costs[index] + self.timeout_extra_s

    def _round(self, run: Run, shares: list[tuple[int, ...]], workers: int, recovers: bool) -> Iterator[Result]:
        """Hand chunks out once; what a dying worker leaves undone stays in `run.left` or `run.suspects`."""
        chunks = []
        for indices in shares:
            self._number += 1
            jobs = tuple(run.jobs[index] for index in indices)
            folder = self._folder if recovers else ""
            chunks.append(Chunk(number=self._number, folder=folder, indices=indices, jobs=jobs))
        slowest = max(sum(self._limit(run, index, False) for index in chunk.indices) for chunk in chunks)
        loading = max(self._limit(run, index, True) for chunk in chunks for index in chunk.indices)
        patience_s = slowest + loading + STALL_S
        if not recovers:
            by_number = {chunk.number: chunk for chunk in chunks}
            for report in farm_joblib.run_chunks(chunks, workers, self._log, patience_s):
                yield from self._collect(run, by_number[report.number], report)
            return
        watch = Watch(self._folder, lambda mark: self._limit(run, mark.index, bool(mark.loading)))
        before = len(run.left)
        reports = self._pool.run(chunks, patience_s, watch.add)
        try:
            watch.start()
            for report in reports:
                yield from self._collect(run, watch.active.pop(report.number), report)
                run.barren = 0
        except (*farm_loky.WORKER_LOST, TimeoutError) as error:
            watch.stop()
            self._lost_at = time.monotonic()
            self._first_rss.clear()
            yield from self._post_mortem(run, watch)
            run.barren = run.barren + 1 if len(run.left) == before and not run.suspects else 0
            if run.barren >= BARREN_LOSSES:
                raise FarmError(
                    f"workers died {run.barren} times in a row before they did anything; see {self._log}"
                ) from error
        finally:
            watch.stop()
            reports.close()

    def _collect(self, run: Run, chunk: Chunk, report: Report) -> Iterator[Result]:
        """Read a finished chunk's results."""
        if self._lost_at is not None:
            self._event("resumed", f"{report.started - self._lost_at:.2f} s after the worker was lost")
            self._lost_at = None
        outcomes = dict(report.results or {})
        if chunk.folder:
            outcomes.update(journal.read_results(self._folder, chunk.number))
            journal.drop(self._folder, chunk.number)
        self._learn(run, chunk, report)
        for index in chunk.indices:
            if index in outcomes:
                yield self._result(run, index, outcomes[index])

    def _learn(self, run: Run, chunk: Chunk, report: Report) -> None:
        estimated = sum(run.costs[index] for index in chunk.indices)
        self.busy_s += report.seconds
        if len(chunk.indices) > 1:
            self._pace += 0.3 * (report.seconds / estimated - self._pace)
        first = self._first_rss.setdefault(report.pid, report.rss)
        if report.rss - first > self.memory_limit_mb * 1e6:
            self._recycle = True

    def _post_mortem(self, run: Run, watch: Watch) -> Iterator[Result]:
        """Keep what was journalled and find which job was running when a worker died."""
        for number, chunk in sorted(watch.active.items()):
            outcomes = journal.read_results(self._folder, number)
            mark = journal.read_mark(self._folder, number)
            journal.drop(self._folder, number)
            for index, outcome in outcomes.items():
                yield self._result(run, index, outcome)
            if mark is None or mark.index not in run.left or mark.index not in chunk.indices:
                continue
            if mark.index in watch.hung:
                self._suspect(run, mark, "hang", watch.hung[mark.index])
            elif not watch.hung:
                self._suspect(run, mark, "crash", "the worker process died")

    def _suspect(self, run: Run, mark: journal.Mark, kind: str, message: str) -> None:
        run.suspects[mark.index] = Outcome(kind=kind, message=message, point=mark.point)
        plugin, _ = run.jobs[mark.index].describe(mark.point)
        self._event(kind, f"job {mark.index} ({plugin}): {message}")

    def _result(self, run: Run, index: int, outcome: Outcome) -> Result:
        """Word an outcome; put what the plugin is to blame for into quarantine."""
        run.left.discard(index)
        if not outcome.kind:
            return Result(index=index, value=outcome.value)
        job = run.jobs[index]
        plugin, values = job.describe(outcome.point)
        kind: Any = "exception" if outcome.kind == "refused" else outcome.kind
        failure = Failure(kind=kind, plugin=plugin, values=values, message=outcome.message, index=index)
        # A function's own exception is tried once only; all else has failed twice when it comes here.
        if outcome.kind in ("crash", "hang") or (outcome.kind != "refused" and job.spec is not None):
            self.quarantined[job.key()] = failure
            self._event("quarantine", f"{plugin}: {outcome.kind}, {outcome.message}")
        return Result(index=index, failure=failure)

    def _recycle_grown(self) -> None:
        if self._recycle:
            self._event("recycle", f"a worker grew by more than {self.memory_limit_mb:g} MB; all are replaced")
            self._pool.stop()
            self._first_rss.clear()
            self._recycle = False

    def _event(self, kind: str, text: str) -> None:
        self.events.append(Event(kind=kind, text=text, at=time.monotonic()))
