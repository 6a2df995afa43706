"""`afx copy`: take something from a shelf to change it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.console import example, say


@example("""
$ afx copy plugins zam_comp mine/
mine/zam_comp
$ $EDITOR mine/zam_comp/profile.toml
$ afx learn mine/zam_comp --audio recordings/ --out comp.safetensors
""")
def copy(kind: str, name: str, destination: str, *, force: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Copy a shipped plugin, proxy, recipe or controller to change it.

    Parameters
    ----------
    kind
        plugins, proxies, train or controllers.
    name
        A name that `afx list KIND` shows, or a path.
    destination
        A folder that exists or whose name ends in a slash, where a folder NAME is made in it; or the new folder
        itself.
    force
        Replace what is there.
    """
    say(shelf.copy(kind, name, destination, force=force))
