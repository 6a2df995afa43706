"""The exceptions a caller may catch.

Conventions: every message is one line that says what came, what was expected and what to do.
The command line prints it as it is and leaves with `exit_status`: 1 for work that failed, 2 for wrong use.
"""

from __future__ import annotations


class AfxError(Exception):
    """Any error that this package raises on purpose."""

    exit_status = 1


class UsageError(AfxError):
    """The request itself is wrong: an unknown name, options that exclude each other, a value out of range."""

    exit_status = 2


class AudioError(AfxError):
    """A file or an array is not audio that can be worked with."""


class OutputError(AfxError):
    """A result can't be written where it was asked for."""


class PluginError(AfxError):
    """A plugin can't be loaded or does not do what its profile says."""


class PluginCrash(PluginError):
    """A plugin ended the process it was loaded in."""


class PluginHang(PluginError):
    """A plugin did not come back within its time limit."""


class ProfileError(AfxError):
    """A profile is not valid, or does not fit the installed plugin."""


class FarmError(AfxError):
    """Renders failed in a way that the run can't go on from."""


class ShelfError(UsageError):
    """No plugin, proxy, recipe or controller goes by that name."""


class RecipeError(AfxError):
    """A recipe is not valid."""


class ControllerError(AfxError):
    """A controller file can't be read, or does not fit what it is used with."""


class ProxyError(AfxError):
    """A proxy file can't be read, or imitates another plugin than the one it is used for."""


def nearest(name: str, known: list[str], limit: int = 3) -> str:
    """Word the end of an error about an unknown name: close matches, or the names there are.

    Parameters
    ----------
    name : str
        What was asked for.
    known : list of str
        What there is.
    limit : int
        Close matches to name at the most.

    Returns
    -------
    str
        For example ``did you mean 'zam_comp'?`` or ``known: a, b, c``.
    """
    import difflib

    close = difflib.get_close_matches(name, known, n=limit, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(f"'{match}'" for match in close) + "?"
    if not known:
        return "there are none"
    shown = sorted(known)
    return "known: " + ", ".join(shown[:40]) + (f" and {len(shown) - 40} more" if len(shown) > 40 else "")
