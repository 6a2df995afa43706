"""Write the session itself, as JSON, to be read by scripts and exported again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from blackbox_afx.errors import UsageError
from blackbox_afx.export import Exported, Latency
from blackbox_afx.session import Session, write_session


class JsonExporter:
    """Write ``NAME.session.json``: an `Exporter` that holds everything."""

    name = "json"
    suffix = ".session.json"
    formats = frozenset({"vst3", "vst2", "lv2", "faust", "builtin"})
    experimental = False

    def write(
        self,
        session: Session,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        latency: Latency = "shift",
        **options: Any,
    ) -> Exported:
        """Write a session; see `Exporter.write`. Lanes are never moved: the latency stands beside them."""
        if options:
            raise UsageError(f"json: no option is called {', '.join(sorted(options))}; it has force and bpm")
        return Exported(path=write_session(session, Path(path), force=force))
