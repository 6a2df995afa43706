"""Proxies that a run trains for itself: found where there are some, used where they agree with the plugin."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
import torch

from blackbox_afx.networks.controller_file import load_card
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.proxies.proxy_file import ProxyCard, find_proxy, save_proxy
from blackbox_afx.proxies.waveform import WaveformProxy, output_gain
from blackbox_afx.train import imitate
from blackbox_afx.train.budget import Clock
from blackbox_afx.train.learn import learn
from blackbox_afx.train.proxy_recipe import ProxyRecipe
from blackbox_afx.train.recipe import Recipe
from tests.train.runs import PLAN, prepare

FILTER = builtin_profile("PeakFilter")
STRIP = resolve_plugin("channel_strip")


class Folder:
    def __init__(self, path):
        self.path = path


def run(tmp_path, *profiles, minutes: float):
    warnings: list[str] = []
    return SimpleNamespace(
        recipe=Recipe(),
        spec=ChainSpec(profiles=profiles),
        clock=Clock(minutes),
        folder=Folder(tmp_path),
        farm=SimpleNamespace(n_jobs=1),
        device=torch.device("cpu"),
        audio=tmp_path,
        where=None,
        seed=0,
        tick=lambda stage, share, words: None,
        warn=warnings.append,
        warnings=warnings,
    )


def trains(cosine: float, calls: list):
    """Give what trains a proxy, but for the time: it saves an untrained one that agrees as much as is said."""

    def train_proxy(profile, audio, *, out, recipe, **options):
        calls.append((profile.label, recipe.options["parts"], options["minutes"]))
        out.mkdir(parents=True)
        options["report"]("proxy", 0.5, "halfway")
        gain = output_gain(profile)
        proxy = WaveformProxy(len(profile.active), "filter_gain", recipe.options, gain)
        card = ProxyCard(
            profile=profile,
            architecture="filter_gain",
            options=recipe.options,
            gain=gain,
            sample_rate=24000,
            scores={"cosine": cosine},
        )
        save_proxy(out / "weights.safetensors", proxy, card)

    return train_proxy


def test_a_shelf_has_them_by_profile_and_rate():
    assert find_proxy(STRIP, 24000) == "channel_strip"
    assert find_proxy(STRIP, 44100) is None
    assert find_proxy(FILTER, 24000) is None


def test_what_the_shelf_has_is_not_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(imitate, "train_proxy", pytest.fail)
    assert imitate.proxy_names(run(tmp_path, STRIP, minutes=20)) == ("channel_strip",)


def test_what_is_missing_is_trained_once(tmp_path, monkeypatch):
    calls: list = []
    monkeypatch.setattr(imitate, "train_proxy", trains(0.9, calls))
    asked = run(tmp_path, STRIP, FILTER, minutes=20)
    names = imitate.proxy_names(asked)
    assert names == ("channel_strip", str(tmp_path / "proxies" / "1"))
    # A fifth of twenty minutes; a filter has no dynamics.
    assert calls == [("PeakFilter", "filter", pytest.approx(4.0))]
    assert imitate.proxy_names(asked) == names
    assert len(calls) == 1


@pytest.mark.parametrize(("cosine", "minutes", "says"), [(0.3, 20, "hardly agrees"), (0.9, 2, "give more --minutes")])
def test_no_time_or_no_agreement_is_said(cosine, minutes, says, tmp_path, monkeypatch):
    monkeypatch.setattr(imitate, "train_proxy", trains(cosine, []))
    asked = run(tmp_path, FILTER, minutes=minutes)
    assert imitate.proxy_names(asked) is None
    assert says in asked.warnings[0]
    assert "PeakFilter" in asked.warnings[0]


@pytest.mark.slow
def test_a_run_trains_what_is_missing_and_learns_through_it(tmp_path, demo_audio, monkeypatch):
    """Every step is real; the proxy is small, and need not be any good."""

    def small(**given) -> ProxyRecipe:
        return ProxyRecipe(**given | {"segment": 4096, "batch": 2, "held_out": 3, "examples": 8, "responses": 64})

    monkeypatch.setattr(imitate, "ProxyRecipe", small)
    monkeypatch.setattr(imitate, "LEAST_COSINE", -1.0)
    plan = msgspec.structs.replace(PLAN, shards=2, proxy_steps=3, warm_steps=3, audio_steps=3)
    out = prepare(tmp_path, plan)
    recipe = Recipe(
        method="np_fh",
        examples=6,
        held_out=12,
        segment=16384,
        audio_batch=2,
        settings=2,
        batch=32,
    )
    warnings: list[str] = []
    stages: list[str] = []
    learned = learn(
        [FILTER],
        demo_audio,
        out=out,
        where="type=speech",
        minutes=60.0,
        recipe=recipe,
        jobs=1,
        resume=True,
        report=lambda stage, share, words: stages.append(stage),
        warn=warnings.append,
    )
    assert warnings == []
    assert set(stages) >= {"imitate", "audio"}
    assert set(learned.scores) == {"warm start", "audio"}
    ((name, cosine),) = load_card(out).data["proxies"].items()
    assert name.endswith("proxies/0")
    assert -1 <= cosine <= 1
    assert not (tmp_path / "c.safetensors.run").exists()
