"""Find plugins, proxies, recipes, controllers and demo clips by name.

Conventions: a name is looked for, in this order, as a path; on the folders of ``$AFX_SHELF``; on what
installed distributions offer under the entry point group ``blackbox_afx.shelf``; among what ships.
Each of these folders has the shape of the checkout: ``plugins/<name>/profile.toml``,
``proxies/<name>/weights.safetensors``, ``train/<name>/recipe.toml``, and beside a recipe
``weights.safetensors`` where a controller came out of it.
An earlier place hides a later one's item of the same name.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from blackbox_afx.errors import OutputError, ShelfError, UsageError, nearest

GROUP = "blackbox_afx.shelf"
"""Entry point group of shelves: each entry is a package, a path, or a function that gives a path."""


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the items of one kind lie and which of their files one opens."""

    folder: str
    opens: str
    singular: str


KINDS = {
    "plugins": Kind(folder="plugins", opens="profile.toml", singular="plugin profile"),
    "proxies": Kind(folder="proxies", opens="weights.safetensors", singular="proxy"),
    "train": Kind(folder="train", opens="recipe.toml", singular="recipe"),
    "controllers": Kind(folder="train", opens="weights.safetensors", singular="controller"),
}


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing on a shelf.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    name : str
        Its folder's name, by which commands take it.
    path : pathlib.Path
        The file one opens; its parent is the item's folder.
    origin : str
        ``AFX_SHELF``, the name of an entry point, or ``shipped``.
    """

    kind: str
    name: str
    path: Path
    origin: str


def find(kind: str, name: str | os.PathLike[str]) -> Path:
    """Find the file that stands for an item.

    Parameters
    ----------
    kind : {'plugins', 'proxies', 'train', 'controllers'}
        What is looked for.
    name : str or path
        A path to the file or to its folder, or a name on a shelf.

    Returns
    -------
    pathlib.Path
        ``profile.toml``, ``recipe.toml`` or ``weights.safetensors`` in the item's folder, or the
        file that was named.

    Raises
    ------
    UsageError
        There is no such kind.
    ShelfError
        Nothing goes by that name; the message names what is close, or what there is.
    """
    shape = _shape(kind)
    text = os.fspath(name)
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if (path / shape.opens).is_file():
        return path / shape.opens
    if _looks_like_path(text):
        what = f"a folder without {shape.opens}" if path.is_dir() else "no such file or folder"
        raise ShelfError(f"{text}: {what}; expected a {shape.singular}, its folder, or a name from `afx list {kind}`")
    known = {item.name: item for item in items(kind)}
    if text not in known:
        there = nearest(text, list(known)) if known else f"none is on a shelf; give the path of a {shape.singular}"
        raise ShelfError(f"no {shape.singular} is called '{text}'; {there}")
    return known[text].path


def items(kind: str) -> list[Item]:
    """List what there is of a kind, by name; of two with one name the one that `find` would give.

    Parameters
    ----------
    kind : {'plugins', 'proxies', 'train', 'controllers'}
        What to list.

    Returns
    -------
    list of Item
        In the order of their names.
    """
    shape = _shape(kind)
    found: dict[str, Item] = {}
    for origin, root in roots():
        for path in sorted((root / shape.folder).glob(f"*/{shape.opens}")):
            name = path.parent.name
            found.setdefault(name, Item(kind=kind, name=name, path=path, origin=origin))
    return [found[name] for name in sorted(found)]


def roots() -> Iterator[tuple[str, Path]]:
    """Give the places that are searched, first first, each with the word for its origin."""
    for text in os.environ.get("AFX_SHELF", "").split(os.pathsep):
        if text:
            yield "AFX_SHELF", Path(text).expanduser()
    yield from _entry_points()
    yield "shipped", shipped()


def shipped() -> Path:
    """Give the folder that holds ``plugins``, ``proxies`` and ``train`` as shipped.

    Returns
    -------
    pathlib.Path
        The checkout where the package is used from one, else ``_shipped`` inside the installed package.

    Notes
    -----
    An editable install leaves an outdated copy of these folders in site-packages, and a folder called
    `plugins` beside an installed package may be anyone's. So what counts is where this file lies, and a
    checkout is only believed where its pyproject.toml is ours.
    """
    package = Path(__file__).resolve().parent
    pyproject = package.parent / "pyproject.toml"
    if pyproject.is_file() and 'name = "blackbox-afx"' in pyproject.read_text(encoding="utf-8"):
        return package.parent
    return package / "_shipped"


def demo_audio() -> Path:
    """Give the folder of the shipped CC0 clips and their MANIFEST.csv."""
    root = shipped()
    checkout = root / "demo" / "audio"
    return checkout if checkout.is_dir() else root / "demo"


def copy(kind: str, name: str, destination: str | os.PathLike[str], force: bool = False) -> Path:
    """Copy an item's whole folder, to be changed there.

    Parameters
    ----------
    kind : {'plugins', 'proxies', 'train', 'controllers'}
        What is copied.
    name : str
        A name on a shelf, or the item's path.
    destination : path
        A folder that exists or whose name ends in a slash, where a folder `name` is made in it; or the new folder
        itself.
    force : bool
        Replace what is there.

    Returns
    -------
    pathlib.Path
        The new folder.

    Raises
    ------
    ShelfError
        There is no such item.
    OutputError
        There is something already, or it can't be written.
    """
    found, opens = find(kind, name), _shape(kind).opens
    if found.name != opens:
        raise ShelfError(f"{found}: expected a {_shape(kind).singular}'s {opens}, or its folder")
    source = found.resolve().parent
    target = Path(destination).expanduser()
    if target.is_dir() or os.fspath(destination).endswith(("/", os.sep)):
        target = target / source.name
    if source == target.resolve() or source in target.resolve().parents:
        raise OutputError(f"{target}: can't copy {source} onto or into itself; give another folder")
    if target.exists() and not force:
        raise OutputError(f"{target} exists already; name another folder, or replace it with --force")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
            shutil.copytree(source, Path(beside) / "new")
            if target.exists():
                target.rename(Path(beside) / "old")
            (Path(beside) / "new").rename(target)
    except OSError as error:
        raise OutputError(
            f"{target}: can't be written ({error.strerror or error}); name a folder you may write to"
        ) from error
    return target


def _shape(kind: str) -> Kind:
    if kind not in KINDS:
        raise UsageError(f"there is no kind '{kind}'; {nearest(kind, list(KINDS))}")
    return KINDS[kind]


def _looks_like_path(text: str) -> bool:
    return os.sep in text or "/" in text or text.startswith("~") or text.endswith((".toml", ".safetensors"))


def _entry_points() -> Iterator[tuple[str, Path]]:
    import warnings
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            yield point.name, _folder_of(point.load())
        except Exception as error:  # another distribution's fault must not take ours down
            warnings.warn(f"the shelf '{point.name}' ({point.value}) can't be used: {error}", stacklevel=2)


def _folder_of(offer: str | os.PathLike[str] | Callable[[], Any] | Any) -> Path:
    """Turn what an entry point names into its folder."""
    if hasattr(offer, "__path__"):
        return Path(next(iter(offer.__path__)))
    return Path(offer() if callable(offer) else offer)
