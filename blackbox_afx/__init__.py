"""Style controllers for black-box audio plugins.

The public names load on first use, so that importing the package loads neither torch nor a plugin host.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names for type checkers and editors, which run no __getattr__
    from blackbox_afx.audio import read_audio, write_audio
    from blackbox_afx.errors import AfxError
    from blackbox_afx.plugins.chain import Chain, ChainSpec
    from blackbox_afx.plugins.control import Control
    from blackbox_afx.plugins.farm import Farm
    from blackbox_afx.plugins.probe import probe
    from blackbox_afx.plugins.profile import Profile, load_profile
    from blackbox_afx.plugins.trajectory import Trajectory
    from blackbox_afx.transfer.match import match
    from blackbox_afx.transfer.style_controller import StyleController

__version__ = "0.1.0"

PUBLIC = {
    "AfxError": "blackbox_afx.errors",
    "Chain": "blackbox_afx.plugins.chain",
    "ChainSpec": "blackbox_afx.plugins.chain",
    "Control": "blackbox_afx.plugins.control",
    "Farm": "blackbox_afx.plugins.farm",
    "Profile": "blackbox_afx.plugins.profile",
    "StyleController": "blackbox_afx.transfer.style_controller",
    "Trajectory": "blackbox_afx.plugins.trajectory",
    "load_profile": "blackbox_afx.plugins.profile",
    "match": "blackbox_afx.transfer.match",
    "probe": "blackbox_afx.plugins.probe",
    "read_audio": "blackbox_afx.audio",
    "write_audio": "blackbox_afx.audio",
}
"""Public name to the module it lies in."""

__all__ = [
    "AfxError",
    "Chain",
    "ChainSpec",
    "Control",
    "Farm",
    "Profile",
    "StyleController",
    "Trajectory",
    "__version__",
    "load_profile",
    "match",
    "probe",
    "read_audio",
    "write_audio",
]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'blackbox_afx' has no attribute {name!r}; it has {', '.join(sorted(PUBLIC))}")
    value = getattr(importlib.import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
