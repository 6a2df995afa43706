"""What a new controller starts from: taken where it fits, and left alone by what would measure it anew."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open

from blackbox_afx.networks.style import make_style_network
from blackbox_afx.networks.trunk import BLOCKS, FILE, shipped_trunk, take_trunk, trunk_of

FITS = {"encoder": "mixture", "controller": "residual"}


def test_the_trunk_is_taken_whole_and_the_last_layer_is_not():
    torch.manual_seed(0)
    controller = make_style_network(controls=5, **FITS).controller
    last = controller.last.weight.clone()
    assert take_trunk(controller)
    for name, tensor in trunk_of(controller).items():
        torch.testing.assert_close(tensor, shipped_trunk()[name])
    assert torch.equal(controller.last.weight, last)


def test_a_deeper_controller_begins_as_the_trunk_alone():
    torch.manual_seed(0)
    shallow = make_style_network(controls=5, **FITS, blocks=BLOCKS).controller.eval()
    deep = make_style_network(controls=5, **FITS, blocks=BLOCKS + 2).controller.eval()
    assert take_trunk(shallow)
    assert take_trunk(deep)
    deep.last.load_state_dict(shallow.last.state_dict())
    source, reference = torch.randn(2, 3, deep.source.mean.shape[0])
    torch.testing.assert_close(deep(source, reference), shallow(source, reference))


@pytest.mark.parametrize(
    "options",
    [
        {"encoder": "statistics", "controller": "residual"},
        {**FITS, "width": 256},
        {**FITS, "blocks": 1},
        {"encoder": "mixture", "controller": "paper"},
        {"encoder": "mixture", "controller": "search"},
    ],
)
def test_controllers_of_another_shape_start_from_nothing(options):
    torch.manual_seed(0)
    controller = make_style_network(controls=5, **options).controller
    before = {name: tensor.clone() for name, tensor in controller.state_dict().items()}
    assert not take_trunk(controller)
    assert all(torch.equal(tensor, before[name]) for name, tensor in controller.state_dict().items())


def test_the_trunk_is_small_and_finite():
    trunk = shipped_trunk()
    assert FILE.stat().st_size < 3e6
    assert all(torch.isfinite(tensor).all() for tensor in trunk.values())
    assert trunk["source.deviation"].min() > 0


def test_the_trunk_says_where_it_comes_from():
    with safe_open(FILE, framework="pt") as file:
        about = json.loads(file.metadata()["about"])
    assert {"command", "seed", "clips", "steps", "spliced", "mix", "held_out", "sources", "versions"} <= set(about)
