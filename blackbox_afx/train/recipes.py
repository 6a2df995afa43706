"""Recipes of either kind: which one a file is, changing fields by name, and where it trains."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from blackbox_afx import shelf
from blackbox_afx.errors import RecipeError, UsageError, nearest
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.profile import load_profile
from blackbox_afx.plugins.record_errors import in_our_words
from blackbox_afx.train.proxy_recipe import ProxyRecipe
from blackbox_afx.train.recipe import Recipe

if TYPE_CHECKING:
    # It brings torch with it, which reading a recipe does without.
    from blackbox_afx.proxies.proxy_file import ProxyCard

KINDS: dict[str, type[Any]] = {"controller": Recipe, "proxy": ProxyRecipe}


def kind_of(path: Path) -> str:
    """Say what a recipe trains: ``controller`` or ``proxy``.

    Raises
    ------
    RecipeError
        It can't be read, or names another kind.
    """
    return _kind(_read(path), path)


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe | ProxyRecipe:
    """Read a recipe of either kind, with fields changed.

    Parameters
    ----------
    path : Path
    changes : sequence of str
        ``key=value``; a dot goes into a table (``shares.audio=0``), values are TOML, or text where they are not.

    Raises
    ------
    RecipeError
        It is not valid.
    UsageError
        A change that is not ``key=value``, or whose key is not one of the recipe's.
    """
    content = _read(path)
    record = KINDS[_kind(content, path)]
    recipe, wrong = _convert(content, record, str(path)), ""
    for change in changes:
        key, equals, text = change.partition("=")
        first, *rest = key.strip().split(".")
        if not equals or not first:
            raise UsageError(f"--set {change}; expected key=value, for example minutes=5")
        if first not in record.__struct_fields__:
            raise UsageError(
                f"--set {change}: no field is called '{first}'; {nearest(first, list(record.__struct_fields__))}"
            )
        place = content
        for name in [first, *rest][:-1]:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {change}: {name} is not a table")
        place[[first, *rest][-1]] = _value(text.strip())
        try:
            recipe = _convert(content, record, f"--set {change}")
        except RecipeError as error:
            # Two changes may only go together, such as the ends of a range.
            wrong = wrong or str(error)
        else:
            wrong = ""
    if wrong:
        raise RecipeError(wrong)
    return recipe


def check_device(device: str) -> None:
    """Refuse a device that torch does not have here.

    Raises
    ------
    UsageError
    """
    if device == "cpu":
        return
    import torch

    if device.partition(":")[0] != "cuda":
        raise UsageError(f"--device {device}; expected cpu or cuda")
    if not torch.cuda.is_available():
        raise UsageError(
            f"--device {device}: torch {torch.__version__} finds no CUDA device here; leave it out to use the CPU"
        )


def spec_of_proxy(card: ProxyCard) -> ChainSpec:
    """Give the chain of a proxy's plugin, with the folder that a Faust file or a preset is looked for in."""
    profile = card.profile
    for item in shelf.items("plugins"):
        if item.name == profile.name:
            profile = msgspec.structs.replace(profile, folder=load_profile(item.path).folder)
    return ChainSpec(profiles=(profile,))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: can't be read ({error.strerror}); expected a recipe.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: {in_our_words(error, Recipe)}") from None


def _convert(content: dict[str, Any], record: type[Any], origin: str) -> Any:
    """Make a recipe; errors begin with where the content came from."""
    try:
        return msgspec.convert(content, record)
    except RecipeError as error:
        raise RecipeError(f"{origin}: {error}") from None
    except msgspec.ValidationError as error:
        cause = error.__cause__
        said = str(cause) if isinstance(cause, RecipeError) else in_our_words(error, record, content)
        raise RecipeError(f"{origin}: {said}") from None


def _kind(content: dict[str, Any], path: Path) -> str:
    kind = content.get("kind", "controller")
    if kind not in KINDS:
        raise RecipeError(f"{path}: kind = {kind!r}; expected one of {', '.join(KINDS)}")
    return str(kind)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text
