"""Find out which of the plugins on this machine load and render, each away from the calling process.

Conventions: a plugin is loaded and renders a tenth of a second; `probe` finds out the rest. Several share a process to
save its start, and one that seems to crash or hang there is tried once more alone before it is blamed. Results are
kept by the hash of the binary.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Literal

import msgspec

from blackbox_afx import __version__
from blackbox_afx.errors import AfxError, PluginError, UsageError
from blackbox_afx.plugins.cache import cache_folder, keep
from blackbox_afx.plugins.identity import binary_of, file_hash, format_of
from blackbox_afx.plugins.locate import installed
from blackbox_afx.plugins.profile import Format, Identity
from blackbox_afx.plugins.throwaway import Ended, run_child

WORKER = "blackbox_afx.plugins.scan_worker"
FORMATS: tuple[Format, ...] = ("vst3", "vst2", "lv2")
BATCH = 8


class ScanRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how one plugin fares.

    Parameters
    ----------
    path : str
        Its file or bundle.
    format : str
    name : str
        As the plugin or its bundle says; empty where it did not come to that.
    uri : str
        LV2 URI.
    status : {"ok", "refuses", "crashes", "hangs"}
    reason : str
        Why it is not ok.
    channels : tuple of int
        Channel counts that it renders.
    seconds : float
        To load and render.
    """

    path: str
    format: str
    name: str = ""
    uri: str = ""
    status: Literal["ok", "refuses", "crashes", "hangs"]
    reason: str = ""
    channels: tuple[int, ...] = ()
    seconds: float = 0.0


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Name something that may be a plugin."""

    path: str
    format: Format
    uri: str = ""
    name: str = ""


Told = Callable[[int, int, ScanRow], None]
"""(done, total, row)"""


def scan(
    paths: Sequence[str | Path] | None = None,
    jobs: int = 2,
    *,
    timeout_s: float = 15.0,
    fresh: bool = False,
    on_row: Told | None = None,
) -> list[ScanRow]:
    """Load and shortly run every plugin found.

    Parameters
    ----------
    paths : sequence of paths, optional
        Plugin files, bundles or folders of them; by default where the systems keep VST3, VST2 and LV2 plugins.
    jobs : int > 0
        Processes at a time.
    timeout_s : float > 0
        Seconds that one plugin may take.
    fresh : bool
        Try all again, also what is in the cache.
    on_row : callable, optional
        Told of each plugin, from the calling thread.

    Returns
    -------
    list of ScanRow
        By format, then path.

    Raises
    ------
    UsageError
        A path that is not there.
    """
    if jobs < 1:
        raise UsageError(f"jobs = {jobs}, expected at least 1")
    candidates = find_candidates(paths)
    cache = {} if fresh else _read_cache()
    rows: list[ScanRow] = []
    keys = {candidate: _key(candidate) for candidate in candidates}
    waiting = []

    def take(new: Sequence[ScanRow]) -> None:
        for row in new:
            rows.append(row)
            if on_row is not None:
                on_row(len(rows), max(len(candidates), len(rows)), row)

    for candidate in candidates:
        known = cache.get(keys[candidate], [])
        if known:
            take([msgspec.structs.replace(row, path=candidate.path) for row in known])
        else:
            waiting.append(candidate)
    stop = threading.Event()
    batches = [waiting[at : at + BATCH] for at in range(0, len(waiting), BATCH)]
    # Few plugins: rather one each than one process with all.
    if len(waiting) < BATCH * jobs:
        size = max(1, -(-len(waiting) // jobs))
        batches = [waiting[at : at + size] for at in range(0, len(waiting), size)]
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_try_batch, batch, timeout_s, stop.is_set) for batch in batches]
        try:
            for future in as_completed(futures):
                for candidate, found in future.result():
                    cache[keys[candidate]] = found
                    take(found)
        finally:
            # Also when interrupted: the children end within milliseconds, and what is known is kept.
            stop.set()
            for future in futures:
                future.cancel()
            if waiting:
                _write_cache(cache)
    return sorted(rows, key=lambda row: (FORMATS.index(row.format), row.path, row.name, row.uri))  # type: ignore[arg-type]


def find_candidates(paths: Sequence[str | Path] | None = None) -> list[Candidate]:
    """List what looks like a plugin by its name; nothing is loaded.

    Raises
    ------
    UsageError
        A path that is not there.
    """
    files: list[tuple[Path, Format]] = []
    if paths is None:
        files = [(path, format) for format in FORMATS for path in installed(format)]
    else:
        for entry in paths:
            path = Path(entry).expanduser()
            if not path.exists():
                raise UsageError(f"{entry}: no such file or folder; give plugin files or folders that hold some")
            files += _inside(path)
    return [candidate for path, format in files for candidate in _candidates(path, format)]


def _inside(path: Path, above: tuple[str, ...] = ()) -> list[tuple[Path, Format]]:
    """List plugin files in a folder and its sub-folders, without going into bundles."""
    format = format_of(str(path))
    if format in FORMATS:
        return [(path, format)]
    real = os.path.realpath(path)
    if not path.is_dir() or real in above:  # a link to where we come from
        return []
    try:
        children = sorted(path.iterdir())
    except OSError as error:
        if above:
            return []
        raise UsageError(f"{path}: can't be read ({error.strerror}); give a folder you may read") from None
    return [entry for child in children for entry in _inside(child, (*above, real))]


def _candidates(path: Path, format: Format) -> list[Candidate]:
    if format != "lv2":
        return [Candidate(path=str(path), format=format)]
    from blackbox_afx.plugins.identity import lv2_plugins

    try:
        return [Candidate(path=str(path), format=format, uri=uri, name=name) for uri, name in lv2_plugins(path)]
    except PluginError:
        return [Candidate(path=str(path), format=format)]


def _try_batch(
    batch: Sequence[Candidate], timeout_s: float, stop: Callable[[], bool]
) -> list[tuple[Candidate, list[ScanRow]]]:
    """Try plugins in one process; whoever is at it when that ends is tried again alone."""
    found: dict[int, list[ScanRow]] = {}
    waiting = list(range(len(batch)))
    while waiting and not stop():
        current = waiting[0]

        def hear(answer: dict[str, Any]) -> None:
            nonlocal current
            if "stage" in answer:
                current = int(answer["stage"])
                found.setdefault(current, [])
            elif "row" in answer:
                found[current].append(msgspec.convert(answer["row"], ScanRow))
            elif "error" in answer:
                raise PluginError(answer["error"])

        items = [{"place": place, **msgspec.to_builtins(batch[place])} for place in waiting]
        try:
            run_child(WORKER, {"items": items}, hear, quiet_s=timeout_s, stop=stop)
            # Whoever left without a word has ended the process with status 0.
            ended = Ended("crash", "ended the process") if not _finished(found, waiting) else None
        except Ended as problem:
            ended = problem
        except AfxError as error:
            ended = Ended("crash", str(error))
        if ended is None:
            break
        if ended.how == "stop":
            break
        done = [place for place in waiting if place in found and place != current]
        if len(waiting) == 1:
            status: Literal["crashes", "hangs"] = "hangs" if ended.how == "hang" else "crashes"
            found[current] = [_blamed(batch[current], status, ended.reason)]
        else:
            found.pop(current, None)
            alone = _try_batch([batch[current]], timeout_s, stop)
            if alone:
                found[current] = alone[0][1]
            done.append(current)
        waiting = [place for place in waiting if place not in done and place not in found]
    return [(batch[place], rows) for place, rows in sorted(found.items()) if rows]


def _finished(found: dict[int, list[ScanRow]], waiting: Sequence[int]) -> bool:
    return all(found.get(place) for place in waiting)


def _blamed(candidate: Candidate, status: Literal["crashes", "hangs"], reason: str) -> ScanRow:
    return ScanRow(
        path=candidate.path,
        format=candidate.format,
        name=candidate.name or Path(candidate.path).stem,
        uri=candidate.uri,
        status=status,
        reason=reason,
    )


def _key(candidate: Candidate) -> str:
    """Name a cache entry by what decides the result."""
    path = Path(candidate.path)
    try:
        code = file_hash(binary_of(Identity(format=candidate.format, uri=candidate.uri), path))
    except PluginError:
        # Nothing to hash, so nothing to keep either: its place and date must do.
        code = f"{path}{path.lstat().st_mtime_ns}" if path.exists() else str(path)
    # The bundle's own name too: the same binary laid out otherwise may not load.
    parts = (__version__, candidate.format, path.name, str(path.is_dir()), code or str(path), candidate.uri)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _cache_file() -> Path:
    return cache_folder() / "scan.json"


def _read_cache() -> dict[str, list[ScanRow]]:
    try:
        return msgspec.json.decode(_cache_file().read_bytes(), type=dict[str, list[ScanRow]])
    except (OSError, msgspec.DecodeError):
        return {}


def _write_cache(cache: dict[str, list[ScanRow]]) -> None:
    keep(_cache_file(), msgspec.json.encode({**_read_cache(), **cache}))
