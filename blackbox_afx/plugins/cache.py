"""The folder where what was measured once is kept: probes and scans.

Conventions: ``$AFX_CACHE`` names it; otherwise it is ``blackbox_afx`` in the system's cache folder of the user.
All in it may be deleted at any time.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Give the cache folder, which need not exist yet."""
    if chosen := os.environ.get("AFX_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "blackbox_afx"


def keep(path: Path, data: bytes) -> bool:
    """Write a cache file beside its place and rename it there; say whether that worked.

    Notes
    -----
    A cache that can't be written costs time, not results, so there is no error.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".part", delete=False) as file:
            file.write(data)
        os.replace(file.name, path)
    except OSError:
        return False
    return True
