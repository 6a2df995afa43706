"""Recipes of both kinds: which is which, changing fields by name, and that every shipped one loads and can be built."""

from __future__ import annotations

import pytest

from blackbox_afx import shelf
from blackbox_afx.errors import RecipeError, UsageError
from blackbox_afx.networks.style import make_style_network
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.proxies.waveform import WaveformProxy
from blackbox_afx.train.effects import Context, tcn
from blackbox_afx.train.learner import wants_warm_start
from blackbox_afx.train.methods import METHODS
from blackbox_afx.train.proxy_recipe import ProxyRecipe
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.recipes import check_device, kind_of, read_recipe

SHIPPED = {item.name: item.path for item in shelf.items("train") if item.origin == "shipped"}
PAPER = ("ctcn1", "ctcn2", "np", "np_hh", "np_fh", "spsa", "ad")


def weights(network) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_loads(name):
    recipe = read_recipe(SHIPPED[name])
    if isinstance(recipe, ProxyRecipe):
        WaveformProxy(sum(recipe.options.get("stages", [3])), recipe.architecture, recipe.options)
        return
    assert recipe.method in METHODS
    wants_warm_start(recipe, METHODS[recipe.method])


@pytest.mark.parametrize("size", ["paper", "small"])
@pytest.mark.parametrize("method", PAPER)
def test_the_papers_systems_have_recipes(size, method):
    recipe = read_recipe(SHIPPED[f"{size}_{method}"])
    assert isinstance(recipe, Recipe)
    assert (recipe.method, recipe.warm_start, recipe.protocol, recipe.audio_batch) == (method, False, "paper", 6)
    if size == "paper":
        # What the paper says of its training.
        assert recipe.segment == 131072
        assert recipe.audio_rate == (1e-5 if method == "spsa" else 1e-4)
        assert recipe.examples == 400 * 20000
        assert (recipe.schedule, recipe.clip_norm) == ("paper", 4.0)


def test_the_papers_tcns_have_the_papers_size():
    """On 23 controls instead of the paper's 24: four blocks have 128 fewer weights each."""
    spec = ChainSpec(profiles=(resolve_plugin("channel_strip"),))
    for method, count in (("ctcn1", 174_209), ("ctcn2", 336_130)):
        recipe = read_recipe(SHIPPED[f"paper_{method}"])
        effect = tcn(Context(spec=spec, sample_rate=24000, method=METHODS[method], options=recipe.effect_options))
        assert weights(effect) == count - 4 * 128


def test_the_papers_controller_has_the_papers_size():
    recipe = read_recipe(SHIPPED["paper_ad"])
    network = make_style_network(controls=24, encoder=recipe.encoder, controller=recipe.controller)
    assert (weights(network.encoder), weights(network.controller)) == (9_147_330, 596_504)


def test_fields_are_changed_by_name():
    path = SHIPPED["small_ctcn2"]
    changes = ["minutes=3", "effect_options.channels=8", "protocol=self", 'plugins=["zam_comp"]', "shares.audio=0.5"]
    recipe = read_recipe(path, changes)
    assert (recipe.minutes, recipe.protocol, recipe.plugins) == (3.0, "self", ("zam_comp",))
    assert recipe.effect_options["channels"] == 8
    assert recipe.effect_options["stages"] == [18, 5]
    assert recipe.shares.audio == 0.5


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ("minutes", UsageError, "key=value"),
        ("minuets=3", UsageError, "minutes"),
        ("minutes.x=3", UsageError, "not a table"),
        ("minutes=-1", RecipeError, "minutes"),
        ("minutes=soon", RecipeError, "minutes"),
    ],
)
def test_wrong_changes_are_named(change, error, says):
    with pytest.raises(error, match=says):
        read_recipe(SHIPPED["small_ad"], [change])


def test_kinds(tmp_path):
    assert kind_of(SHIPPED["small_ad"]) == "controller"
    assert kind_of(SHIPPED["small"]) == "controller"
    assert kind_of(SHIPPED["paper_proxy"]) == "proxy"
    (tmp_path / "recipe.toml").write_text('kind = "encoder"')
    with pytest.raises(RecipeError, match="controller, proxy"):
        read_recipe(tmp_path / "recipe.toml")


def test_devices():
    import torch

    check_device("cpu")
    with pytest.raises(UsageError, match="cpu or cuda"):
        check_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no CUDA"):
            check_device("cuda")
