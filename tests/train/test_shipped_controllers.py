"""Controllers that ship: they load, are small, fit the shipped profiles, and bring voices they never heard nearer."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from blackbox_afx import shelf
from blackbox_afx.benchmark.methods import load_methods
from blackbox_afx.benchmark.pairs import PairMaker
from blackbox_afx.benchmark.synthetic import run_synthetic
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.networks.controller_file import load_card
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.profile import load_profile
from blackbox_afx.train.recipe import Recipe, load_recipe

SHIPPED = {item.name: item.path for item in shelf.items("controllers") if item.origin == "shipped"}
NAMES = {f"{chain}_{kind}" for chain in ("zam", "channel_strip") for kind in ("speech", "music")}


def test_a_chain_of_vst3s_and_a_built_in_one_ship_for_speech_and_for_music():
    assert set(SHIPPED) == NAMES


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_it_is_small_and_of_the_recipe_beside_it(name):
    card = load_card(SHIPPED[name])
    assert SHIPPED[name].stat().st_size < 8e6
    # A field that a card lacks is younger than its controller, which had none of it.
    learned = msgspec.convert({"spliced": 0.0} | card.recipe, Recipe)
    assert learned == load_recipe(SHIPPED[name].parent)
    assert (SHIPPED[name].parent / "CARD.md").read_text(encoding="utf-8").startswith(f"# {name}\n")


def marked(name: str):
    """Leave out what needs the Zam plugins where they are not there."""
    return pytest.param(name, marks=[pytest.mark.zam] if name.startswith("zam") else [])


@pytest.mark.parametrize("name", sorted(NAMES))
def test_its_chain_is_the_one_that_ships(name):
    card = load_card(SHIPPED[name])
    ours = [load_profile(shelf.find("plugins", plugin)) for plugin in load_recipe(SHIPPED[name].parent).plugins]
    assert [profile.active for profile in card.profiles] == [profile.active for profile in ours]
    assert [profile.identity.class_id for profile in card.profiles] == [profile.identity.class_id for profile in ours]


@pytest.mark.parametrize("name", [marked(name) for name in ("zam_speech", "channel_strip_speech")])
def test_it_takes_voices_most_of_the_way(name):
    """Measured with this seed: STFT, mel and level errors of 0.35 of the input's and below; doing nothing has 1."""
    (method,) = load_methods([SHIPPED[name]])
    card = method.card
    clips = load_clips(find_audio(shelf.demo_audio()), "test", sample_rate=card.sample_rate, max_minutes=10, seed=0)
    maker = PairMaker(clips, "self", card.spec, seed=1, segment=card.segment)
    with Farm(1) as farm:
        errors = run_synthetic(maker, [method], farm, pairs=16)
    left = dict(zip(errors.metrics, errors.methods[name].mean(0) / errors.input.mean(0), strict=True))
    assert max(left["stft"], left["msd"], left["rms_db"], left["lufs_db"]) < 0.5, left
    assert np.isfinite(errors.methods[name]).all()
