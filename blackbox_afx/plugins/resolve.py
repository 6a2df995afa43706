"""Turn what a user calls a plugin into a profile that fits what is installed.

Conventions: profiles that a probe made on the way are kept in the cache folder by the binary's hash. Another class or
parameter table is refused, another version refused unless told, another binary alone is a warning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from blackbox_afx import shelf
from blackbox_afx.errors import PluginError, ProfileError, ShelfError, nearest
from blackbox_afx.plugins.cache import cache_folder, keep
from blackbox_afx.plugins.identity import BUILTIN, binary_of, file_hash, format_of, identity_of_class
from blackbox_afx.plugins.probe import (
    WITHIN,
    draft_profile,
    installed_path,
    probe,
    probe_again,
    probe_table,
    with_preset,
)
from blackbox_afx.plugins.profile import Identity, Profile, check_profile, dump_profile, load_profile
from blackbox_afx.plugins.report import ProbeReport
from blackbox_afx.plugins.select import select_controls, split_selection
from blackbox_afx.plugins.vst3 import read_vst3, single_class

Note = Callable[[str], None]


def resolve_plugin(
    token: str | Path,
    *,
    controls: str | Sequence[str] | None = None,
    preset: str | Path | None = None,
    probe_missing: bool = True,
    allow_version: bool = False,
    note: Note | None = None,
) -> Profile:
    """Give the profile of what a user calls a plugin.

    Parameters
    ----------
    token : str or Path
        A ``profile.toml`` or its folder, a name on the shelf, ``builtin:Compressor``, an LV2 URI, or a path to a
        ``.vst3``, ``.so``, ``.dll``, ``.lv2`` or ``.dsp``; ``path::Plugin Name`` picks one of a bundle.
    controls : str or sequence of str, optional
        A selection as `select_controls` takes it.
    preset : path, optional
        State for all that is not controlled.
    probe_missing : bool
        Whether a plugin without a profile is probed; the result is kept in the cache.
    allow_version : bool
        Take another version of the plugin than the profile's.
    note : callable, optional
        Told of warnings and of a probe that is under way.

    Returns
    -------
    Profile

    Raises
    ------
    ShelfError
        Nothing goes by that name.
    ProfileError
        The profile is not valid or does not fit what is installed.
    PluginError
        It is not installed, not a plugin, or does not load; with `probe_missing` false: it has no profile.
    UsageError
        The selection fits nothing.
    """
    note = note or (lambda text: None)
    token = str(token)
    profile = _listed(token)
    if profile is not None:
        warnings = check_installed(profile, allow_version=allow_version)
        for text in warnings:
            note(text)
        if warnings:
            profile = _measured_again(profile, note)
    else:
        profile = _probed(token, probe_missing, note).profile
    if preset is not None:
        profile = with_preset(profile, preset)
    if controls is not None:
        asks = any(entry.lower().startswith("auto:") for entry in split_selection(controls))
        profile = select_controls(profile, controls, moves=effects_of(profile, note) if asks else None)
    return check_profile(profile)


def check_installed(profile: Profile, *, allow_version: bool = False) -> list[str]:
    """Compare a profile with the plugin that is installed.

    Parameters
    ----------
    profile : Profile
    allow_version : bool
        Only warn of another version.

    Returns
    -------
    list of str
        Warnings; empty where the binary is the very one.

    Raises
    ------
    PluginError
        It is not installed, or does not load.
    ProfileError
        It is another class, has another parameter table, or is another version.
    """
    identity = profile.identity
    if identity.format == "builtin":
        return []
    where = installed_path(profile)
    binary = file_hash(binary_of(identity, where))
    if not identity.sha256 or binary == identity.sha256:
        return []
    found = _identity_now(profile, where)
    if identity.class_id and found.class_id != identity.class_id:
        raise ProfileError(
            f"{where} holds class {found.class_id} ({found.plugin_name}), profile '{profile.name}' is of class "
            f"{identity.class_id}; probe it again, or install the plugin that the profile is of"
        )
    if identity.table_hash and found.table_hash != identity.table_hash:
        raise ProfileError(
            f"{where} has another parameter table than profile '{profile.name}' was made for "
            f"({found.table_hash}, expected {identity.table_hash}); probe it again"
        )
    if identity.version and found.version != identity.version:
        text = f"{where} is version {found.version or 'unknown'}, profile '{profile.name}' is of {identity.version}"
        if not allow_version:
            raise ProfileError(f"{text}; install that version, probe it again, or allow another version")
        return [f"{text}; it may sound different"]
    return [
        f"{where} is another build than profile '{profile.name}' was made on (sha256 {binary[:12]}, expected "
        f"{identity.sha256[:12]}); it may sound different"
    ]


def effects_of(profile: Profile, note: Note | None = None) -> dict[int, float]:
    """Give the effect of each control in dB by index, from the cache or a new probe of the whole plugin."""
    identity = profile.identity
    token = identity.uri or identity.file or BUILTIN + identity.plugin_name
    if identity.file and identity.plugin_name and identity.format == "vst3":
        token += WITHIN + identity.plugin_name
    if identity.format == "faust" and profile.folder:
        token = str(Path(profile.folder) / identity.file)
    return _probed(token, True, note or (lambda text: None)).effects


def _listed(token: str) -> Profile | None:
    """Load the profile that a token names; None where it names a plugin itself."""
    path = Path(token).expanduser()
    if path.suffix == ".toml" or (path / "profile.toml").is_file():
        return load_profile(path)
    if token.startswith(BUILTIN):
        from blackbox_afx.plugins.builtins import builtin_profile

        return builtin_profile(token.removeprefix(BUILTIN))
    if format_of(token.partition(WITHIN)[0]) is not None:
        return None
    wrong = PluginError(
        f"{token}: not a plugin; expected a profile.toml, a .vst3, .so, .dll, .lv2 or .dsp, an LV2 URI, or a "
        "name from `afx list plugins`"
    )
    if path.is_file():
        raise wrong
    try:
        # A folder that happens to be called as a plugin does not hide the plugin.
        return load_profile(shelf.find("plugins", token))
    except ShelfError as error:
        if path.exists():
            raise wrong from None
        raise ShelfError(f"{error} (or give a plugin's path, an LV2 URI, or {BUILTIN}NAME)") from None


def _identity_now(profile: Profile, where: Path) -> Identity:
    """Read the identity of what is installed."""
    if profile.identity.format == "vst3":
        classes = read_vst3(where)
        ids = [entry.class_id for entry in classes]
        wanted = profile.identity.class_id if profile.identity.class_id in ids else None
        if wanted is None and len(classes) > 1:
            names = [entry.name for entry in classes]
            wanted = profile.identity.plugin_name
            if wanted not in names:
                raise ProfileError(
                    f"{where} holds no plugin '{wanted}' of profile '{profile.name}'; {nearest(wanted, names)}"
                )
        return identity_of_class(profile.identity, single_class(classes, wanted))
    found = probe_table(profile)
    return msgspec.structs.replace(found, version=profile.identity.version)


def _probed(token: str, probe_missing: bool, note: Note) -> ProbeReport:
    """Give the probe of a plugin, from the cache where this very binary has been probed."""
    draft = draft_profile(token)[0]
    place = _place(draft)
    try:
        return msgspec.json.decode(place.with_suffix(".json").read_bytes(), type=ProbeReport)
    except (OSError, msgspec.DecodeError, ProfileError):
        pass
    if not probe_missing:
        raise PluginError(f"{token}: has no profile; run `afx probe {token}` first")
    note(f"no profile of {draft.label} yet: probing it, which takes up to a minute")
    report = probe(token)
    _keep(place, report)
    return report


def _measured_again(profile: Profile, note: Note) -> Profile:
    """Measure the facts of a profile on another build than it was made on."""
    here = file_hash(binary_of(profile.identity, installed_path(profile)))
    place = _place(profile, profile.fingerprint() + here)
    try:
        return msgspec.structs.replace(load_profile(place), folder=profile.folder)
    except ProfileError:
        pass
    note(f"probing {profile.label} again on this build")
    report = probe_again(profile)
    _keep(place, report)
    return msgspec.structs.replace(report.profile, folder=profile.folder)


def _place(draft: Profile, extra: str = "") -> Path:
    """Name the cache file of a plugin by what must not change under it."""
    identity = draft.identity
    key = (identity.format, identity.sha256, identity.class_id, identity.uri, identity.plugin_name, extra)
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:16]
    return cache_folder() / "profiles" / f"{identity.sha256[:16] or identity.format}-{digest}.toml"


def _keep(place: Path, report: ProbeReport) -> None:
    data: dict[str, Any] = msgspec.to_builtins(report)
    keep(place, dump_profile(report.profile).encode())
    keep(place.with_suffix(".json"), msgspec.json.encode(data))
