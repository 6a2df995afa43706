"""Make a session from what a transfer rendered: chain, lanes, states, files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from blackbox_afx import __version__
from blackbox_afx.audio import info
from blackbox_afx.errors import AudioError, PluginError
from blackbox_afx.export.lv2_ports import lv2_ports
from blackbox_afx.export.thin import ThinLanes
from blackbox_afx.export.vst2_id import vst2_unique_id
from blackbox_afx.plugins.chain import Chain, ChainSpec
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.locate import locate
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.plugins.vst3 import read_vst3
from blackbox_afx.session import Clip, ControlValue, Lane, Parameter, PluginInstance, Session, Thinning, Track


class ChainFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what only loaded plugins can tell.

    Parameters
    ----------
    states : tuple of (bytes or None)
        Each plugin's state at the start of the session.
    latencies : tuple of int
        Samples of delay of each plugin.
    """

    states: tuple[bytes | None, ...]
    latencies: tuple[int, ...]


def chain_facts(chain: Chain, raw: np.ndarray, sample_rate: int, channels: int) -> ChainFacts:
    """Ask loaded plugins for their states at given values and for their latencies.

    Plugins tell their values only after they processed, so a moment of silence goes through first.

    Parameters
    ----------
    chain : Chain
    raw : float64 [controls]
        Values at the start of the session.
    sample_rate : int
        Hertz, of the session.
    channels : int
        Of the audio.
    """
    size = max(profile.block_size for profile in chain.spec.profiles)
    chain.render_raw(np.zeros((channels, size), np.float32), np.asarray(raw, np.float64), sample_rate)
    return ChainFacts(states=tuple(chain.states()), latencies=tuple(chain.latencies(sample_rate)))


def build_session(
    spec: ChainSpec,
    lanes: ThinLanes | np.ndarray,
    facts: ChainFacts,
    *,
    source: str | os.PathLike[str],
    render: str | os.PathLike[str] | None = None,
    name: str = "",
    trim_db: float = 0.0,
    bpm: float = 120.0,
    thinning_error_db: float | None = None,
    warnings: Sequence[str] = (),
) -> Session:
    """Make a session of two tracks: the original through the live plugins, and, muted, our render.

    Parameters
    ----------
    spec : ChainSpec
    lanes : ThinLanes, or float64 [controls]
        What was rendered: thinned lanes, or raw values that hold throughout.
    facts : ChainFacts
        As `chain_facts` gave them for the values at time 0.
    source, render : path
        The original, and our render of these very lanes.
    name : str
        The original's name by default.
    trim_db : float
        Gain before the first plugin, dB.
    bpm : float
    thinning_error_db : float, optional
        As `thinning_error_db` measured it.
    warnings : sequence of str

    Raises
    ------
    AudioError
        A file can't be read, or the render has another rate or channel count than the original.
    """
    about = info(Path(source))
    end_s = about.frames / about.sample_rate
    if isinstance(lanes, ThinLanes):
        thin, thinning = (
            lanes,
            Thinning(
                eps=lanes.eps,
                points_before=lanes.points_before,
                points_after=lanes.points_after,
                error_db=thinning_error_db,
            ),
        )
    else:
        start = np.asarray(lanes, np.float64)
        still = np.zeros(len(start), bool)
        thin, thinning = ThinLanes(start=start, lanes=(None,) * len(start), hold=still, eps=0.0, points_before=0), None
    plugins = tuple(
        _plugin(profile, label, thin, part, state, latency)
        for profile, label, part, state, latency in zip(
            spec.profiles, spec.labels, spec.slices, facts.states, facts.latencies, strict=True
        )
    )
    stem = name or Path(source).stem
    clip = Clip(
        path=str(Path(source).resolve()),
        length_s=end_s,
        gain_db=trim_db,
        channels=about.channels,
        sample_rate=about.sample_rate,
    )
    tracks = [Track(name=f"{stem} ({spec.label})", clips=(clip,), plugins=plugins)]
    if render is not None:
        made = info(Path(render))
        if (made.sample_rate, made.channels) != (about.sample_rate, about.channels):
            raise AudioError(
                f"{render}: {made.sample_rate} Hz and {made.channels} channels, its original has {about.sample_rate} "
                f"Hz and {about.channels}; give the render of this recording"
            )
        ours = Clip(
            path=str(Path(render).resolve()),
            length_s=made.frames / made.sample_rate,
            channels=made.channels,
            sample_rate=made.sample_rate,
        )
        tracks.append(Track(name=f"{stem} (render)", role="render", muted=True, clips=(ours,)))
    return Session(
        name=stem,
        sample_rate=about.sample_rate,
        bpm=bpm,
        tracks=tuple(tracks),
        thinning=thinning,
        warnings=tuple(warnings),
        made_with=f"blackbox_afx {__version__}",
    )


def _plugin(
    profile: Profile, label: str, thin: ThinLanes, part: slice, state: bytes | None, latency: int
) -> PluginInstance:
    identity = profile.identity
    table = parameter_table(profile)
    symbols = port_symbols(profile, table) if identity.format == "lv2" else {}
    values, lanes = [], []
    columns = range(*part.indices(len(thin.start)))
    for control, k in zip(profile.active, columns, strict=True):
        values.append(_value(control, float(thin.start[k]), symbols))
        points = thin.lanes[k]
        if points is not None:
            times, raw = points
            lanes.append(
                Lane(
                    control=control.index,
                    times=tuple(times.tolist()),
                    raw=tuple(raw.tolist()),
                    plain=tuple(control.plain_from_raw(raw).tolist()),
                    hold=bool(thin.hold[k]),
                )
            )
    for control in profile.held:
        values.append(_value(control, float(control.raw_from_plain(control.value or 0.0)), symbols))
    return PluginInstance(
        format=identity.format,
        label=label,
        plugin_name=identity.plugin_name,
        vendor=identity.vendor,
        version=identity.version,
        class_id=identity.class_id,
        uri=identity.uri,
        unique_id=_unique_id(profile),
        file=identity.file,
        sha256=identity.sha256,
        channels=profile.channels,
        latency_samples=latency,
        block_size=profile.block_size,
        state=state,
        values=tuple(values),
        lanes=tuple(lanes),
        table=table,
    )


def _value(control: Control, raw: float, symbols: dict[int, str]) -> ControlValue:
    plain = float(control.plain_from_raw(raw))
    return ControlValue(
        index=control.index,
        param_id=control.param_id,
        symbol=control.symbol or symbols.get(control.index, ""),
        name=control.name,
        unit=control.unit,
        raw=raw,
        plain=plain,
        text=control.text(plain),
        steps=control.steps,
        texts=control.texts,
        plain_minimum=control.plugin_minimum,
        plain_maximum=control.plugin_maximum,
        raw_scale=control.raw_scale,
        raw_table=control.raw_table,
        automatable=control.automatable,
    )


def port_symbols(profile: Profile, table: Sequence[Parameter]) -> dict[int, str]:
    """Find the LV2 port of each control: the first of a name is the first port of that name, and so on.

    Parameters
    ----------
    profile : Profile
    table : sequence of Parameter
        The plugin's control ports.

    Returns
    -------
    dict of int to str
        Control index to port symbol; without those that no port is called like.
    """
    ports: dict[str, list[str]] = {}
    for row in sorted(table, key=lambda row: row.index):
        if not row.readonly:
            ports.setdefault(row.name, []).append(row.symbol)
    rows = sorted((*profile.controls, *profile.meters), key=lambda row: row.index)
    return {row.index: ports[row.name].pop(0) for row in rows if ports.get(row.name)}


def _unique_id(profile: Profile) -> int | None:
    if profile.identity.format != "vst2":
        return None
    try:
        return vst2_unique_id(locate(profile.identity.file, "vst2", profile.folder))
    except PluginError:
        return None


def parameter_table(profile: Profile) -> tuple[Parameter, ...]:
    """List all of a plugin's parameters, from the installed binary where it can be read, else from the profile.

    Parameters
    ----------
    profile : Profile

    Returns
    -------
    tuple of Parameter
        In the plugin's order.
    """
    identity = profile.identity
    try:
        if identity.format == "vst3":
            classes = read_vst3(locate(identity.file, "vst3", profile.folder))
            for entry in classes:
                if entry.class_id == identity.class_id or len(classes) == 1:
                    return tuple(
                        Parameter(
                            index=row.index,
                            param_id=row.param_id,
                            name=row.title,
                            automatable=row.automatable,
                            readonly=row.readonly,
                            hidden=row.hidden,
                            program=row.program,
                            bypass=row.bypass,
                            plain_samples=row.plain_samples if np.all(np.isfinite(row.plain_samples)) else (),
                        )
                        for row in entry.parameters
                    )
        if identity.format == "lv2":
            return lv2_ports(identity.uri)
    except PluginError:
        pass
    return _table_of_profile(profile)


def _table_of_profile(profile: Profile) -> tuple[Parameter, ...]:
    rows = [
        Parameter(
            index=control.index,
            param_id=control.param_id,
            symbol=control.symbol,
            name=control.name,
            automatable=control.automatable,
        )
        for control in profile.controls
    ]
    rows += [
        Parameter(
            index=meter.index,
            param_id=meter.param_id,
            name=meter.name,
            readonly=meter.why == "meter",
            program=meter.why == "program",
            hidden=meter.why == "hidden",
            bypass=meter.why == "bypass",
        )
        for meter in profile.meters
    ]
    return tuple(sorted(rows, key=lambda row: row.index))
