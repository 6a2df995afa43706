"""Chunks through `joblib.Parallel`: any backend but loky, without recovery where a worker dies.

Conventions: no backend is named. What joblib is configured for is what runs, dask included.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterator
from typing import Any

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool

from blackbox_afx.errors import FarmError
from blackbox_afx.plugins.farm_loky import active_backend
from blackbox_afx.plugins.farm_worker import Chunk, Report, run_chunk


def run_chunks(chunks: list[Chunk], workers: int, log: str, patience_s: float) -> Iterator[Report]:
    """Do chunks and yield their reports as they come, or all at the end where the backend can't do better.

    Parameters
    ----------
    chunks : list of Chunk
    workers : int
    log : str
    patience_s : float
        Seconds that a chunk may take, where the backend heeds that.

    Raises
    ------
    FarmError
        A worker was lost.
    """
    backend, _ = active_backend()
    generator = getattr(backend, "supports_return_generator", False)
    options: dict[str, Any] = {"return_as": "generator_unordered" if generator else "list"}
    if getattr(backend, "supports_timeout", False):
        options["timeout"] = patience_s
    parallel = joblib.Parallel(n_jobs=workers, prefer="processes", batch_size=1, **options)
    reports: Any = None
    try:
        reports = parallel(joblib.delayed(run_chunk)(chunk, log, os.getpid()) for chunk in chunks)
        yield from reports
    except (BrokenProcessPool, TimeoutError, multiprocessing.TimeoutError) as error:
        raise FarmError(f"a worker was lost ({type(error).__name__}); joblib's loky backend recovers") from error
    finally:
        if hasattr(reports, "close"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reports.close()
