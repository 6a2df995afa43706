"""What a host tells of a plugin's parameters, and whether a profile fits them."""

from __future__ import annotations

import msgspec

from blackbox_afx.errors import ProfileError
from blackbox_afx.plugins.profile import Profile


class HostParameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what a host tells of one parameter.

    Parameters
    ----------
    index : int
    name : str
    default_raw : float
        Raw value right after loading.
    steps : int
        Number of values less one; 0 for continuous.
    plain_minimum, plain_maximum : float
        Plain values at raw 0 and 1 where the host tells them, else 0 and 1.
    scale : {"linear", "log"}
        How raw maps to plain where the host tells it.
    unit : str
    texts : tuple of str
        What the choices are called, where the host tells it.
    automatable : bool
        The host's guess.
    symbol : str
        LV2 port symbol or Faust address.
    """

    index: int
    name: str
    default_raw: float
    steps: int = 0
    plain_minimum: float = 0.0
    plain_maximum: float = 1.0
    scale: str = "linear"
    unit: str = ""
    texts: tuple[str, ...] = ()
    automatable: bool = True
    symbol: str = ""


def check_table(profile: Profile, names: list[str]) -> None:
    """Refuse a plugin whose parameters are not those of the profile.

    Parameters
    ----------
    profile : Profile
    names : list of str
        The loaded plugin's, in order.

    Raises
    ------
    ProfileError
        Naming the first control that differs.
    """
    for entry in (*profile.controls, *profile.meters):
        found = names[entry.index] if 0 <= entry.index < len(names) else None
        if found is None or found.strip() != entry.name.strip():
            what = f"'{found}'" if found is not None else f"nothing (it has {len(names)} parameters)"
            raise ProfileError(
                f"{profile.label} has another parameter table than profile '{profile.name}': at index {entry.index} "
                f"the profile has '{entry.name}', the plugin {what}; probe it again"
            )
