"""Conformance suites that every host, estimator, proxy and exporter must pass, ours and other people's.

Each is imported when it is first asked for, so that checking an estimator does not load a plugin host.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_SUITES = {
    "check_host": "hosts",
    "check_estimator": "estimators",
    "check_proxy": "proxies",
    "check_exporter": "exporters",
}


def __getattr__(name: str) -> Any:
    if name not in _SUITES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module = f"{__name__}.{_SUITES[name]}"
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != module:  # the suite is there, something it needs is not
            raise
        raise AttributeError(f"module '{__name__}' has no suite '{name}' yet") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUITES])
