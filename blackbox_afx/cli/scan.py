"""`afx scan`: which of the plugins on this machine load and render."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from cyclopts import Parameter

from blackbox_afx.cli.checks import Whole
from blackbox_afx.cli.console import emit_json, example, progress, say, table
from blackbox_afx.errors import UsageError


@example(
    """
$ afx scan
STATUS   FORMAT  NAME     CHANNELS  PLUGIN
ok       vst3    ZamComp  1         /usr/lib/vst3/ZamComp.vst3
crashes  vst3    broken             /home/me/.vst3/broken.vst3: SIGSEGV
...
18 plugins: 17 ok, 1 crashes
$ afx scan ~/new-plugins --json | jq '.[] | select(.status != "ok")'
""",
    takes="[PATH...]",
)
def scan(
    *paths: Annotated[str, Parameter(name="PATH")],
    jobs: Whole = 2,
    timeout: float = 15.0,
    fresh: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Load and shortly run every plugin, in processes that it may crash.

    What was found is kept by the hash of each plugin's file, so that a second scan only tries what is new.

    Parameters
    ----------
    paths
        Plugins, or folders of them; by default where this system keeps VST3, VST2 and LV2 plugins.
    jobs
        Processes at a time.
    timeout
        Seconds that one plugin may take.
    fresh
        Try everything again.
    as_json
        Print JSON.
    """
    from blackbox_afx.plugins.scan import scan as examine

    if jobs < 1:
        raise UsageError(f"--jobs {jobs}; expected at least 1")
    if not 0 < timeout < float("inf"):
        raise UsageError(f"--timeout {timeout:g}: expected seconds above 0")
    with progress("scanning", total=1) as meter:
        rows = examine(
            list(paths) or None,
            jobs,
            timeout_s=timeout,
            fresh=fresh,
            on_row=lambda done, total, row: meter.update(done, f"{row.name} {row.status}", total=total),
        )
    if as_json:
        emit_json(rows)
        return
    if rows:
        table(
            ["STATUS", "FORMAT", "NAME", "CHANNELS", "PLUGIN"],
            [
                [
                    row.status,
                    row.format,
                    row.name,
                    " ".join(str(count) for count in row.channels),
                    (row.uri or row.path) + (f": {row.reason}" if row.reason else ""),
                ]
                for row in rows
            ],
        )
    counts = Counter(row.status for row in rows)
    told = ", ".join(f"{counts[status]} {status}" for status in ("ok", "refuses", "crashes", "hangs") if counts[status])
    say(f"{len(rows)} plugins" + (f": {told}" if told else " found"))
