"""Style controllers for black-box audio plugins.

The public names load on first use, so that importing the package loads neither torch nor a plugin host.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

PUBLIC = {
    "AfxError": "blackbox_afx.errors",
}
"""Public name to the module it lies in."""

__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(
            f"module 'blackbox_afx' has no attribute {name!r}; it has {', '.join(sorted(PUBLIC))}"
        )
    value = getattr(importlib.import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
