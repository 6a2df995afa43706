"""Write a session in a DAW's own format; one format a file.

Conventions: an exporter takes a `Session` and writes one file or folder; what the format can't hold is an error, or a
warning that names it, never dropped in silence. Nothing that exists is replaced without ``force``.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from blackbox_afx.errors import UsageError, nearest
from blackbox_afx.session import Session

Latency = Literal["shift", "none"]
"""What becomes of lanes of plugins with latency: moved for the DAW to apply them where our render did, or left."""

EXPORTERS = {
    "ardour": "blackbox_afx.export.ardour:ArdourExporter",
    "csv": "blackbox_afx.export.csv:CsvExporter",
    "dawproject": "blackbox_afx.export.dawproject:DawprojectExporter",
    "json": "blackbox_afx.export.json:JsonExporter",
    "midi": "blackbox_afx.export.midi:MidiExporter",
    "reascript": "blackbox_afx.export.reascript:ReascriptExporter",
    "rpp": "blackbox_afx.export.rpp:RppExporter",
    "vstpreset": "blackbox_afx.export.vstpreset:VstpresetExporter",
}
"""Format to the class that writes it, imported when asked for."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """Say what was written.

    Parameters
    ----------
    path : Path
        What to open.
    files : tuple of Path
        All that was written, `path` among them, where it is more than one file.
    warnings : tuple of str
        What the format could not hold, one line each.
    """

    path: Path
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Exporter(Protocol):
    """Something that writes sessions.

    Attributes
    ----------
    name : str
        As in `EXPORTERS`.
    suffix : str
        Of what it writes, with its dot; empty for a folder.
    formats : frozenset of str
        Plugin formats that it can hold.
    experimental : bool
        Whether no program that opens the format was ever seen to open what it writes.
    """

    name: str
    suffix: str
    formats: frozenset[str]
    experimental: bool

    def write(
        self,
        session: Session,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        latency: Latency = "shift",
        **options: Any,
    ) -> Exported:
        """Write a session.

        Parameters
        ----------
        session : Session
            Its `bpm` is the tempo, for formats that count in beats.
        path : path
            File or folder to make.
        force : bool
            Replace what is there.
        latency : {"shift", "none"}
            Whether lanes are moved by each plugin's latency.
        **options
            Of one exporter alone.

        Raises
        ------
        OutputError
            It exists and `force` is false, or can't be written.
        UsageError
            The format can't hold the session; an option is unknown.
        """
        ...


def exporter(name: str) -> Exporter:
    """Give the exporter of a format.

    Raises
    ------
    UsageError
        No format goes by that name.
    """
    if name not in EXPORTERS:
        raise UsageError(f"no export is called '{name}'; {nearest(name, list(EXPORTERS))}")
    module, _, cls = EXPORTERS[name].partition(":")
    return getattr(import_module(module), cls)()


def export(
    session: Session,
    to: str,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    bpm: float | None = None,
    latency: Latency = "shift",
    **options: Any,
) -> Exported:
    """Write a session in a format by name; see `Exporter.write`.

    Parameters
    ----------
    session : Session
    to : str
        A key of `EXPORTERS`.
    path : path
    force : bool
    bpm : float, optional
        Another tempo than the session's.
    latency : {"shift", "none"}
    """
    if latency not in ("shift", "none"):
        raise UsageError(f"latency = '{latency}'; expected shift or none")
    if bpm is not None:
        session = msgspec.structs.replace(session, bpm=float(bpm))
    return exporter(to).write(session, path, force=force, latency=latency, **options)
