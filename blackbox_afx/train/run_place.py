"""Where a run keeps what it must not lose, and what may be in its way; free of torch, to be asked first of all."""

from __future__ import annotations

from pathlib import Path

from blackbox_afx.errors import OutputError

REPLACE = "replace"
"""In a run's folder: its output may be replaced."""


def run_path(out: Path) -> Path:
    """Name the folder of a run beside its output."""
    return out.with_name(out.name + ".run")


def check_run_place(out: Path, *, resume: bool, force: bool) -> None:
    """Raise where an output or an unfinished run is in the way, or there is none to go on with.

    Raises
    ------
    OutputError
    """
    path = run_path(out)
    if out.is_dir():
        raise OutputError(f"{out} is a folder; give the name of a file, for example {out / 'my.afx'}")
    if out.exists() and not (force or (resume and (path / REPLACE).exists())):
        raise OutputError(f"{out} exists; give --force to replace it, or another name")
    if path.exists() and not (resume or force):
        raise OutputError(f"{path} holds an unfinished run; give --resume to go on or --force to start afresh")
    if resume and not path.exists():
        raise OutputError(f"there is no unfinished run at {path}; leave out --resume to start one")
