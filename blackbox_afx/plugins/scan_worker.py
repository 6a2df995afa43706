"""Load and shortly run plugins one after the other: run by `scan` in a throw-away process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.errors import AfxError, PluginError
from blackbox_afx.plugins.host import host_for
from blackbox_afx.plugins.probe_signal import probe_signal
from blackbox_afx.plugins.profile import Identity, Profile
from blackbox_afx.plugins.throwaway import Parent, serve

RATE = 24000


def work(parent: Parent) -> None:
    """Try each of the request's items and tell a row for each plugin in it."""
    for item in parent.request["items"]:
        parent.tell(stage=str(item["place"]))
        shared = {key: item[key] for key in ("path", "format", "uri")}
        try:
            names = _names(item)
        except Exception as error:
            parent.tell(row={**shared, "name": Path(item["path"]).stem, **_refusal(error, 0.0)})
            continue
        for name in names:
            began = time.perf_counter()
            try:
                outcome: dict[str, Any] = {"status": "ok", "channels": _try(item, name)}
                outcome["seconds"] = round(time.perf_counter() - began, 3)
            except Exception as error:
                outcome = _refusal(error, time.perf_counter() - began)
            shown = name or item["name"] or Path(item["path"]).stem
            parent.tell(row={**shared, "name": shown, **outcome})


def _names(item: dict[str, Any]) -> list[str]:
    """List the plugins in a file; an empty name stands for the only one."""
    if item["format"] != "vst3":
        return [""]
    from pedalboard import VST3Plugin

    return list(VST3Plugin.get_plugin_names_for_file(item["path"])) or [""]


def _try(item: dict[str, Any], name: str) -> list[int]:
    """Load a plugin and render both layouts; give those that work."""
    identity = Identity(
        format=item["format"],
        file="" if item["format"] == "lv2" else str(Path(item["path"]).absolute()),
        uri=item["uri"],
        plugin_name=name,
    )
    profile = Profile(name=name or "plugin", identity=identity)
    instance = host_for(profile).load(profile)
    taken, trouble = [], ""
    for channels in (1, 2):
        try:
            sound = instance.render(probe_signal(RATE, 0.1, channels), None, RATE)  # type: ignore[arg-type]
            if np.isfinite(sound).all():
                taken.append(channels)
        except (AfxError, ValueError, RuntimeError) as error:
            trouble = " ".join(str(error).split())
    instance.close()
    if not taken:
        raise PluginError(f"renders neither mono nor stereo: {trouble}")
    return taken


def _refusal(error: Exception, seconds: float) -> dict[str, Any]:
    reason = " ".join(str(error).split()) or type(error).__name__
    return {"status": "refuses", "reason": reason, "seconds": round(seconds, 3)}


if __name__ == "__main__":
    serve(work)
