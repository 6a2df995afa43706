"""Networks against the published weight counts, and controller files against loss, foreigners and newer versions."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blackbox_afx.errors import ControllerError, OutputError, RecipeError
from blackbox_afx.features.statistics import DIMENSION, statistics
from blackbox_afx.networks.controller import PaperController
from blackbox_afx.networks.controller_file import (
    METADATA_KEY,
    SCHEMA,
    ControllerCard,
    load_card,
    load_controller,
    save_controller,
)
from blackbox_afx.networks.efficientnet import EfficientNetB2
from blackbox_afx.networks.encoders import PaperEncoder
from blackbox_afx.networks.packing import pack, unpack
from blackbox_afx.networks.style import make_style_network
from blackbox_afx.plugins.builtins import builtin_profile


def weights(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("make", "published"),
    [(EfficientNetB2, 7_700_418), (PaperEncoder, 9_147_330), (lambda: PaperController(1024, 24), 596_504)],
)
def test_weight_counts_are_the_published_ones(make, published):
    assert weights(make()) == published


def test_maps_shrink_by_32_and_gradients_reach_every_weight():
    torch.manual_seed(0)
    network = EfficientNetB2().train()
    out = network(torch.randn(2, 1, 70, 65))
    assert out.shape == (2, 1408, 3, 3)
    out.square().mean().backward()
    # Dropped paths get none in this batch; the first stage has none to drop.
    assert network.stem[0].weight.grad.abs().sum() > 0


def test_the_paper_encoder_gives_unit_vectors_and_learns_its_window():
    torch.manual_seed(0)
    encoder = PaperEncoder()
    with torch.no_grad():
        out = encoder.eval()(0.1 * torch.randn(2, 24000))
        louder = encoder(torch.zeros(1, 24000))
    assert out.shape == (2, 1024)
    assert torch.allclose(out.norm(dim=1), torch.ones(2), atol=1e-5)
    assert torch.isfinite(louder).all()
    encoder(0.1 * torch.randn(1, 8192)).square()[0, :512].sum().backward()
    assert encoder.window.grad.abs().sum() > 0


def test_in_evaluation_a_pair_is_heard_alike_alone_and_in_company():
    torch.manual_seed(0)
    network = make_style_network(controls=5, encoder="efficientnet_b2", controller="paper")
    audio = (0.1 * np.random.default_rng(0).normal(size=(3, 12000))).astype(np.float32)
    together = network.train().positions(audio, audio[::-1].copy())
    alone = network.positions(audio[:1], audio[2:])
    assert network.training
    assert np.allclose(together[:1], alone, atol=1e-5)
    assert ((together > 0) & (together < 1)).all()


def test_unknown_names_list_those_there_are():
    with pytest.raises(RecipeError, match="efficientnet_b2"):
        make_style_network(controls=1, encoder="efficientnet")
    with pytest.raises(RecipeError, match="residual"):
        make_style_network(controls=1, controller="residul")


def card(**changes) -> ControllerCard:
    fields = {
        "profiles": (builtin_profile("Gain"), builtin_profile("LadderFilter")),
        "network": {"encoder": "statistics", "controller": "residual"},
        "sample_rate": 24000,
        "segment": 65536,
        "input_peak_dbfs": -12.0,
        "method": "regression",
        "seed": 3,
        "minutes": 2.0,
        "scores": {"held_out": {"warm start": {"total": 0.5}}},
    }
    return ControllerCard(**{**fields, **changes})


def controller_at(path: Path, **changes) -> Path:
    torch.manual_seed(1)
    about = card(**changes)
    controls = len(about.spec.space)
    save_controller(path, make_style_network(controls=controls, **about.network), about)
    return path


@pytest.mark.parametrize("options", [{}, {"width": 64, "blocks": 3}])
def test_a_controller_comes_back_as_it_was(tmp_path, options):
    path = controller_at(tmp_path / "c.afx", network={"encoder": "statistics", "controller": "residual", **options})
    network, about = load_controller(path)
    again, _ = load_controller(path)
    assert about == card(network=about.network)
    assert load_card(path) == about
    assert not network.training
    heard = statistics(0.1 * np.random.default_rng(0).normal(size=24000), 24000)[None]
    assert np.array_equal(network.positions(heard, heard), again.positions(heard, heard))
    assert network.positions(heard, heard).shape == (1, len(about.spec.space))


def test_a_packed_controller_takes_a_quarter_of_the_bytes_and_says_the_same(tmp_path):
    path, small = controller_at(tmp_path / "c.afx"), tmp_path / "small.afx"
    network, about = load_controller(path)
    with torch.no_grad():
        # As learned: an untrained last layer hardly tells inputs apart.
        network.controller.last.weight *= 10
    save_controller(path, network, about)
    save_controller(small, network, about, packed=True)
    assert small.stat().st_size < 0.3 * path.stat().st_size
    packed, card_of_packed = load_controller(small)
    assert (about.schema, card_of_packed.schema) == (1, 3)
    assert all(tensor.dtype == torch.float32 for tensor in packed.state_dict().values())
    rng = np.random.default_rng(0)
    heard = np.stack([statistics(g * rng.normal(size=24000), 24000) for g in (0.3, 0.1, 0.03, 0.01)])
    other = heard[::-1].copy()
    told = network.positions(heard, other)
    assert np.ptp(told, axis=0).max() > 0.1
    assert np.abs(packed.positions(heard, other) - told).max() < 0.01


def test_packing_rounds_to_a_127th_of_each_row_and_leaves_the_rest():
    torch.manual_seed(0)
    matrix = torch.randn(64, 100) * torch.logspace(-6, 6, 64)[:, None]
    matrix[3] = 0
    tensors = {"large": matrix, "small": torch.randn(8, 8), "bias": torch.randn(5000), "count": torch.arange(3)}
    tensors["own/scale"] = torch.ones(2)
    back = unpack(pack(tensors))
    assert list(back) == list(tensors)
    assert all(torch.equal(back[name], tensors[name]) for name in ("small", "bias", "count", "own/scale"))
    with pytest.raises(ValueError, match="large has no scales"):
        unpack({"large": pack(tensors)["large"]})
    assert ((back["large"] - matrix).abs() <= matrix.abs().amax(1, keepdim=True) / 253).all()


def test_a_controller_loads_where_its_plugin_is_missing(tmp_path):
    profile = msgspec.structs.replace(builtin_profile("Gain"), name="Gone")
    identity = msgspec.structs.replace(profile.identity, format="vst3", class_id="0" * 32)
    fields = {"identity": identity}
    if hasattr(profile, "path"):
        fields["path"] = "/nowhere/Gone.vst3"
    path = controller_at(tmp_path / "c.afx", profiles=(msgspec.structs.replace(profile, **fields),))
    _, about = load_controller(path)
    assert about.profiles[0].name == "Gone"


def test_what_is_not_a_controller_is_one_line(tmp_path):
    path = controller_at(tmp_path / "c.afx")
    whole = path.read_bytes()
    for keep in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(ControllerError, match="cut short"):
            load_card(path)
    path.write_text("{}")
    with pytest.raises(ControllerError, match="not a controller"):
        load_controller(path)
    save_file({"a": torch.ones(3)}, path)
    with pytest.raises(ControllerError, match="not a controller of this project"):
        load_controller(path)
    with pytest.raises(ControllerError, match="not a controller"):
        load_controller(tmp_path)
    with pytest.raises(ControllerError, match="no such file"):
        load_controller(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": SCHEMA + 1, "new_field": 1}, "upgrade"),
        ({"segment": "long"}, "not readable"),
        ({"profiles": ()}, "do not fit"),
        ({"network": {"encoder": "telepathy"}}, "telepathy"),
        ({"network": {"encoder": "statistics", "width": 8}}, "do not fit"),
        ({"network": {"controls": 3}}, "do not fit"),
    ],
)
def test_a_foreign_card_is_one_line(tmp_path, change, says):
    path = controller_at(tmp_path / "c.afx")
    network, about = load_controller(path)
    fields = {**msgspec.to_builtins(about), **change}
    save_file(network.state_dict(), path, {METADATA_KEY: json.dumps(fields)})
    with pytest.raises(ControllerError, match=says) as error:
        load_controller(path)
    assert "\n" not in str(error.value)


def test_a_place_that_can_t_be_written(tmp_path):
    with pytest.raises(OutputError, match="can't be written"):
        controller_at(tmp_path / "no" / "c.afx")


def test_embeddings_are_as_wide_as_encoders_say():
    assert make_style_network(controls=2).encoder.dimension == DIMENSION
    assert weights(make_style_network(controls=2)) > 0
