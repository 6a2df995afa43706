"""Get from a session back to what can be rendered: the chain of a track and its lanes as a trajectory."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.export.lanes import control_of
from blackbox_afx.export.thin import ThinLanes
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.profile import Identity, Profile
from blackbox_afx.plugins.trajectory import Trajectory
from blackbox_afx.session import PluginInstance, Track


def reopen(track: Track, folder: str | os.PathLike[str]) -> tuple[ChainSpec, Trajectory]:
    """Make the chain of a track, with every control that the session sets, and the trajectory of its lanes.

    Parameters
    ----------
    track : Track
    folder : path
        Gets the plugins' states as preset files; must last as long as the chain is used.

    Returns
    -------
    spec : ChainSpec
    trajectory : Trajectory

    Raises
    ------
    UsageError
        The track has no plugin, or one without controls.
    """
    if not track.plugins:
        raise UsageError(f"track '{track.name}' has no plugins; expected one with role live")
    profiles, start, lanes, hold = [], [], [], []
    for k, plugin in enumerate(track.plugins):
        profiles.append(_profile(plugin, Path(folder), k))
        moving = {lane.control: lane for lane in plugin.lanes}
        for value in plugin.values:
            lane = moving.get(value.index)
            start.append(value.raw)
            lanes.append(None if lane is None else (np.array(lane.times), np.array(lane.raw)))
            hold.append(lane is not None and lane.hold)
    thin = ThinLanes(start=np.array(start), lanes=tuple(lanes), hold=np.array(hold), eps=0.0, points_before=0)
    return ChainSpec(profiles=tuple(profiles)), thin.trajectory


def _profile(plugin: PluginInstance, folder: Path, number: int) -> Profile:
    if not plugin.values:
        raise UsageError(f"{plugin.label}: the session sets none of its controls; there is nothing to render")
    preset = ""
    if plugin.state is not None and plugin.format == "vst3":
        preset = f"{number}.vstpreset"
        (folder / preset).write_bytes(plugin.state)
    return Profile(
        name=plugin.label,
        identity=Identity(
            format=plugin.format,
            file=plugin.file,
            plugin_name=plugin.plugin_name,
            class_id=plugin.class_id,
            uri=plugin.uri,
            version=plugin.version,
            vendor=plugin.vendor,
        ),
        channels=plugin.channels,
        latency=plugin.latency_samples,
        block_size=plugin.block_size,
        controls=tuple(
            msgspec.structs.replace(
                control_of(value), use=True, default=value.plain, automatable=value.automatable, symbol=value.symbol
            )
            for value in plugin.values
        ),
        base_preset=preset,
        folder=str(Path(folder).resolve()),
    )
