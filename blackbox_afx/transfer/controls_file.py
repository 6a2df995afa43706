"""`NAME.controls.json`: which plugin, which controls, which values; enough to set them by hand or by a script."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.errors import OutputError
from blackbox_afx.plugins.chain import ChainSpec


def describe_controls(spec: ChainSpec, positions: np.ndarray) -> list[dict[str, Any]]:
    """List every plugin of a chain with its controls and their values.

    Parameters
    ----------
    spec : ChainSpec
    positions : float64 [controls]

    Returns
    -------
    list of dict
        A plugin each: ``name, format, class_id, uri, version, file, controls, held``; a control carries ``index,
        param_id, name, unit, normalised`` (the plugin's own 0 to 1), ``plain``, ``text`` and ``position``.
    """
    plugins = []
    for profile, part in zip(spec.profiles, spec.slices, strict=True):
        row = np.asarray(positions, np.float64)[part]
        raw, plain = profile.space.to_raw(row), profile.space.to_plain(row)
        controls = [
            {
                "index": control.index,
                "param_id": control.param_id,
                "symbol": control.symbol,
                "name": control.name,
                "unit": control.unit,
                "normalised": float(raw[k]),
                "plain": float(plain[k]),
                "text": control.text(float(plain[k])),
                "position": float(row[k]),
            }
            for k, control in enumerate(profile.active)
        ]
        held = [
            {
                "index": control.index,
                "param_id": control.param_id,
                "name": control.name,
                "unit": control.unit,
                "normalised": float(control.raw_from_plain(control.value)),
                "plain": control.value,
                "text": control.text(control.value),
            }
            for control in profile.held
            if control.value is not None
        ]
        identity = profile.identity
        plugins.append(
            {
                "name": profile.label,
                "profile": profile.name,
                "format": identity.format,
                "class_id": identity.class_id,
                "uri": identity.uri,
                "version": identity.version,
                "file": identity.file,
                "controls": controls,
                "held": held,
            }
        )
    return plugins


def controls_text(plugins: list[dict[str, Any]]) -> str:
    """Word the controls as aligned lines, a plugin a paragraph."""
    lines = []
    for plugin in plugins:
        lines.append(f"{plugin['name']} ({plugin['format']})")
        width = max((len(control["name"]) for control in plugin["controls"]), default=0)
        lines += [f"  {control['name']:<{width}}  {control['text']}" for control in plugin["controls"]]
    return "\n".join(lines)


def write_json(path: Path, content: Any, *, force: bool = False) -> None:
    """Write JSON beside its place and rename it there.

    Raises
    ------
    OutputError
        When it exists and `force` is false, or can't be written.
    """
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(), force=force)


def write_bytes(path: Path, content: bytes, *, force: bool = False) -> None:
    """Write bytes beside their place and rename them there.

    Raises
    ------
    OutputError
        When the file exists and `force` is false, or can't be written.
    """
    if path.exists() and not force:
        raise OutputError(f"{path} exists; give --force to replace it, or another name")
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise OutputError(
            f"{path}: can't be written ({error.strerror}); choose a folder you may write to"
        ) from None
