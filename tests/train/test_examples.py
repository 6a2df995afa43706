"""Training pairs in memory: joined without a second copy, and drawn in whole passes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_afx.errors import FarmError
from blackbox_afx.features.hearing import heard_shape
from blackbox_afx.features.statistics import DIMENSION
from blackbox_afx.networks.style import OPTIONS, make_style_network
from blackbox_afx.networks.trunk import take_trunk
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.warm_start import (
    Examples,
    blend,
    controller_loss,
    fit_controller,
    fit_proxy,
    own_positions,
    proxy_loss,
)


def shard(seed: int, clips: int = 3, samples: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = {
        "dry": rng.normal(-40, 10, (clips, 2, DIMENSION)).astype(np.float16),
        "values": rng.random((clips, 2, 4)).astype(np.float32),
        "wet": rng.normal(-40, 10, (clips, 2, 2, DIMENSION)).astype(np.float16),
        "rough": rng.normal(-40, 10, (clips, 2, 2, DIMENSION)).astype(np.float16),
        "other": rng.normal(-40, 10, (clips, 2, 2, DIMENSION)).astype(np.float16),
        "valid": np.ones((clips, 2), bool),
    }
    if samples:
        for name in ("dry", "wet", "rough", "other"):
            made[f"{name}_heard"] = rng.normal(0, 0.1, (*made[name].shape[:-1], samples)).astype(np.float16)
    return made


def test_joined_shards_hold_what_each_held():
    shards = [shard(0), shard(1)]
    shards[1]["valid"][2, 1] = False
    examples = Examples.join(iter(shards), clips=10)
    assert examples.dry.shape == (6, 2, DIMENSION)
    assert np.array_equal(examples.wet[3:].numpy(), shards[1]["wet"])
    rows = {tuple(row) for row in examples.index.tolist()}
    assert rows == {(c, k, h) for c in range(6) for k in range(2) for h in range(2)} - {(5, 1, 0), (5, 1, 1)}


def test_joining_takes_the_memory_once():
    size = 20 * sum(rows.nbytes for rows in shard(0, 20).values())
    tracemalloc.start()
    Examples.join((shard(k, 20) for k in range(20)), clips=400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.4 * size


def test_no_valid_example_is_an_error():
    broken = shard(0)
    broken["valid"][:] = False
    for shards in ([], [broken]):
        with pytest.raises(FarmError, match="probe the plugin again"):
            Examples.join(shards, clips=3)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 70), st.integers(0, 2**31))
def test_every_pass_has_every_example_once_whatever_came_before(clips, size, seed):
    examples = Examples.join([shard(0, clips)], clips)
    count = len(examples.index)
    taken = min(size, count)
    steps = 2 * count
    drawn = []
    for step in range(-(-steps // taken)):
        rows = torch.stack(examples.batch(seed, "s", step, size), 1).tolist()
        assert len(rows) == taken
        drawn += [tuple(row) for row in rows]
    for turn in (0, 1):
        assert sorted(drawn[turn * count : (turn + 1) * count]) == sorted(map(tuple, examples.index.tolist()))
    # Asked out of order, as after a resume, a step gives the same.
    assert torch.stack(examples.batch(seed, "s", 1, size), 1).tolist() == [
        list(row) for row in drawn[taken : 2 * taken]
    ]


def test_other_seeds_and_stages_draw_otherwise():
    examples = Examples.join([shard(0, 30)], 30)
    first = [torch.stack(examples.batch(seed, stage, 0, 60)) for seed, stage in ((0, "a"), (1, "a"), (0, "b"))]
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


@pytest.mark.parametrize("controller", ["residual", "search"])
@pytest.mark.parametrize("foreign", [0.0, 0.2, 1.0])
def test_losses_are_finite_and_have_gradients(foreign, controller):
    examples = Examples.join([shard(0, 8)], 8)
    proxy = FeatureProxy(4)
    network = make_style_network(controls=4, controller=controller, **OPTIONS[controller])
    fit_proxy(proxy, examples, 0)
    fit_controller(network, examples, 0, proxy, np.ones(4, bool))
    loss = proxy_loss(proxy, examples, 0, 16)(0)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(weight.grad is not None for weight in proxy.parameters() if weight.requires_grad)
    options = {"seed": 0, "batch": 16, "foreign": foreign, "mix": 0.3, "regression": 0.3}
    options["continuous"] = np.ones(4, bool)
    loss = controller_loss(network, proxy, examples, **options)(0)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.requires_grad)
    assert not any(weight.requires_grad for weight in proxy.parameters())


def test_batches_leave_the_examples_as_they_were():
    examples = Examples.join([shard(0, 8)], 8)
    before = examples.wet.clone()
    network = make_style_network(controls=4)
    options = {"seed": 0, "batch": 16, "foreign": 0.5, "mix": 0.3, "regression": 0.3, "continuous": np.ones(4, bool)}
    controller_loss(network, FeatureProxy(4), examples, **options)(0)
    assert torch.equal(before, examples.wet)


def test_blends_are_of_the_same_two_rows_in_every_batch():
    """Each blend lies between its own row and another, nearer to its own; rows before the first stay."""
    torch.manual_seed(3)
    before = torch.randn(40, 5)
    one, two = before.clone(), 10 * before
    blend((one, two), 8, 0.3)
    torch.testing.assert_close(two, 10 * one)
    torch.testing.assert_close(one[:8], before[:8])
    for row, own in zip(one[8:], before[8:], strict=True):
        toward = before[8:] - own
        size = (toward**2).sum(1)
        share = torch.where(size > 0, toward @ (row - own) / size.clamp(min=1e-9), 0.0)
        left = (row - own - share[:, None] * toward).norm(dim=1)
        assert left.min() < 1e-5
        assert -1e-6 <= float(share[left.argmin()]) <= 0.5 + 1e-6
    assert not torch.equal(one[8:], before[8:])


class Ear(torch.nn.Module):
    """An encoder that hears audio: its RMS, quarter by quarter."""

    hears = "audio"

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return audio.reshape(len(audio), 4, -1).square().mean(2)


def mixture_shard(seed: int, clips: int) -> dict[str, np.ndarray]:
    """As `make_pairs` gives it for the encoder 'mixture': no statistics but those that richer features begin with."""
    plain = shard(seed, clips, samples=heard_shape("mixture", 0)[0])
    for name in ("dry", "wet", "rough", "other"):
        heard = plain[f"{name}_heard"]
        heard[..., :DIMENSION] = plain.pop(name)
    return plain


def test_richer_features_hold_the_statistics_once():
    examples = Examples.join([mixture_shard(0, 4)], 4)
    assert examples.wet_heard is not None
    assert torch.equal(examples.wet, examples.wet_heard[..., :DIMENSION])
    assert examples.wet.data_ptr() == examples.wet_heard.data_ptr()


@pytest.mark.parametrize("controller", ["residual", "search"])
def test_richer_features_reach_the_controller_and_only_statistics_the_proxy(controller):
    torch.manual_seed(0)
    examples = Examples.join([mixture_shard(0, 8)], 8)
    proxy = FeatureProxy(4)
    network = make_style_network(controls=4, encoder="mixture", controller=controller, **OPTIONS[controller])
    fit_proxy(proxy, examples, 0)
    fit_controller(network, examples, 0, proxy, np.ones(4, bool))
    heard = examples.dry_heard[:, :].float().reshape(-1, heard_shape("mixture", 0)[0])
    assert (network.controller.source.mean - heard.mean(0)).abs().max() < 5
    options = {"seed": 0, "batch": 16, "foreign": 0.5, "mix": 0.3, "regression": 0.3, "continuous": np.ones(4, bool)}
    loss = controller_loss(network, proxy, examples, **options)(0)
    loss.backward()
    assert torch.isfinite(loss)
    assert network.controller.first.weight.grad[:, DIMENSION:].abs().sum() > 0
    assert own_positions(network, examples, 0).shape == (32, 4)


def test_a_controller_that_came_with_means_keeps_them():
    examples = Examples.join([mixture_shard(0, 4)], 4)
    network = make_style_network(controls=4, encoder="mixture", controller="residual")
    assert take_trunk(network.controller)
    before = network.controller.source.mean.clone()
    fit_controller(network, examples, 0, FeatureProxy(4), np.ones(4, bool))
    assert torch.equal(network.controller.source.mean, before)


def test_a_residual_controller_behind_an_encoder_of_audio_is_fitted_to_its_embeddings():
    from blackbox_afx.networks.controller import ResidualController
    from blackbox_afx.networks.style import StyleNetwork

    examples = Examples.join([shard(0, 4, samples=64)], 4)
    network = StyleNetwork(Ear(), ResidualController(4, 4))
    fit_controller(network, examples, 0, FeatureProxy(4), np.ones(4, bool))
    embedded = Ear()(examples.dry_heard.float().reshape(-1, 64))
    assert (network.controller.source.mean - embedded.mean(0)).abs().max() < 1e-3


def test_an_encoder_that_hears_audio_gets_audio():
    from blackbox_afx.networks.controller import PaperController
    from blackbox_afx.networks.style import StyleNetwork

    examples = Examples.join([shard(k, 4, samples=64) for k in range(2)], 8)
    assert examples.wet_heard is not None
    assert examples.wet_heard.shape == (8, 2, 2, 64)
    network = StyleNetwork(Ear(), PaperController(4, 4))
    options = {"seed": 0, "batch": 8, "foreign": 0.5, "mix": 0.3, "regression": 0.3, "continuous": np.ones(4, bool)}
    loss = controller_loss(network, FeatureProxy(4), examples, **options)(0)
    loss.backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.controller.layers[0].parameters())
