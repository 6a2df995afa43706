"""Versions of what a trained network depends on."""

from __future__ import annotations

from blackbox_afx import __version__


def versions() -> dict[str, str]:
    """Give the versions of this package, numpy, torch and the plugin hosts."""
    from importlib.metadata import version

    # The package itself may run from a checkout that nothing installed.
    return {"blackbox-afx": __version__} | {
        name: version(name) for name in ("numpy", "torch", "pedalboard", "dawdreamer")
    }
