"""Recipes as TOML."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from blackbox_afx import shelf
from blackbox_afx.errors import RecipeError
from blackbox_afx.networks.controller import RESIDUAL_OPTIONS
from blackbox_afx.train.learn import Run
from blackbox_afx.train.recipe import Recipe, Shares, change_recipe, load_recipe
from blackbox_afx.train.recipes import read_recipe


def test_defaults_are_the_measured_ones():
    recipe = Recipe()
    assert (recipe.batch, recipe.foreign, recipe.controller) == (256, 0.8, "residual")
    assert recipe.shares == Shares(pairs=0.4, responses=0.06, proxy=0.16, controller=0.25, audio=0.12)


def test_a_folder_or_a_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('encoder = "efficientnet_b2"\ncontroller = "paper"\n[shares]\naudio = 0.0\n')
    for place in (path, tmp_path):
        recipe = load_recipe(place)
        assert (recipe.encoder, recipe.shares.audio) == ("efficientnet_b2", 0.0)
    assert change_recipe(recipe, method=None, minutes=3.0).minutes == 3.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("batch = 0", "batch"),
        ("foreign = 1.5", "foreign"),
        ("spliced = 1.5", "spliced"),
        ("minutes = -1", "minutes"),
        ("minutes = nan", "minutes"),
        ("controller_rate = 0.0", "controller_rate"),
        ("dropuot = 1", "dropuot"),
        ('batch = "many"', "batch"),
        ("[shares]\npairs = -1.0", "pairs"),
        ("[shares]\npairs = 0.0", "pairs"),
        ("batch = ", "recipe.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, says):
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(RecipeError, match=says):
        load_recipe(tmp_path)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(RecipeError, match="can't be read"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError):
        load_recipe(tmp_path)


def test_shipped_recipes_load_and_the_small_one_is_the_default():
    folder = shelf.shipped() / "train"
    shipped = {path.parent.name: read_recipe(path) for path in folder.glob("*/recipe.toml")}
    assert {"small", "paper_encoder"} <= set(shipped)
    assert shipped["small"] == Recipe(controller_options=RESIDUAL_OPTIONS)
    assert shipped["paper_encoder"].encoder == "efficientnet_b2"


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Recipe(), {"width": 512, "blocks": 4, "dropout": 0.1}),
        (Recipe(controller_options={"blocks": 2}), {"width": 512, "blocks": 2, "dropout": 0.1}),
        (Recipe(encoder="statistics", controller="paper"), {}),
    ],
)
def test_what_a_recipe_leaves_out_of_a_network_is_said(recipe, expected):
    """A file must hold it, since a later version may have another default."""
    options = Run.network_options.fget(SimpleNamespace(recipe=recipe, warm=True))
    assert options == {"encoder": recipe.encoder, "controller": recipe.controller, **expected}
