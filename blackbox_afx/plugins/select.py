"""Choose which of a plugin's controls a controller sets.

Conventions: a selection is a comma-separated list of names, of patterns with ``*``, ``?`` and ``[...]``, or
``auto:N`` for the N controls that move the sound most; case does not count. ``Plugin: Name`` speaks of one plugin
of a chain only.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

import msgspec

from blackbox_afx.errors import ProfileError, UsageError, nearest
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import Profile

SILENT_DB = -120.0
"""Effect of a control that never changed a sample."""


def select_controls(
    profile: Profile, selection: str | Sequence[str], *, moves: Mapping[int, float] | None = None
) -> Profile:
    """Give a profile that sets the chosen controls only.

    Parameters
    ----------
    profile : Profile
    selection : str or sequence of str
        For example ``"Threshold, Freq*"`` or ``"auto:24"``. An exact name also picks a control that the profile
        holds still or that can't be automated; a pattern and ``auto:`` take automatable ones only.
    moves : mapping of int to float, optional
        Effect of each control in dB, by index, as the probe measured it; needed for ``auto:N``.

    Returns
    -------
    Profile
        Its other controls have ``use = false`` and keep the value that the profile holds them at, if any.

    Raises
    ------
    UsageError
        A name or pattern fits no control, or ``auto:`` is not followed by a number above 0.
    ProfileError
        ``auto:N`` without `moves`, or no control that moves the sound.
    """
    return select_in_chain([profile], selection, moves=None if moves is None else [moves])[0]


def select_in_chain(
    profiles: Sequence[Profile],
    selection: str | Sequence[str],
    *,
    moves: Sequence[Mapping[int, float]] | None = None,
) -> list[Profile]:
    """Do what `select_controls` does for plugins in series.

    Parameters
    ----------
    profiles : sequence of Profile
    selection : str or sequence of str
        An entry without a plugin's name is looked for in all of them. A plugin that no entry fits keeps its own
        selection.
    moves : sequence of mapping, optional
        One a profile.

    Returns
    -------
    list of Profile
    """
    entries = split_selection(selection)
    chosen: list[set[int]] = [set() for _ in profiles]
    for entry in entries:
        if entry.lower().startswith("auto:"):
            for found, more in zip(chosen, _strongest(profiles, entry, moves), strict=True):
                found |= more
            continue
        fits = [_fitting(profile, entry) for profile in profiles]
        if not any(fits):
            raise UsageError(_unknown(profiles, entry))
        for found, more in zip(chosen, fits, strict=True):
            found |= more
    return [_only(profile, found) if found else profile for profile, found in zip(profiles, chosen, strict=True)]


def split_selection(selection: str | Sequence[str]) -> list[str]:
    """Split a selection at its commas.

    Raises
    ------
    UsageError
        Nothing is left.
    """
    parts = selection.split(",") if isinstance(selection, str) else list(selection)
    entries = [part.strip() for part in parts if part.strip()]
    if not entries:
        raise UsageError("the selection of controls is empty; expected names, patterns such as 'Freq*', or 'auto:8'")
    return entries


def _fitting(profile: Profile, entry: str) -> set[int]:
    """Find the indices of the controls that an entry means."""
    name = entry.lower()
    exact = {control.index for control in profile.controls if control.name.lower() == name}
    if exact:
        return exact
    plugin, colon, rest = name.partition(":")
    if colon and plugin.strip() in (profile.label.lower(), profile.name.lower()):
        return _fitting(profile, rest.strip())
    return {
        control.index
        for control in profile.controls
        if control.automatable and fnmatch.fnmatchcase(control.name.lower(), name)
    }


def _strongest(profiles: Sequence[Profile], entry: str, moves: Sequence[Mapping[int, float]] | None) -> list[set[int]]:
    """Pick the controls that move the sound most, at least one of each plugin."""
    digits = entry.partition(":")[2].strip()
    if not digits.isdigit() or int(digits) == 0:
        raise UsageError(f"'{entry}': expected a number of controls above 0 after 'auto:', such as auto:24")
    if moves is None:
        raise ProfileError(
            f"'{entry}' needs to know which controls move the sound of {profiles[0].label}; run `afx probe` on it first"
        )
    picked: list[set[int]] = []
    ranked: list[tuple[float, int, int]] = []
    for place, (profile, effect) in enumerate(zip(profiles, moves, strict=True)):
        rows = sorted(
            (-effect.get(control.index, SILENT_DB), place, control.index)
            for control in profile.controls
            if control.automatable and effect.get(control.index, SILENT_DB) > SILENT_DB
        )
        if not rows:
            raise ProfileError(f"{profile.label}: no control moves the sound, so '{entry}' has nothing to choose from")
        picked.append({rows[0][2]})
        ranked += rows[1:]
    for _, place, index in sorted(ranked)[: max(0, int(digits) - len(profiles))]:
        picked[place].add(index)
    return picked


def _only(profile: Profile, indices: set[int]) -> Profile:
    """Use the controls with these indices and no others."""

    def chosen(control: Control) -> Control:
        use = control.index in indices
        return control if control.use == use else msgspec.structs.replace(control, use=use)

    return msgspec.structs.replace(profile, controls=tuple(chosen(control) for control in profile.controls))


def _unknown(profiles: Sequence[Profile], entry: str) -> str:
    """Word the error about an entry that fits nothing."""
    plugins = " -> ".join(profile.label for profile in profiles)
    meters = {meter.name.lower(): meter.why for profile in profiles for meter in profile.meters}
    if entry.lower() in meters:
        return f"'{entry}' of {plugins} is a {meters[entry.lower()]} and can't be set; choose another control"
    names = list(dict.fromkeys(control.name for profile in profiles for control in profile.controls))
    what = "pattern" if any(mark in entry for mark in "*?[") else "name"
    # Close matches ignore case too, but are shown as the plugin writes them.
    by_lower = {name.lower(): name for name in names}
    hint = nearest(entry.lower(), list(by_lower))
    for low, name in sorted(by_lower.items(), key=lambda pair: -len(pair[0])):
        hint = hint.replace(f"'{low}'", f"'{name}'")
    if hint.startswith("known:"):
        hint = nearest("", names)
    return f"no control of {plugins} fits the {what} '{entry}'; {hint}"
