"""Host VST2, LV2 and Faust in DawDreamer; VST3 too, to compare the two hosts.

Each render has a fresh engine and processor: most VST2 and LV2 plugins keep sound from one render to the next on the
same one. DawDreamer resets its processors at the start of each render, so a render can't be continued: `stream` works
in long segments with a pre-roll.

Notes
-----
Lanes are sampled once a block, at its first sample. DawDreamer ignores lanes of parameters that a plugin calls not
automatable without a word. State of VST2 and LV2 is the host's own bytes, for this host only; LV2 states can be read
but not restored. One VST3 must not be in both hosts of one process: whichever host lets go of it first ends the
plugin's module for the other too, and the next load crashes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dawdreamer as _dawdreamer
import numpy as np

from blackbox_afx.errors import PluginError, ProfileError
from blackbox_afx.plugins.blocks import (
    check_audio,
    check_block_size,
    check_main_thread,
    check_output,
    check_values,
)
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.faust import read_source
from blackbox_afx.plugins.floats import standard_floats
from blackbox_afx.plugins.locate import locate
from blackbox_afx.plugins.lv2_manifest import choose_uri
from blackbox_afx.plugins.parameters import check_table
from blackbox_afx.plugins.preset import check_preset
from blackbox_afx.plugins.profile import Identity, Profile

engines: Any = _dawdreamer  # its classes are in a compiled module that has no types

STICKS = 1e-5
"""Largest difference, as a share of the range, between a value written and read back."""

SEGMENT = 2**20
"""Samples that `stream` renders at once, in whole blocks; what is shorter equals `render` bit for bit."""

PREROLL = 2**18
"""Samples before each further segment that are rendered and thrown away (11 s at 24 kHz)."""


def source_of(identity: Identity, folder: str = "") -> str:
    """Give what DawDreamer loads: a file's path, or an LV2 URI.

    Raises
    ------
    PluginError
        The file is not installed, or a bundle holds several plugins.
    """
    if identity.format == "lv2":
        if identity.uri:
            return identity.uri
        if identity.file.count(":") and not identity.file.endswith(".lv2"):
            return identity.file
        return choose_uri(locate(identity.file, "lv2", folder), identity.plugin_name)
    return str(locate(identity.file, identity.format, folder))


def make_processor(engine: Any, identity: Identity, source: str, code: str) -> Any:
    """Create a processor named ``effect``."""
    what = identity.plugin_name or source
    try:
        if identity.format == "faust":
            processor = engine.make_faust_processor("effect")
            processor.faust_libraries_paths = [str(Path(source).parent)]
            processor.set_dsp_string(code)
            with standard_floats():
                processor.compile()
            return processor
        with standard_floats():
            return engine.make_plugin_processor("effect", source)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        advice = (
            "correct the source"
            if identity.format == "faust"
            else "install it or give another path or URI (LV2 bundles must lie in LV2_PATH)"
        )
        raise PluginError(f"{what} can't be loaded as {identity.format}: {reason}; {advice}") from None


def _names(processor: Any, faust: bool) -> list[str]:
    field = "label" if faust else "name"
    return [str(row[field]) for row in processor.get_parameters_description()]


class DawDreamerInstance:
    """One plugin in DawDreamer: an `Instance`."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._faust = profile.identity.format == "faust"
        if not self._faust:
            check_main_thread(profile, "loaded")
        self._source = source_of(profile.identity, profile.folder)
        self._code = read_source(Path(self._source)) if self._faust else ""
        self._preset: Path | None = Path(profile.folder) / profile.base_preset if profile.base_preset else None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._engine, self._processor, self._player = self._fresh(profile.probe_rate, profile.block_size)
        self._played = False
        rows = self._processor.get_parameters_description()
        check_table(profile, [str(row["label" if self._faust else "name"]) for row in rows])
        self._addresses = [str(row["name"]) for row in rows]
        self._outputs = int(self._processor.get_num_output_channels())

    def _fresh(self, sample_rate: int, block_size: int) -> tuple[Any, Any, Any]:
        """Make an engine, this plugin on it, and what plays audio into the plugin."""
        if not self._faust:
            check_main_thread(self.profile, "rendered with, in DawDreamer,")
        engine = engines.RenderEngine(sample_rate, block_size)
        processor = make_processor(engine, self.profile.identity, self._source, self._code)
        silence = np.zeros((int(processor.get_num_output_channels()), block_size), np.float32)
        player = engine.make_playback_processor("input", silence)
        # The graph comes first: it prepares the plugin, and what was set before that is lost on LV2 though it reads
        # back right; a VST2 plugin reports its latency only from then on.
        engine.load_graph([(player, []), (processor, ["input"])])
        if self._preset is not None:
            self._load_preset(processor, self._preset)
        return engine, processor, player

    def _load_preset(self, processor: Any, preset: Path) -> None:
        if not preset.is_file():
            raise ProfileError(
                f"profile '{self.profile.name}': base_preset {preset} is not there; put it beside the profile"
            )
        if self.profile.identity.format == "lv2":
            raise PluginError(
                f"{self.profile.label}: DawDreamer crashes when it loads an LV2 state; set the controls' values instead"
            )
        check_preset(self.profile, preset)
        if self.profile.identity.format == "vst3":
            if not processor.load_vst3_preset(str(preset)):
                raise PluginError(f"{self.profile.label} does not take {preset}; save it again from this plugin")
        elif os.environ.get("DISPLAY"):
            raise PluginError(
                f"{self.profile.label}: DawDreamer opens a window to load a state and may end the process; "
                "unset DISPLAY first"
            )
        else:
            processor.load_state(str(preset))

    def _whole(self, audio: np.ndarray, rows: np.ndarray | None, sample_rate: int, block_size: int) -> np.ndarray:
        """Render checked audio on a fresh engine; row k holds from block k on."""
        count = audio.shape[1]
        engine, processor, player = self._fresh(sample_rate, block_size)
        self._engine, self._processor, self._player = engine, processor, player
        for control in self.profile.held:
            self._set(control, float(control.raw_from_plain(control.value or 0.0)))
        if rows is not None:
            for k, control in enumerate(self.profile.active):
                self._set(control, float(rows[0, k]))
        latency = 0 if self._faust else int(processor.get_latency_samples())
        # Whole blocks only, and a share of a sample more: DawDreamer counts int(seconds * sample_rate).
        blocks = -(-(count + latency) // block_size)
        padded = np.zeros((audio.shape[0], blocks * block_size), np.float32)
        padded[:, :count] = audio
        if rows is not None and len(rows) > 1:
            self._automate(rows[:blocks], blocks, block_size)
        player.set_data(padded)
        engine.render((blocks * block_size + 0.25) / sample_rate)
        self._played = True
        out = processor.get_audio()[: audio.shape[0], latency : latency + count]
        shown = rows[0] if rows is not None else None
        if rows is not None:
            for k, control in enumerate(self.profile.active):
                if not np.ptp(rows[:, k]):
                    self._confirm(control, float(rows[0, k]))
        if out.shape != audio.shape:
            raise PluginError(
                f"{self.profile.label} gave {out.shape[0]} channels of {out.shape[1]} samples for {audio.shape[0]} of "
                f"{count}; probe it again"
            )
        return check_output(np.ascontiguousarray(out, np.float32), self.profile, shown)

    def _set(self, control: Control, raw: float) -> None:
        if self._faust:
            self._processor.set_parameter(self._addresses[control.index], float(control.plain_from_raw(raw)))
        else:
            self._processor.set_parameter(control.index, raw)
        self._confirm(control, raw)

    def _confirm(self, control: Control, raw: float) -> None:
        """Read a value back."""
        if self._faust:
            wanted = float(control.plain_from_raw(raw))
            kept = float(self._processor.get_parameter(self._addresses[control.index]))
            near = STICKS * max(abs(control.plugin_maximum), abs(control.plugin_minimum))
        else:
            wanted, kept = raw, float(self._processor.get_parameter(control.index))
            near = STICKS if not control.steps else 0.5 / control.steps + STICKS
        if not abs(kept - wanted) <= near:
            raise PluginError(
                f"{self.profile.label}: control '{control.name}' was set to {wanted:.6g} and reads back {kept:.6g}; "
                "leave it out of the profile's controls or restrict its range"
            )

    def _automate(self, rows: np.ndarray, blocks: int, block_size: int) -> None:
        """Give DawDreamer lanes at audio rate, the last row held to the end."""
        held = np.concatenate([rows, np.repeat(rows[-1:], max(blocks - len(rows), 0), axis=0)])
        for k, control in enumerate(self.profile.active):
            if not np.ptp(held[:, k]):
                continue
            raw = held[:, k]
            lane = np.repeat(control.plain_from_raw(raw) if self._faust else raw, block_size)
            place = self._addresses[control.index] if self._faust else control.index
            if not self._processor.set_automation(place, np.ascontiguousarray(lane, np.float32)):
                raise PluginError(f"{self.profile.label}: control '{control.name}' takes no automation; hold it")

    def _check(self, audio: np.ndarray, channels: int | None = None) -> np.ndarray:
        audio = check_audio(audio, self.profile, channels)
        if audio.shape[0] != self._outputs:
            raise PluginError(
                f"{self.profile.label} gives {self._outputs} channels, got audio of {audio.shape[0]}; "
                "render channel by channel, or use its twin for this channel count"
            )
        return audio

    def _open(self) -> None:
        if self._processor is None:
            raise PluginError(f"{self.profile.label} is closed; load it again")

    def render(
        self, audio: np.ndarray, values: np.ndarray | None, sample_rate: int, *, block_size: int | None = None
    ) -> np.ndarray:
        """Render audio; see `Instance`. `values` None leaves the plugin's own values."""
        self._open()
        audio = self._check(audio)
        rows = None if values is None else check_values(values, self.profile)
        size = check_block_size(block_size, self.profile)
        return self._whole(audio, rows, sample_rate, size) if audio.shape[1] else audio.copy()

    def stream(
        self,
        blocks: Iterable[np.ndarray],
        values: np.ndarray | None,
        sample_rate: int,
        *,
        block_size: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Render audio that comes in pieces; see `Instance`.

        Up to `SEGMENT` samples the result is `render`'s, bit for bit. Beyond, each segment starts from a fresh plugin
        that heard `PREROLL` samples before it: what a plugin remembers for longer, or counts from the start
        (an LFO's phase), differs.
        """
        self._open()
        rows = None if values is None else check_values(values, self.profile)
        size = check_block_size(block_size, self.profile)
        return self._segments(blocks, rows, sample_rate, size)

    def _segments(
        self, pieces: Iterable[np.ndarray], rows: np.ndarray | None, sample_rate: int, size: int
    ) -> Iterator[np.ndarray]:
        segment, preroll = (-(-count // size) * size for count in (SEGMENT, PREROLL))
        ahead = self.latency(sample_rate)
        held: list[np.ndarray] = []
        start = waiting = skip = 0
        channels = None

        def send(audio: np.ndarray, until: int) -> np.ndarray:
            first = start // size
            part = None if rows is None else rows[min(first, len(rows) - 1) :]
            return self._whole(audio, part, sample_rate, size)[:, skip:until]

        for piece in pieces:
            piece = self._check(piece, channels)
            channels = piece.shape[0]
            held.append(piece)
            waiting += piece.shape[1]
            while waiting > skip + segment + ahead:
                joined = np.concatenate(held, axis=1)
                yield send(joined[:, : skip + segment + ahead], skip + segment)
                drop = max(skip + segment - preroll, 0)
                held, start, waiting = [joined[:, drop:]], start + drop, waiting - drop
                skip = skip + segment - drop
        if waiting > skip:
            yield send(np.concatenate(held, axis=1), waiting)

    def latency(self, sample_rate: int) -> int:
        """Samples of delay that the plugin reports at this rate; 0 for Faust, which reports none."""
        self._open()
        if self._faust:
            return 0
        # All three are kept until the answer is there: a processor dies with its engine.
        made = self._fresh(sample_rate, self.profile.block_size)
        return int(made[1].get_latency_samples())

    def state(self) -> bytes | None:
        """Return the state as DawDreamer saves it; None for Faust, and for VST3 (pedalboard writes its presets)."""
        self._open()
        if self.profile.identity.format not in ("vst2", "lv2"):
            return None
        if not self._played:
            self._whole(
                np.zeros((self._outputs, self.profile.block_size), np.float32),
                None,
                self.profile.probe_rate,
                self.profile.block_size,
            )
        path = self._folder() / "state"
        self._processor.save_state(str(path))
        return path.read_bytes()

    def _folder(self) -> Path:
        """Make a folder for state files, only once one is needed: a process that is ended leaves it behind."""
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="afx-")
        return Path(self._scratch.name)

    def restore(self, preset: bytes) -> None:
        """Start all later renders from this state: `.vstpreset` bytes for VST3, what `state` gave for others.

        Raises
        ------
        PluginError
            Faust has no state.
        """
        self._open()
        if self._faust:
            raise PluginError(f"{self.profile.label}: Faust has no state to restore; set its controls")
        path = self._folder() / "restored.vstpreset"
        path.write_bytes(preset)
        self._load_preset(self._processor, path)
        self._preset = path

    def close(self) -> None:
        """Let the plugin go."""
        self._engine = self._processor = self._player = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None


class DawDreamerHost:
    """Load VST2, LV2 and Faust, and VST3 to compare: a `Host`."""

    formats = frozenset({"vst2", "lv2", "faust", "vst3"})

    def load(self, profile: Profile) -> DawDreamerInstance:
        """Load a plugin; see `Host`.

        Raises
        ------
        PluginError
            It is not installed, can't be loaded, or this is not the main thread.
        ProfileError
            Its parameters are not those of the profile.
        """
        if profile.identity.format not in self.formats:
            raise PluginError(
                f"{profile.label}: DawDreamer takes vst2, lv2, faust and vst3, got {profile.identity.format}; "
                "use host_for(profile)"
            )
        return DawDreamerInstance(profile)
