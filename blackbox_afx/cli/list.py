"""`afx list`: what is on the shelves, and which methods there are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.console import emit_json, example, say, table


@example("""
$ afx list plugins
NAME      ORIGIN   PATH
zam_comp  shipped  .../plugins/zam_comp/profile.toml
zam_eq2   shipped  .../plugins/zam_eq2/profile.toml
$ afx list plugins --json
[
  {
    "name": "zam_comp",
...
""")
def list_shelf(
    kind: Literal["plugins", "proxies", "train", "controllers", "methods"],
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Show the plugins, proxies, recipes, controllers or methods there are.

    What the folders of AFX_SHELF hold comes before what installed packages offer, and that before what ships.

    Parameters
    ----------
    kind
        plugins are profiles, which commands take as PLUGIN; proxies are networks that imitate a plugin;
        train are recipes; controllers are what `afx transfer --controller` takes by name; methods are what
        `afx learn --method` takes.
    as_json
        Print JSON.
    """
    rows = _methods() if kind == "methods" else _items(kind)
    if as_json:
        emit_json(rows)
    elif rows:
        table([key.upper() for key in rows[0]], [[str(value) for value in row.values()] for row in rows])
    else:
        say(f"no {kind} on the shelves; AFX_SHELF may name folders that hold some")


def _items(kind: str) -> list[dict[str, Any]]:
    return [{"name": item.name, "origin": item.origin, "path": str(item.path)} for item in shelf.items(kind)]


def _methods() -> list[dict[str, Any]]:
    from blackbox_afx.train.methods import METHODS

    return [{"name": name, "about": method.about} for name, method in METHODS.items()]
