"""`NAME.controls.json`: which plugin, which controls, which values; enough to set them by hand or by a script."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

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


def json_bytes(content: Any) -> bytes:
    """Encode what goes into `NAME.controls.json`; NaN and infinities, which JSON has no word for, become null."""
    plain = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in content.items()
    }
    return (json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
