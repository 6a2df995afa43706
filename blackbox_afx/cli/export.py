"""`afx export`: write a result as a project, preset or table that a DAW opens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter

from blackbox_afx.cli.console import emit_json, example, note, say, warn
from blackbox_afx.errors import UsageError

Flag = Parameter(negative="")


@example("""
$ afx export styled.session.json --to dawproject --out styled.dawproject
3 lanes of 2 plugins, 41 points
wrote styled.dawproject
$ afx export styled.session.json --to ardour --out styled-ardour --bpm 96
$ afx export styled.controls.json --to vstpreset --out styled.vstpreset
""")
def export(
    result: Annotated[Path, Parameter(name="RESULT")],
    /,
    *,
    to: str,
    out: Path,
    bpm: float | None = None,
    latency: str = "shift",
    eps: float | None = None,
    force: Annotated[bool, Flag] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Write a result for a DAW; nothing is rendered again.

    Parameters
    ----------
    result
        NAME.session.json, or NAME.controls.json for settings without automation.
    to
        ardour, dawproject, reascript, rpp, vstpreset, midi or csv.
    out
        The file to write, which gets the format's ending where it has none; for ardour, the folder.
    bpm
        Constant tempo for formats that count in beats; the session's own by default, 120.
    latency
        shift moves lanes earlier by their plugin's latency, none leaves them.
    eps
        Thin the lanes further, to this share of a control's range; the transfer thinned them with 0.002.
    force
        Replace what is there.
    as_json
        Print what was written as JSON.
    """
    from blackbox_afx import export as writers
    from blackbox_afx.export.rethin import rethin_session

    writer = writers.exporter(to)
    if latency not in ("shift", "none"):
        raise UsageError(f"latency = '{latency}'; expected shift or none")
    session, warnings = _read(result)
    if not out.suffix:
        # A DAW offers only files that end as it knows them.
        out = out.with_name(out.name + writer.suffix)
    if out.resolve() == result.resolve():
        raise UsageError(f"{out} is the result itself; give another name for the export")
    notes: list[str] = []
    if eps is not None:
        session, notes = rethin_session(session, eps)
    if bpm is not None and not 1 <= bpm <= 999:
        raise UsageError(f"--bpm {bpm:g}; expected 1 to 999 beats a minute")
    done = writers.export(session, to, out, force=force, bpm=bpm, latency=cast(writers.Latency, latency))
    plugins = [plugin for track in session.tracks for plugin in track.plugins]
    lanes = [lane for plugin in plugins for lane in plugin.lanes]
    points = sum(len(lane.times) for lane in lanes)
    warnings = [*warnings, *done.warnings]
    if as_json:
        emit_json(
            {
                "format": to,
                "experimental": writer.experimental,
                "path": done.path,
                "files": done.files or (done.path,),
                "plugins": len(plugins),
                "lanes": len(lanes),
                "points": points,
                "notes": notes,
                "warnings": warnings,
            }
        )
        return
    for text in warnings:
        warn(text)
    say(f"{_count(len(lanes), 'lane')} of {_count(len(plugins), 'plugin')}, {_count(points, 'point')}")
    for text in notes:
        say(text)
    for file in done.files or (done.path,):
        note(f"wrote {file}")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _read(path: Path) -> tuple[Any, list[str]]:
    """Read a session, or make one of a controls file; which it is, its content tells."""
    from blackbox_afx.export.from_controls import content_of, session_from_controls
    from blackbox_afx.session import read_session

    content = content_of(path)
    if isinstance(content, dict) and "tracks" not in content and "plugins" in content:
        return session_from_controls(path)
    return read_session(path), []
