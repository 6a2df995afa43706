"""Examine a plugin in throw-away processes and make its profile.

Conventions: no plugin is ever loaded into the calling process. A plugin that crashes or hangs becomes `PluginCrash` or
`PluginHang`; anything else that is no plugin becomes `PluginError`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from blackbox_afx.errors import PluginCrash, PluginError, UsageError
from blackbox_afx.plugins.control_table import split_parameters
from blackbox_afx.plugins.identity import BUILTIN, binary_of, file_hash, format_of, identity_of_class, lv2_identity
from blackbox_afx.plugins.locate import locate
from blackbox_afx.plugins.preset import check_preset
from blackbox_afx.plugins.profile import Identity, Profile
from blackbox_afx.plugins.report import ProbeReport
from blackbox_afx.plugins.throwaway import Ended, as_error, reraise, run_child
from blackbox_afx.plugins.vst3 import read_vst3, single_class

AUDIT = "blackbox_afx.plugins.audit"

WITHIN = "::"
"""Between a bundle's path and the plugin meant in it."""


def probe(
    token: str | Path,
    *,
    name: str | None = None,
    sample_rate: int = 24000,
    bases: int = 20,
    timeout_s: float = 60.0,
    budget_s: float | None = None,
    preset: str | Path | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> ProbeReport:
    """Examine a plugin and make its profile.

    Parameters
    ----------
    token : str or Path
        A path, ``path::Plugin Name``, an LV2 URI, or ``builtin:Compressor``.
    name : str, optional
        Which plugin of a bundle.
    sample_rate : int > 0
        Hertz.
    bases : int > 0
        Random settings around which each control is moved.
    timeout_s : float > 0
        Seconds for the whole examination.
    budget_s : float > 0, optional
        Seconds of it to spend on rendering; 0.55 of the whole by default.
    preset : path, optional
        ``.vstpreset`` or raw state for all that is not controlled.
    on_stage : callable, optional
        Told what is being done.

    Returns
    -------
    ProbeReport

    Raises
    ------
    PluginError
        It is not a plugin, refuses to load or to render; a bundle holds several and no name was given.
    PluginCrash, PluginHang
        It ended its process, or did not come back.
    """
    draft, described, categories = draft_profile(str(token), name=name, timeout_s=timeout_s)
    if preset is not None:
        draft = with_preset(draft, preset)
    request: dict[str, Any] = {"described": described, "categories": categories, **_budget(budget_s)}
    return examine(draft, request, sample_rate=sample_rate, bases=bases, timeout_s=timeout_s, on_stage=on_stage)


def probe_again(
    profile: Profile,
    *,
    bases: int = 20,
    timeout_s: float = 60.0,
    budget_s: float | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> ProbeReport:
    """Measure a profile's facts on the installed binary, and keep its choice of controls and ranges; see `probe`.

    Returns
    -------
    ProbeReport
        Its profile has the installed binary's hash and version; moves are within the profile's ranges.

    Raises
    ------
    PluginError
        As `probe`.
    """
    token = profile.identity.uri or profile.identity.file or BUILTIN + profile.identity.plugin_name
    identity = profile.identity
    categories = ""
    if identity.format != "builtin":
        where = installed_path(profile)
        binary = file_hash(binary_of(identity, where))
        identity = msgspec.structs.replace(identity, sha256=binary)
    if identity.format == "vst3":
        entry = single_class(read_vst3(installed_path(profile), timeout_s=timeout_s), identity.class_id or None)
        identity, categories = identity_of_class(identity, entry), entry.sub_categories
    draft = msgspec.structs.replace(profile, identity=identity)
    request: dict[str, Any] = {"described": True, "given": True, "categories": categories or token, **_budget(budget_s)}
    return examine(
        draft,
        request,
        sample_rate=profile.probe_rate,
        bases=bases,
        timeout_s=timeout_s,
        on_stage=on_stage,
    )


def _budget(budget_s: float | None) -> dict[str, float]:
    return {} if budget_s is None else {"budget_s": budget_s}


def examine(
    draft: Profile,
    request: dict[str, Any],
    *,
    sample_rate: int,
    bases: int,
    timeout_s: float,
    on_stage: Callable[[str], None] | None = None,
) -> ProbeReport:
    """Let a throw-away process examine a draft, and hear it out."""
    began = time.monotonic()
    stage = "starting"
    report: ProbeReport | None = None
    late: dict[str, str] = {}
    label = draft.label

    def hear(answer: dict[str, Any]) -> None:
        nonlocal stage, report
        if "error" in answer:
            reraise(answer, label)
        elif "stage" in answer:
            stage = answer["stage"]
            if on_stage is not None:
                on_stage(stage)
        elif "report" in answer:
            report = msgspec.convert(answer["report"], ProbeReport)
        elif "row" in answer:
            late.update(answer["row"])

    full = {
        "draft": msgspec.to_builtins(draft),
        "sample_rate": sample_rate,
        "bases": bases,
        # Starting, loading and the last tests take their share too.
        "budget_s": 0.55 * timeout_s,
        **request,
    }
    try:
        run_child(AUDIT, full, hear, timeout_s=timeout_s)
    except Ended as ended:
        if report is None or stage not in ("nan", "out_of_range"):
            raise as_error(ended, label, stage) from None
        late[stage] = "crashes" if ended.how == "crash" else "hangs"
    if report is None:
        raise PluginCrash(
            f"{label}: ended the process it was loaded in while {stage}; leave it out, or update or reinstall it"
        )
    profile = report.profile
    profile = msgspec.structs.replace(profile, folder=draft.folder, **twins(profile))
    return msgspec.structs.replace(
        report,
        profile=profile,
        nan=late.get("nan", report.nan),
        out_of_range=late.get("out_of_range", report.out_of_range),
        seconds=round(time.monotonic() - began, 2),
    )


def probe_table(profile: Profile, *, timeout_s: float = 20.0) -> Identity:
    """Read the parameter table of a plugin that only its host can describe, in a throw-away process.

    Returns
    -------
    Identity
        The profile's with the installed plugin's table hash.
    """
    draft = msgspec.structs.replace(profile, controls=(), meters=())
    request: dict[str, Any] = {"only_table": True}
    report = examine(draft, request, sample_rate=profile.probe_rate, bases=1, timeout_s=timeout_s)
    return report.profile.identity


def draft_profile(token: str, *, name: str | None = None, timeout_s: float = 60.0) -> tuple[Profile, bool, str]:
    """Identify a plugin as far as that goes without its host.

    Returns
    -------
    draft : Profile
    described : bool
        Whether the draft lists the parameters (VST3).
    categories : str
        As the plugin files itself.
    """
    path_text, _, inner = token.partition(WITHIN)
    if name is None and inner:
        name = inner
    format = format_of(path_text)
    if format is None:
        raise PluginError(
            f"{token}: not a plugin; expected a .vst3, .so, .dll, .lv2 or .dsp file, an LV2 URI, or "
            f"{BUILTIN}NAME such as {BUILTIN}Compressor"
        )
    if format == "builtin":
        from blackbox_afx.plugins.builtins import builtin_profile

        return builtin_profile(path_text.removeprefix(BUILTIN)), True, ""
    if format == "lv2":
        identity, where = lv2_identity(path_text, name)
        draft = Profile(name=profile_name(identity.plugin_name or identity.uri), identity=identity)
        return draft, False, identity.plugin_name
    where = locate(path_text, format)
    identity = Identity(
        format=format,
        file=bare_or_full(where, format),
        plugin_name=name or "",
        sha256=file_hash(binary_of(Identity(format=format), where)),
    )
    if format == "vst3":
        try:
            entry = single_class(read_vst3(where, timeout_s=min(timeout_s, 20.0)), name)
        except PluginError as error:
            text = str(error)
            raise type(error)(text if str(where) in text else f"{where}: {text}") from None
        controls, meters = split_parameters(entry)
        identity = identity_of_class(identity, entry)
        draft = Profile(name=profile_name(entry.name), identity=identity, controls=controls, meters=meters)
        return draft, True, entry.sub_categories
    label = name or where.stem
    identity = msgspec.structs.replace(identity, plugin_name=label if format == "faust" else name or "")
    return Profile(name=profile_name(label), identity=identity), False, label


def installed_path(profile: Profile) -> Path:
    """Find where the plugin of a profile lies: its file, or its LV2 bundle.

    Raises
    ------
    PluginError
        It is not installed.
    """
    identity = profile.identity
    if identity.format == "lv2":
        return lv2_identity(identity.uri, None)[1]
    return locate(identity.file, identity.format, profile.folder)


def with_preset(profile: Profile, preset: str | Path) -> Profile:
    """Put a preset under all that is not controlled.

    Raises
    ------
    UsageError
        There is no such file.
    PluginError
        It is no preset of this plugin.
    """
    path = Path(preset).expanduser()
    if not path.is_file():
        raise UsageError(f"{preset}: no such file; expected a .vstpreset or a saved state of {profile.label}")
    check_preset(profile, path)
    return msgspec.structs.replace(profile, base_preset=str(path.resolve()))


def bare_or_full(path: Path, format: str) -> str:
    """Name a plugin file so that a profile works on other machines: bare where that finds this very file."""
    try:
        found = locate(path.name, format)
    except PluginError:
        return str(path.absolute())
    return path.name if found.resolve() == path.resolve() else str(path.absolute())


def profile_name(name: str) -> str:
    """Turn a plugin's name into a profile's: ``ZamEQ2`` into ``zam_eq2``."""
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "plugin"


def twins(profile: Profile) -> dict[str, str]:
    """Find the plugin beside it that does the same for the other channel count: ``ZamComp`` and ``ZamCompX2``."""
    file = profile.identity.file
    if profile.identity.format not in ("vst3", "vst2") or profile.channels == 0:
        return {}
    stem, suffix = Path(file).stem, Path(file).suffix
    core, dash, tail = stem.partition("-")  # VST2 files are called ZamComp-vst.so
    if profile.channels == 1:
        field, other = "stereo_twin", core + "X2"
    elif core.endswith("X2"):
        field, other = "mono_twin", core.removesuffix("X2")
    else:
        return {}
    candidate = str(Path(file).with_name(other + dash + tail + suffix))
    try:
        locate(candidate, profile.identity.format, profile.folder)
    except PluginError:
        return {}
    return {field: candidate}


def for_folder(profile: Profile, folder: Path) -> Profile:
    """Name files from the folder that a profile is about to be saved in: a base preset that lies there is bare."""
    if not profile.base_preset:
        return profile
    preset = Path(profile.base_preset)
    if preset.is_absolute() and preset.parent == folder.resolve():
        return msgspec.structs.replace(profile, base_preset=preset.name)
    return profile
