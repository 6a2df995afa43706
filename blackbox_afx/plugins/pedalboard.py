"""Host VST3 plugins and pedalboard's built-in effects in pedalboard.

One engine serves fixed values, lanes and streams: the plugin is reset, then all audio goes through in blocks with
``reset=False``, followed by as much silence as its latency asks for. `process(reset=True)` would flush that silence
through the plugin first, which moves the state of a plugin with look-ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pedalboard import _pedalboard as pedalboard_python
from pedalboard_native import ExternalPluginReloadType, VST3Plugin

from blackbox_afx.errors import PluginError, ProfileError
from blackbox_afx.plugins.blocks import check_main_thread, check_output, render_whole, stream_pieces, through_blocks
from blackbox_afx.plugins.builtin_instance import SMALLEST_BLOCK, BuiltinInstance
from blackbox_afx.plugins.builtins import builtin_controls
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.floats import standard_floats
from blackbox_afx.plugins.locate import locate
from blackbox_afx.plugins.parameters import HostParameter, check_table
from blackbox_afx.plugins.preset import check_preset
from blackbox_afx.plugins.profile import Identity, Profile

STICKS = 1e-5
"""Largest raw difference between a value written and read back; plugins keep float32."""

_CONTINUOUS = 2**31 - 1


@contextmanager
def _without_scan() -> Iterator[None]:
    """Keep pedalboard from reading 1001 texts a parameter while it loads (45 s for some plugins)."""
    mixin = pedalboard_python._PythonExternalPluginMixin
    original = mixin.__set_initial_parameter_values__
    mixin.__set_initial_parameter_values__ = lambda self, parameter_values: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        mixin.__set_initial_parameter_values__ = original  # type: ignore[method-assign]


def open_vst3(path: str | Path, plugin_name: str = "") -> VST3Plugin:
    """Load a VST3 without pedalboard's scan of its parameter texts.

    Parameters
    ----------
    path : path
    plugin_name : str
        Picks one of several plugins in a bundle; ignored where there is one.

    Raises
    ------
    PluginError
        It is not there, or is not a VST3 plugin.
    """
    try:
        with _without_scan(), standard_floats():
            try:
                return VST3Plugin(str(path))
            except ValueError as error:
                if not plugin_name or "plugin_name" not in str(error):
                    raise
                return VST3Plugin(str(path), plugin_name=plugin_name)
    except (ImportError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise PluginError(
            f"{path} can't be loaded as VST3: {reason}; check that it is a plugin for this system"
        ) from None


class VST3Instance:
    """One VST3 plugin in pedalboard: an `Instance`."""

    def __init__(self, profile: Profile, path: Path) -> None:
        self.profile = profile
        self.path = path
        self._base = _read_base_preset(profile)
        self._restored: bytes | None = None
        self._played: int | None = None
        self._plugin: VST3Plugin | None = None
        plugin = self._open()
        check_table(profile, [parameter.name for parameter in plugin._parameters])

    def _open(self) -> VST3Plugin:
        check_main_thread(self.profile, "loaded")
        self._plugin = open_vst3(self.path, self.profile.identity.plugin_name)
        # pedalboard finds out by a noise probe whether reset() clears the sound, and its answer differs from
        # run to run.
        kind = (
            ExternalPluginReloadType.PersistsAudioOnReset
            if self.profile.reset == "reinstantiate"
            else ExternalPluginReloadType.ClearsAudioOnReset
        )
        VST3Plugin._reload_type.__set__(self._plugin, kind)
        self._played = None
        if self._base is not None:
            _put_state(self._plugin, *self._base)
        if self._restored is not None:
            _put_state(self._plugin, self._restored, True)
        return self._plugin

    def _begin(self) -> VST3Plugin:
        """Bring the plugin to the state every render starts from."""
        if self._plugin is None:
            raise PluginError(f"{self.profile.label} is closed; load it again")
        if self.profile.reset == "fresh" and self._played is not None:
            self._open()
        elif self.profile.reset == "reinstantiate":
            check_main_thread(self.profile, "reinstantiated")
        # Also after loading: pedalboard's own probe has counted samples, and would not drop the latency.
        self._plugin.reset()
        for control in self.profile.held:
            raw = float(control.raw_from_plain(control.value or 0.0))
            _write(self.profile, control, self._plugin._parameters[control.index], raw)
        return self._plugin

    def _run(
        self, pieces: Iterable[np.ndarray], rows: np.ndarray | None, sample_rate: int, block_size: int
    ) -> Iterator[np.ndarray]:
        plugin = self._begin()
        # Parameters are fetched anew for each render: those of an earlier instantiation crash the process.
        parameters = plugin._parameters
        active = [(control, parameters[control.index]) for control in self.profile.active]
        shown = None

        def apply(row: np.ndarray) -> None:
            nonlocal shown
            for k, (control, parameter) in enumerate(active):
                if shown is None or row[k] != shown[k]:
                    _write(self.profile, control, parameter, float(row[k]))
            shown = row

        def process(audio: np.ndarray) -> np.ndarray:
            self._played = sample_rate
            out = plugin.process(audio, sample_rate, buffer_size=block_size, reset=False)
            return check_output(out, self.profile, shown)

        yield from through_blocks(pieces, rows, block_size, apply, process, sample_rate)
        if shown is not None:
            # The plugin itself hears of values only while it processes; what it changed shows now.
            for (control, parameter), raw in zip(active, shown, strict=True):
                _confirm(self.profile, control, parameter, float(raw))

    def render(
        self, audio: np.ndarray, values: np.ndarray | None, sample_rate: int, *, block_size: int | None = None
    ) -> np.ndarray:
        """Render audio; see `Instance`. `values` None leaves the active controls as the state has them."""
        return render_whole(self._run, self.profile, audio, values, sample_rate, block_size, SMALLEST_BLOCK)

    def stream(
        self,
        blocks: Iterable[np.ndarray],
        values: np.ndarray | None,
        sample_rate: int,
        *,
        block_size: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Render audio that comes in pieces; see `Instance`. Equal to `render` bit for bit."""
        return stream_pieces(self._run, self.profile, blocks, values, sample_rate, block_size, SMALLEST_BLOCK)

    def latency(self, sample_rate: int) -> int:
        """Samples of delay that the plugin reports; its plain default values, at this rate."""
        plugin = self._plugin
        if plugin is None:
            raise PluginError(f"{self.profile.label} is closed; load it again")
        if self._played != sample_rate:
            self._silence(sample_rate)
        return int(plugin.reported_latency_samples)

    def _silence(self, sample_rate: int) -> None:
        """Let the plugin take over rate and values, which it does only while it processes."""
        size = self.profile.block_size
        # Whether a plugin takes one channel or two shows only by trying, where its profile does not say yet.
        counts = (self.profile.channels,) if self.profile.channels else (2, 1)
        for channels in counts:
            try:
                for _ in self._run([np.zeros((channels, size), np.float32)], None, sample_rate, size):
                    pass
                return
            except ValueError:
                if channels == counts[-1]:
                    raise

    def state(self) -> bytes:
        """Return the plugin's state as `.vstpreset` bytes: of the last render, or of the loaded plugin."""
        if self._plugin is None:
            raise PluginError(f"{self.profile.label} is closed; load it again")
        if self._played is None:
            self._silence(self.profile.probe_rate)
        return bytes(VST3Plugin.preset_data.__get__(self._plugin))

    def restore(self, preset: bytes) -> None:
        """Put a `.vstpreset` in, in place of the base preset, for this and all later renders.

        Raises
        ------
        PluginError
            The plugin does not take it.
        """
        if self._plugin is None:
            raise PluginError(f"{self.profile.label} is closed; load it again")
        _put_state(self._plugin, preset, True)
        self._restored = preset
        self._silence(self.profile.probe_rate)

    def close(self) -> None:
        """Let the plugin go."""
        self._plugin = None


def _read_base_preset(profile: Profile) -> tuple[bytes, bool] | None:
    if not profile.base_preset:
        return None
    path = Path(profile.folder) / profile.base_preset
    if not path.is_file():
        raise ProfileError(
            f"profile '{profile.name}': base_preset {path} is not there; put it beside the profile or remove the line"
        )
    content = check_preset(profile, path)
    return content, content[:4] == b"VST3"


def _put_state(plugin: VST3Plugin, content: bytes, preset: bool) -> None:
    # Plain assignment would go through pedalboard's __setattr__, which scans all parameter texts first.
    field = VST3Plugin.preset_data if preset else VST3Plugin.raw_state
    try:
        field.__set__(plugin, content)
    except (RuntimeError, ValueError) as error:
        raise PluginError(
            f"{plugin.name} does not take this preset: {error}; save it again from the same plugin"
        ) from None


def _write(profile: Profile, control: Control, parameter: Any, raw: float) -> None:
    parameter.raw_value = raw
    _confirm(profile, control, parameter, raw)


def _confirm(profile: Profile, control: Control, parameter: Any, raw: float) -> None:
    """Read a value back."""
    kept = float(parameter.raw_value)
    near = STICKS if not control.steps else 0.5 / control.steps + STICKS
    if not abs(kept - raw) <= near:
        raise PluginError(
            f"{profile.label}: control '{control.name}' was set to {raw:.6g} and reads back {kept:.6g}; "
            "leave it out of the profile's controls or restrict its range"
        )


class PedalboardHost:
    """Load VST3 plugins and built-ins: a `Host`."""

    formats = frozenset({"vst3", "builtin"})

    def load(self, profile: Profile) -> VST3Instance | BuiltinInstance:
        """Load a plugin; see `Host`.

        Raises
        ------
        PluginError
            It is not installed, can't be loaded, or this is not the main thread.
        ProfileError
            Its parameters are not those of the profile.
        """
        if profile.identity.format == "builtin":
            return BuiltinInstance(profile)
        if profile.identity.format == "vst3":
            return VST3Instance(profile, locate(profile.identity.file, "vst3", profile.folder))
        raise PluginError(
            f"{profile.label}: pedalboard takes vst3 and builtin, got {profile.identity.format}; use host_for(profile)"
        )


def describe(identity: Identity, folder: str = "") -> list[HostParameter]:
    """Tell what pedalboard knows of a plugin's parameters, in order.

    Parameters
    ----------
    identity : Identity
    folder : str
        Looked in first for a relative file name.
    """
    if identity.format == "builtin":
        return [
            HostParameter(
                index=k,
                name=control.name,
                default_raw=float(control.raw_from_plain(control.default)),
                steps=control.steps,
                plain_minimum=control.plugin_minimum,
                plain_maximum=control.plugin_maximum,
                scale=control.raw_scale,
                unit=control.unit,
                texts=control.texts,
                automatable=control.automatable,
                symbol=control.symbol,
            )
            for k, control in enumerate(builtin_controls(identity.plugin_name))
        ]
    plugin = open_vst3(locate(identity.file, "vst3", folder), identity.plugin_name)
    return [_describe_vst3(parameter) for parameter in plugin._parameters]


def _describe_vst3(parameter: Any) -> HostParameter:
    count = int(parameter.num_steps)
    steps = 0 if count >= _CONTINUOUS or count < 2 or count > 1024 else count - 1
    texts = ()
    if 0 < steps <= 64:
        texts = tuple(str(parameter.get_text_for_raw_value(k / steps)) for k in range(steps + 1))
    low, high = (_number(parameter.get_text_for_raw_value(raw)) for raw in (0.0, 1.0))
    if low is None or high is None or low == high:
        low, high = 0.0, 1.0
    return HostParameter(
        index=int(parameter.index),
        name=str(parameter.name),
        default_raw=min(max(float(parameter.raw_value), 0.0), 1.0),
        steps=steps,
        plain_minimum=low,
        plain_maximum=high,
        unit=str(parameter.label).strip(),
        texts=texts,
        automatable=bool(parameter.is_automatable),
    )


def _number(text: str) -> float | None:
    try:
        return float(str(text).strip().split()[0])
    except (ValueError, IndexError):
        return None
