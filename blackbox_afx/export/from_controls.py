"""Make a static session of `NAME.controls.json`, for results that have no session."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from blackbox_afx import shelf
from blackbox_afx.audio import info
from blackbox_afx.errors import AfxError, AudioError, UsageError
from blackbox_afx.export.build import parameter_table
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import Format, Identity, Profile, load_profile
from blackbox_afx.session import Clip, ControlValue, Parameter, PluginInstance, Session, Track


class _Setting(msgspec.Struct):
    index: int
    name: str
    normalised: float
    plain: float
    param_id: int | None = None
    symbol: str = ""
    unit: str = ""
    text: str = ""


class _Plugin(msgspec.Struct):
    name: str
    format: Format
    profile: str = ""
    class_id: str = ""
    uri: str = ""
    version: str = ""
    file: str = ""
    controls: list[_Setting] = []
    held: list[_Setting] = []
    preset: str | None = None


class _Controls(msgspec.Struct):
    plugins: list[_Plugin]
    sample_rate: int
    channels: int = 2
    input: str = ""
    output: str = ""
    trim_db: float = 0.0
    latency_samples: int = 0
    renderer: str = "plugins"
    warnings: list[str] = []


def session_from_controls(path: str | os.PathLike[str]) -> tuple[Session, list[str]]:
    """Read `NAME.controls.json` and what lies beside it.

    Presets and our render are looked for beside it; the input where the file says it was. What is not there any more is
    left out of the session.

    Parameters
    ----------
    path : path

    Returns
    -------
    session : Session
        Without lanes.
    warnings : list of str
        What was not found.

    Raises
    ------
    UsageError
        It can't be read or is no such file.
    """
    path = Path(path)
    try:
        found = msgspec.convert(json.loads(path.read_bytes()), _Controls)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); expected NAME.controls.json") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: not a controls file: {error}; expected what `afx transfer` writes") from None
    if found.renderer != "plugins":
        raise UsageError(
            f"{path}: a network made this audio (cTCN), so there is no plugin to write for a DAW; use the audio file, "
            "or a controller of plugins"
        )
    warnings: list[str] = []
    name = path.name.removesuffix(".json").removesuffix(".controls")
    plugins: list[PluginInstance] = []
    for k, entry in enumerate(found.plugins):
        label, count = entry.name, 1
        while label in [plugin.label for plugin in plugins]:
            count += 1
            label = f"{entry.name} {count}"
        # The file tells the delay of the whole chain; without lanes it does not matter whose it is.
        latency = found.latency_samples if k == 0 else 0
        plugins.append(_plugin(entry, label, path.parent, latency, warnings))
    chain = " > ".join(plugin.label for plugin in plugins)
    clip = _clip(_input(found, path), found.trim_db)
    if clip is None:
        warnings.append(
            f"the input {found.input or '(not named)'} is not there; the track has the plugins and no audio"
        )
    tracks = [Track(name=f"{name} ({chain})", clips=(clip,) if clip else (), plugins=tuple(plugins))]
    render = _clip(path.parent / found.output, 0.0) if found.output else None
    if render is not None:
        tracks.append(Track(name=f"{name} (render)", role="render", muted=True, clips=(render,)))
    rate = clip.sample_rate if clip else found.sample_rate
    session = Session(name=name, sample_rate=rate, tracks=tuple(tracks), warnings=tuple(found.warnings))
    return session, warnings


def _input(found: _Controls, path: Path) -> Path:
    """Look for the input from here, then from where the file lies."""
    here, there = Path(found.input), path.parent / found.input
    return there if not here.is_file() and there.is_file() else here


def _clip(path: Path, gain_db: float) -> Clip | None:
    if not path.is_file():
        return None
    try:
        about = info(path)
    except AudioError:
        return None
    return Clip(
        path=str(path.resolve()),
        length_s=about.frames / about.sample_rate,
        gain_db=gain_db,
        channels=about.channels,
        sample_rate=about.sample_rate,
    )


def _plugin(entry: _Plugin, label: str, folder: Path, latency: int, warnings: list[str]) -> PluginInstance:
    state = None
    if entry.preset:
        try:
            state = (folder / entry.preset).read_bytes()
        except OSError as error:
            warnings.append(f"{label}: its preset {entry.preset} can't be read ({error.strerror})")
    profile = _profile(entry)
    table = parameter_table(profile)
    rows = {row.index: row for row in table}
    known = {control.index: control for control in profile.controls}
    return PluginInstance(
        format=entry.format,
        label=label,
        plugin_name=entry.name,
        vendor=profile.identity.vendor,
        class_id=entry.class_id,
        uri=entry.uri,
        version=entry.version,
        file=entry.file,
        channels=profile.channels,
        latency_samples=latency,
        block_size=profile.block_size,
        state=state,
        values=tuple(
            _value(setting, rows.get(setting.index), known.get(setting.index))
            for setting in [*entry.controls, *entry.held]
        ),
        table=table,
    )


def _profile(entry: _Plugin) -> Profile:
    """Find the plugin's profile on the shelf; where none is of this plugin, give one without controls."""
    identity = Identity(
        format=entry.format,
        file=entry.file,
        plugin_name=entry.name,
        class_id=entry.class_id,
        uri=entry.uri,
        version=entry.version,
    )
    try:
        profile = load_profile(shelf.find("plugins", entry.profile)) if entry.profile else None
    except AfxError:
        profile = None
    if profile is not None and (profile.identity.class_id, profile.identity.uri) == (entry.class_id, entry.uri):
        return profile
    return Profile(name=entry.name, identity=identity)


def _value(setting: _Setting, row: Parameter | None, control: Control | None) -> ControlValue:
    """Give a value with a range: the profile's, else the plugin's where it can be read, else the value alone."""
    low = high = setting.plain
    knots: tuple[tuple[float, float], ...] = ()
    scale: Literal["linear", "log"] = "linear"
    samples = np.asarray(row.plain_samples if row else (), np.float64).reshape(-1, 2)
    if control is not None:
        low, high, knots = control.plugin_minimum, control.plugin_maximum, control.raw_table
        scale = control.raw_scale
    elif len(samples) >= 2:
        near = float(np.interp(setting.normalised, samples[:, 0], samples[:, 1]))
        # Plugins that call the raw value plain have another range than their texts tell.
        if abs(near - setting.plain) <= 0.02 * (float(np.ptp(samples[:, 1])) or 1.0):
            low, high = float(samples[0, 1]), float(samples[-1, 1])
            knots = tuple((float(raw), float(plain)) for raw, plain in samples)
    return ControlValue(
        index=setting.index,
        param_id=setting.param_id,
        symbol=setting.symbol or (row.symbol if row else ""),
        name=setting.name,
        unit=setting.unit,
        raw=min(max(setting.normalised, 0.0), 1.0),
        plain=setting.plain,
        text=setting.text,
        steps=control.steps if control else 0,
        texts=control.texts if control else (),
        plain_minimum=low,
        plain_maximum=high,
        raw_scale=scale,
        raw_table=knots,
    )


def content_of(path: Path) -> Any:
    """Decode a JSON file.

    Raises
    ------
    UsageError
        It can't be read or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path}: can't be read ({error.strerror}); expected NAME.session.json or NAME.controls.json"
        ) from None
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error}); expected NAME.session.json or NAME.controls.json") from None
