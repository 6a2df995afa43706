"""Training a proxy: what it learns from, that it learns, that it resumes, and what its card says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from blackbox_afx.data import Clip, ClipSet
from blackbox_afx.errors import OutputError, RecipeError, UsageError
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import Chain, ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.proxies.proxy_file import load_proxy
from blackbox_afx.proxies.waveform import WaveformProxy
from blackbox_afx.train import loop, proxy_train
from blackbox_afx.train.clip_book import write_clip_book
from blackbox_afx.train.patches import PatchPlan, make_patches, noise_burst
from blackbox_afx.train.proxy_check import measure_proxy
from blackbox_afx.train.proxy_recipe import ProxyRecipe, dump_proxy_recipe, load_proxy_recipe
from blackbox_afx.train.proxy_train import train_proxy

FILTER = builtin_profile("PeakFilter")
SPEC = ChainSpec(profiles=(FILTER,))
PLAN = PatchPlan(segment=4000, low_peak_dbfs=-24.0, high_peak_dbfs=-12.0, noise=0.5)
SMALL = ProxyRecipe(
    options={"parts": "filter", "width": 24, "knots": 32},
    segment=4096,
    batch=4,
    rate=3e-2,
    warm_up=5,
    average=0.9,
    held_out=4,
    noise=1.0,
    responses=1500,
)


def clips(seed: int = 0) -> ClipSet:
    rng = np.random.default_rng(seed)
    made = [
        Clip(audio=(0.3 * rng.standard_normal(30000)).astype(np.float32), speaker=f"s{k}", path=Path("x"), start=0.0)
        for k in range(2)
    ]
    return ClipSet(clips=tuple(made), sample_rate=24000)


@pytest.fixture
def book(tmp_path) -> str:
    write_clip_book(tmp_path / "book", clips())
    return str(tmp_path / "book")


def test_patches_are_what_the_plugin_makes_of_them(book):
    plan = msgspec.structs.replace(PLAN, neutral=((0, 0.5),))
    with Farm(1) as farm:
        job = CallJob(function=make_patches, args=(SPEC, book, 5, 6, plan), spec=SPEC, finite=False)
        made, again = (result.value for result in farm.run([job, job]))
    assert all(np.array_equal(made[name], again[name]) for name in made)
    peaks = 20 * np.log10(np.abs(made["input"]).max(axis=1))
    assert (peaks > -24.1).all()
    assert (peaks < -11.9).all()
    np.testing.assert_allclose(made["values"][:, 0], 0.5, atol=1e-6)
    assert np.ptp(made["values"][:, 1]) > 0.1
    with Chain(SPEC) as chain:
        for audio, target, values in zip(made["input"], made["target"], made["values"], strict=True):
            np.testing.assert_allclose(chain.render(audio[None], values, 24000)[0], target, atol=1e-5)


def test_visited_settings_are_drawn_from(book, tmp_path):
    np.save(tmp_path / "visited.npy", np.tile([0.9, 0.1, 0.5], (10, 1)))
    plan = msgspec.structs.replace(PLAN, visited=str(tmp_path / "visited.npy"), visited_share=1.0)
    with Farm(1) as farm:
        job = CallJob(function=make_patches, args=(SPEC, book, 5, 12, plan), spec=SPEC, finite=False)
        (result,) = farm.run([job])
    np.testing.assert_allclose(result.value["values"].mean(0), [0.9, 0.1, 0.5], atol=0.08)


def test_noise_bursts_have_levels_and_tilts():
    bursts = [noise_burst(np.random.default_rng(seed), 8000) for seed in range(20)]
    blocks = [np.sqrt((burst.reshape(40, -1) ** 2).mean(1)) for burst in bursts]
    assert np.mean([20 * np.log10(b.max() / b.min()) for b in blocks]) > 15
    lows = [np.abs(np.fft.rfft(b))[1:400].mean() / np.abs(np.fft.rfft(b))[-400:].mean() for b in bursts]
    assert max(lows) > 3 * min(lows)


def train(folder: Path, audio: Path, **options):
    settings = {"minutes": 60, "recipe": msgspec.structs.replace(SMALL, examples=320), "jobs": 1} | options
    return train_proxy(FILTER, audio, out=folder, where="type=speech", **settings)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, demo_audio):
    return train(tmp_path_factory.mktemp("proxies") / "shelf", demo_audio)


def test_it_learns_and_says_how_well(trained):
    """After eighty small steps it is nearer to pedalboard's filter than the input is."""
    assert trained.scores.stft_ratio < 0.9
    assert trained.scores.waveform_ratio < 1.0
    proxy, card = load_proxy(trained.folder)
    assert isinstance(proxy, WaveformProxy)
    assert card.examples == 320
    assert card.scores["stft_ratio"] == trained.scores.stft_ratio
    text = (trained.folder / "CARD.md").read_text()
    for control in FILTER.active:
        assert f"| {control.name} |" in text
    assert "afx train recipe.toml" in text
    assert load_proxy_recipe(trained.folder).examples == 320
    assert sorted(path.name for path in trained.folder.iterdir()) == ["CARD.md", "recipe.toml", "weights.safetensors"]


def test_it_does_not_overwrite(trained, demo_audio):
    with pytest.raises(OutputError, match="--force"):
        train(trained.folder, demo_audio)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "checkpoint"), [(0.3, "response.safetensors"), (0.8, "proxy.safetensors")])
def test_broken_off_it_ends_in_the_same_weights(share, checkpoint, tmp_path, demo_audio, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_S", -1.0)
    # The faster number of threads is part of the plan, and chance on a busy machine; sums round differently by it.
    monkeypatch.setattr(proxy_train.ProxyRun, "_step_s", lambda self, batch: 0.01 * torch.get_num_threads())
    unbroken = train(tmp_path / "unbroken", demo_audio)

    class Broken(Exception):
        pass

    def breaks(stage, done, words):
        if stage == "proxy" and done > share:
            raise Broken

    with pytest.raises(Broken):
        train(tmp_path / "p", demo_audio, report=breaks)
    assert (tmp_path / "p" / "weights.safetensors.run" / checkpoint).exists()
    again = train(tmp_path / "p", demo_audio, resume=True)
    first, second = (load_file(made.folder / "weights.safetensors") for made in (unbroken, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_perfect_proxy_scores_perfectly():
    """The measurement itself: pedalboard's gain, and a proxy that is nothing but that gain."""
    gain = builtin_profile("Gain")
    spec = ChainSpec(profiles=(gain,))

    class Exact(WaveformProxy):
        def forward(self, audio, positions):
            control = gain.active[0]
            decibels = control.minimum + (control.maximum - control.minimum) * positions[:, :1, None]
            return audio * 10 ** (decibels / 20)

    with Farm(1) as farm:
        proxy = Exact(1, "tcn", {"channels": 2, "kernel": 2, "dilations": [1]}).eval()
        scores = measure_proxy(proxy, spec, farm, clips(), patches=6, seed=0, segment=4096)
    assert scores.stft_ratio < 1e-3
    assert scores.error_db < -60
    assert scores.cosine > 0.999
    assert scores.controls[0].sign == 1.0


def test_recipes(tmp_path):
    (tmp_path / "recipe.toml").write_text(dump_proxy_recipe(SMALL))
    assert load_proxy_recipe(tmp_path) == SMALL
    for text, says in (
        ("noise = 2.0", "noise"),
        ("rate = 0.0", "rate"),
        ("nosie = 1", "nosie"),
        ("batch = ", "recipe.toml"),
    ):
        (tmp_path / "recipe.toml").write_text('kind = "proxy"\n' + text)
        with pytest.raises(RecipeError, match=says):
            load_proxy_recipe(tmp_path)


def test_a_budget_too_short_for_a_step_says_so(tmp_path, demo_audio, monkeypatch):
    monkeypatch.setattr(proxy_train.ProxyRun, "_step_s", lambda self, batch: 1000.0)
    with pytest.raises(UsageError, match="more --minutes"):
        train(tmp_path / "p", demo_audio, recipe=SMALL, minutes=5)
