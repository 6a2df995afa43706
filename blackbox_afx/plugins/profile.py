"""What is known of one plugin on one binary, kept as TOML that may be edited by hand."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from blackbox_afx.errors import OutputError, ProfileError
from blackbox_afx.plugins.control import Control, ControlSpace
from blackbox_afx.plugins.record_errors import in_our_words

Format = Literal["vst3", "vst2", "lv2", "faust", "builtin"]
ResetPolicy = Literal["fresh", "reset", "reinstantiate"]

BLOCK_SIZE = 512
MAXIMUM_BLOCK_SIZE = 8192
"""Larger blocks corrupt memory in plugins that pedalboard instantiates at this size."""


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say which plugin a profile is of.

    Parameters
    ----------
    format : {"vst3", "vst2", "lv2", "faust", "builtin"}
    file : str
        A path, or a bare file name to be searched in the system's plugin folders; ``.dsp`` files lie beside the
        profile. Empty for built-ins and LV2.
    plugin_name : str
        The plugin's own name; picks one of several in a bundle; the class name of a built-in.
    class_id : str
        VST3 class id, 32 hex digits.
    uri : str
        LV2 URI.
    version : str
    vendor : str
    sha256 : str
        Of the binary; empty where there is none.
    table_hash : str
        Of the parameter table (`table_hash`).
    """

    format: Format
    file: str = ""
    plugin_name: str = ""
    class_id: str = ""
    uri: str = ""
    version: str = ""
    vendor: str = ""
    sha256: str = ""
    table_hash: str = ""


class Meter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name a parameter that must never be set: a meter, a program selector or a hidden one."""

    name: str
    index: int
    param_id: int | None = None
    why: Literal["meter", "program", "hidden", "bypass", "silent"]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold all that is known of one plugin.

    Parameters
    ----------
    name : str
        Of the profile; what it is called on the shelf.
    identity : Identity
    controls : tuple of Control
        Every parameter that may be set; those with ``use = true`` are a controller's.
    meters : tuple of Meter
        Parameters that are never set.
    channels : int
        Channels that the plugin takes: 1, 2, or 0 for any.
    latency : int
        Samples of delay that the plugin reports, at `probe_rate`.
    tail_s : float
        Seconds that sound rings on after its input ended, where known.
    block_size : int
        Samples a block; part of the sound.
    reset : {"fresh", "reset", "reinstantiate"}
        What makes a render repeat: a fresh instance each time, a reset, or a forced reinstantiation.
    repeatability : float
        Largest difference, as a share of the peak, between two renders of the same under that policy.
    load_ms, cost_ms : float
        Milliseconds to load, and to render one second of audio at `probe_rate`.
    probe_rate : int
        Hertz.
    stereo_twin, mono_twin : str
        Plugin file that does the same for the other channel count.
    dynamics : bool
        Whether gain depends on level, so that dual mono moves the stereo image.
    base_preset : str
        File with the state for all that is not controlled (`.vstpreset`, or raw state), beside the profile.
    output_gain : str
        Name of a control that is an exact output gain in dB, if there is one.
    notes : str
    """

    schema: int = 1
    name: str
    identity: Identity
    channels: int = 0
    latency: int = 0
    tail_s: float = 0.0
    block_size: int = BLOCK_SIZE
    reset: ResetPolicy = "reset"
    repeatability: float = 0.0
    load_ms: float = 1.0
    cost_ms: float = 1.0
    probe_rate: int = 24000
    stereo_twin: str = ""
    mono_twin: str = ""
    dynamics: bool = False
    base_preset: str = ""
    output_gain: str = ""
    notes: str = ""
    controls: tuple[Control, ...] = ()
    meters: tuple[Meter, ...] = ()
    folder: str = ""

    @property
    def gain_place(self) -> int | None:
        """Place among the active controls of the exact output gain, a continuous one in dB; None without one."""
        for place, control in enumerate(self.active):
            if control.name == self.output_gain:
                fits = control.unit.lower() == "db" and control.scale == "linear" and not control.steps
                return place if fits else None
        return None

    @property
    def active(self) -> tuple[Control, ...]:
        """The controls that a controller sets, in order."""
        return tuple(control for control in self.controls if control.use)

    @property
    def held(self) -> tuple[Control, ...]:
        """The controls that are kept at a stated plain value."""
        return tuple(control for control in self.controls if not control.use and control.value is not None)

    @property
    def space(self) -> ControlSpace:
        """The ControlSpace of the active controls."""
        return ControlSpace(self.active)

    @property
    def label(self) -> str:
        """How messages name the plugin."""
        return self.identity.plugin_name or self.name

    def fingerprint(self) -> str:
        """Hash all that changes what a render sounds like or what positions mean, as 16 hex digits."""
        # A round trip turns whole numbers given for floats into floats, so that 100 and 100.0 hash alike.
        parts = msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(self), type=Profile))
        for cosmetic in ("notes", "name", "load_ms", "cost_ms", "folder", "schema", "repeatability"):
            parts.pop(cosmetic)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def check_profile(profile: Profile) -> Profile:
    """Refuse a profile that can't be rendered with.

    Raises
    ------
    ProfileError
        No control left, two controls on one index, an impossible block size or channel count, a preset of a built-in.
    """
    where = f"profile '{profile.name}'"
    if not profile.active:
        raise ProfileError(f"{where}: no control is left to set; give at least one [[controls]] entry use = true")
    indices = [control.index for control in profile.controls]
    if len(set(indices)) != len(indices):
        raise ProfileError(f"{where}: two controls have the same index; each parameter may appear once")
    if not 1 <= profile.block_size <= MAXIMUM_BLOCK_SIZE:
        raise ProfileError(f"{where}: block_size = {profile.block_size}, expected 1 to {MAXIMUM_BLOCK_SIZE}")
    if profile.channels not in (0, 1, 2):
        raise ProfileError(f"{where}: channels = {profile.channels}, expected 1, 2, or 0 for any")
    if profile.base_preset and profile.identity.format == "builtin":
        raise ProfileError(
            f"{where}: base_preset = '{profile.base_preset}', but a built-in effect has no presets; remove the line, "
            "and give controls that are not used a value"
        )
    return profile


def load_profile(path: str | os.PathLike[str]) -> Profile:
    """Read and check a profile.

    Parameters
    ----------
    path : path
        A ``profile.toml``, or the folder that holds one.

    Raises
    ------
    ProfileError
        When it can't be read or is not valid; the message names the place in the file.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "profile.toml"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ProfileError(
            f"{path}: can't be read ({error.strerror}); expected a profile.toml as `afx probe` writes"
        ) from None
    try:
        profile = msgspec.toml.decode(text, type=Profile)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        cause = error.__cause__
        said = str(cause) if isinstance(cause, ProfileError) else in_our_words(error, Profile, _lenient(text))
        raise ProfileError(f"{path}: {said}") from None
    profile = msgspec.structs.replace(profile, folder=str(path.parent.resolve()))
    try:
        return check_profile(profile)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from None


def _lenient(text: bytes) -> Any:
    """Read TOML as far as that goes, to show what a wrong field holds."""
    try:
        return tomllib.loads(text.decode("utf-8"))
    except ValueError:
        return None


def dump_profile(profile: Profile) -> str:
    """Write a profile as TOML text; fields that hold their default are left out but for the controls' ranges."""
    import tomlkit

    builtins = msgspec.to_builtins(msgspec.structs.replace(profile, folder=""))
    defaults = _defaults(Profile)
    document = tomlkit.document()
    for key, content in builtins.items():
        if key in ("controls", "meters", "identity") or (key != "schema" and content == defaults.get(key)):
            continue
        document[key] = content
    document["identity"] = {key: content for key, content in builtins["identity"].items() if content != ""}
    for key, record in (("controls", Control), ("meters", Meter)):
        rows = tomlkit.aot()
        blank = _defaults(record)
        keep = {"scale", "steps", "use"}
        for entry in builtins[key]:
            rows.append(
                tomlkit.item(
                    {
                        field: content
                        for field, content in entry.items()
                        if content is not None and (field in keep or content not in (blank.get(field), []))
                    }
                )
            )
        if builtins[key]:
            document[key] = rows
    return tomlkit.dumps(document)


def _defaults(record: type[msgspec.Struct]) -> dict[str, object]:
    return {field.name: field.default for field in msgspec.structs.fields(record)}


def save_profile(profile: Profile, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a profile beside its place and rename it there.

    Raises
    ------
    OutputError
        When the file exists and `force` is false, or the folder can't be written.
    """
    path = Path(path)
    if path.suffix != ".toml":
        path = path / "profile.toml"
    if path.exists() and not force:
        raise OutputError(f"{path} exists; give --force to replace it, or another name")
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(dump_profile(profile), encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}); choose a folder you may write to") from None
    return path


def table_hash(rows: list[tuple[int, int | None, str, int]]) -> str:
    """Hash a parameter table of (index, param id, name, steps) rows as 16 hex digits."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
