"""The audio stage's loss on real effects: pairs of both kinds, and a gradient that reaches the network."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.features.filters import linear_part
from blackbox_afx.features.reading import read
from blackbox_afx.features.statistics import BANDS
from blackbox_afx.grads import Differences, make_estimator
from blackbox_afx.grads.bridge import BlackBoxEffect
from blackbox_afx.losses import ReportedLoss
from blackbox_afx.networks.style import make_style_network
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.proxies.curve import Curve
from blackbox_afx.proxies.feature_guide import FeatureGuide
from blackbox_afx.proxies.feature_proxy import FeatureProxy, filtered
from blackbox_afx.train import stages
from blackbox_afx.train.audio_stage import AudioLoss
from blackbox_afx.train.clip_book import read_clip_book, write_clip_book
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.feature_guide import CLIP, ByFeatures, by_features, measure_trust, trial_guide
from blackbox_afx.train.guide import Case, cosines, last_gain
from blackbox_afx.train.judge import Judge
from blackbox_afx.train.learn import learn
from blackbox_afx.train.linear_parts import LinearParts
from blackbox_afx.train.loop import step_seed
from blackbox_afx.train.material import Material
from blackbox_afx.train.pairs import make_pairs
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.stages import audio_loss
from tests.train.runs import PLAN, prepare

SEGMENT = 16384


@pytest.fixture(scope="module")
def stage(tmp_path_factory, demo_audio):
    """Give a chain of two built-in effects, a farm, and a clip book."""
    spec = ChainSpec(profiles=(resolve_plugin("builtin:PeakFilter"), resolve_plugin("builtin:Gain")))
    clips = load_clips(find_audio(demo_audio, purpose="learn", seed=0), "train", sample_rate=24000, max_minutes=4.0)
    book = str(tmp_path_factory.mktemp("book") / "clips")
    write_clip_book(book, clips)
    with Farm(1) as farm:
        yield spec, farm, book


def loss_of(stage, foreign: float, **more) -> tuple[torch.nn.Module, AudioLoss]:
    spec, farm, book = stage
    torch.manual_seed(0)
    network = make_style_network(
        controls=len(spec.space), encoder="statistics", controller="residual", width=32, blocks=1
    )
    effect = FarmEffect(farm, spec, 24000)
    estimator = make_estimator("differences")
    module = BlackBoxEffect(effect, estimator, np.full(len(spec.space), 5e-3), snap=spec.space.snap)
    made = AudioLoss(
        network,
        module,
        farm,
        spec,
        book,
        batch=8,
        segment=SEGMENT,
        hold=3.0,
        foreign=foreign,
        seed_of=lambda step: step_seed(0, "audio-pairs", step),
        count=effect.count,
        **more,
    )
    return network, made


def gain_of_0_db():
    """Give a gain that no controller turns: nothing but what came."""
    profile = builtin_profile("Gain")
    gain = msgspec.structs.replace(profile.controls[0], minimum=-1e-6, maximum=1e-6)
    return msgspec.structs.replace(profile, controls=(gain,))


@pytest.mark.parametrize("foreign", [0.0, 0.5, 1.0])
def test_pairs_of_either_kind_give_a_finite_gradient(stage, foreign):
    network, loss = loss_of(stage, foreign, loss=ReportedLoss(24000, 0.5))
    known = loss.pairs(0)["values"].isfinite().all(1)
    assert 0 < known.sum() < 8 if foreign == 0.5 else known.all() == (foreign == 0.0)
    value = loss(0)
    assert value is not None
    value.backward()
    gradients = torch.cat([weight.grad.flatten() for weight in network.parameters() if weight.grad is not None])
    assert torch.isfinite(gradients).all()
    assert gradients.abs().max() > 0


@pytest.mark.parametrize("foreign", [0.0, 1.0])
def test_clips_of_the_audio_stage_are_spliced_where_it_is_said(stage, foreign):
    plain, again, spliced = (loss_of(stage, foreign, **more)[1].pairs(0) for more in ({}, {}, {"spliced": 1.0}))
    assert torch.equal(plain["input"], again["input"])
    assert not torch.equal(plain["input"], spliced["input"])


def test_the_recipe_reaches_the_pairs_that_workers_make(stage):
    spec, farm, book = stage
    recipe = Recipe(spliced=0.3, max_cents=50.0, styles=1, settings=2, corrupted=0.25)
    made: Any = Material(None, farm, spec, recipe, minutes=1.0, seed=0, hears="statistics")  # pyrefly: ignore
    told = inspect.signature(make_pairs).bind(None, *made.job(3, book, 5).args).arguments
    assert {name: told[name] for name in ("spliced", "max_cents", "styles", "settings", "corrupted", "clips")} == {
        "spliced": 0.3,
        "max_cents": 50.0,
        "styles": 1,
        "settings": 2,
        "corrupted": 0.25,
        "clips": 3,
    }


@pytest.mark.parametrize(("hears", "styles"), [("statistics", 2), ("mixture", 1), ("audio", 1)])
def test_what_a_chain_is_fed_is_what_was_measured_of_it(stage, hears, styles):
    _, farm, book = stage
    neutral = ChainSpec(profiles=(gain_of_0_db(),))
    arguments = (neutral, book, 7, 6, 1, SEGMENT, 0.5, styles, hears)
    made = farm.run([CallJob(function=make_pairs, args=arguments, spec=neutral)])[0].value
    for ending in {"statistics": ("",), "mixture": ("_heard",), "audio": ("", "_heard")}[hears]:
        dry, rough, wet = (made[f"{name}{ending}"] for name in ("dry", "rough", "wet"))
        # Half precision at -110 dB.
        np.testing.assert_allclose(wet[:, 0], dry, atol=0.15)
        coloured = [bool((dry[k] == rough[k, -1]).all()) for k in range(len(dry))]
        assert 0 < sum(coloured) < len(dry)


def test_the_judge_of_both_kinds_weighs_them_alike(stage):
    spec, farm, book = stage
    network, _ = loss_of(stage, 0.0)
    effect, clips = FarmEffect(farm, spec, 24000), read_clip_book(book)
    judge = Judge(effect, clips, pairs=12, segment=SEGMENT, seed=3, network=network, protocol="both")
    assert judge.strange.sum() == 6
    scores = judge.score(network)
    rendered, _ = effect.render(judge.inputs, judge.predict(network))
    errors = judge._errors(rendered)
    expected = [errors[kind].mean(0) / judge.before[kind].mean(0) for kind in (judge.strange, ~judge.strange)]
    np.testing.assert_allclose(list(scores.ratio.values()), np.sqrt(expected[0] * expected[1]), rtol=1e-6)


class OnlyFilters(torch.nn.Module):
    """A feature proxy that has learned nothing beside the response."""

    def __init__(self, controls: int) -> None:
        super().__init__()
        self.last = torch.nn.Linear(1, 1)
        self.response = Curve(controls, 16, BANDS)
        torch.nn.init.normal_(self.response.last.weight)

    def forward(self, statistics: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return filtered(statistics, self.response.knots_db(positions))


def test_with_impulses_the_guide_knows_equalisers_exactly(stage):
    _, farm, book = stage
    names = ("builtin:PeakFilter", "builtin:HighShelfFilter", "builtin:Gain")
    spec = ChainSpec(profiles=tuple(resolve_plugin(name) for name in names))
    effect = FarmEffect(farm, spec, 24000)
    steps = np.full(len(spec.space), 5e-3)
    parts = LinearParts(effect, steps, np.zeros(len(steps), bool))
    guide = FeatureGuide(OnlyFilters(len(steps)), 24000, parts)  # pyrefly: ignore[bad-argument-type]
    case = Case.draw(effect, book, 8, 32768, np.random.default_rng(5))
    found = guide(list(case.inputs), case.positions, case.cotangents, list(case.outputs))
    truth, _ = case.gradient(effect, Differences(), steps)
    assert np.median(cosines(found, truth)) > 0.99
    assert np.median(np.linalg.norm(found, axis=1) / np.linalg.norm(truth, axis=1)) == pytest.approx(1.0, abs=0.05)


def test_an_example_without_impulses_is_read_all_the_same(stage):
    """Workers read what this process would; where one fails, the example is read here and filters stay unknown."""
    spec, farm, book = stage
    effect = FarmEffect(farm, spec, 24000)
    parts = LinearParts(effect, np.full(len(spec.space), 5e-3), np.zeros(len(spec.space), bool))
    case = Case.draw(effect, book, 2, 32768, np.random.default_rng(6))
    asked = case.inputs, case.positions, case.cotangents, case.outputs
    there = parts.read(*asked)
    impulses = parts.measure(case.positions)
    broken = np.where([[True], [False]], np.nan, case.positions)
    half = parts.read(asked[0], broken, *asked[2:])
    for k, row in enumerate(there):
        here = read(case.inputs[k], case.outputs[k], case.cotangents[k], 24000)
        np.testing.assert_array_equal(row.heard, here.heard)
        np.testing.assert_array_equal(row.asked, here.asked)
        np.testing.assert_array_equal(half[k].asked, here.asked)
        found = impulses[k]
        assert found is not None
        np.testing.assert_array_equal(
            row.linear, linear_part(found.here, found.change, case.outputs[k], case.cotangents[k])
        )
    assert half[0].linear is None
    np.testing.assert_array_equal(half[1].linear, there[1].linear)


def test_what_is_known_of_the_guides_error_is_measured_kept_and_used(stage, tmp_path):
    spec, farm, _ = stage
    effect = FarmEffect(farm, spec, 24000)
    _, loss = loss_of(stage, 1.0)
    proxy = FeatureProxy(len(spec.space))
    plain = by_features(effect, proxy)
    # Nobody told this proxy a response: impulses would count filters that it holds itself.
    assert plain.direction.parts is None
    assert plain.estimator(spec, 1.0, SEGMENT).calls == 0.0
    assert measure_trust(plain, effect, loss, 8).slope is None
    made = measure_trust(plain, effect, loss, 16)
    assert made.slope is not None
    assert made.covariance is not None
    made.save(tmp_path / "trust.safetensors")
    again = plain.load(tmp_path / "trust.safetensors")
    np.testing.assert_array_equal(again.covariance, made.covariance)
    estimator = again.estimator(spec, 2.0, SEGMENT)
    assert (estimator.calls, estimator.clip, estimator.one_sided) == (2.0, CLIP, False)
    middle = np.full((1, len(spec.space)), 0.5)
    points, _ = estimator.ask(middle, again.probe_steps(spec), middle, np.random.default_rng(0), None)
    assert points.shape[1] >= 2
    plain.save(tmp_path / "none.safetensors")
    assert plain.load(tmp_path / "none.safetensors").slope is None


def test_probes_hear_no_second_order(stage):
    """A response that falls to both sides of where it is, steeper than it leans, is probed for how it leans."""
    spec, farm, _ = stage
    controls = len(spec.space)
    trusted = trial_guide(FarmEffect(farm, spec, 24000), FeatureProxy(controls))
    here, lean = np.full((1, controls), 0.5), np.linspace(-1.0, 2.0, controls)
    estimator = trusted.estimator(spec, 2.0 * controls, SEGMENT)
    points, state = estimator.ask(here, trusted.probe_steps(spec), 0 * here, np.random.default_rng(0), None)
    away = points - here[:, None]
    responses = away @ lean - 1e3 * np.square(away).sum(2)
    found, _ = estimator.tell(points, responses, np.zeros(1), 0 * here, state)
    live = np.isfinite(trusted.probe_steps(spec)) & (np.arange(controls) != last_gain(spec)[0])
    assert live.sum() > 1
    np.testing.assert_allclose(found[0, live], lean[live], rtol=0.02, atol=0.02)


def test_a_guide_that_errs_less_is_trusted_more(stage):
    """The measured error is that of the guide: for filters, impulses leave hardly any, an untrained proxy all of it."""
    spec, farm, _ = stage
    effect = FarmEffect(farm, spec, 24000)
    _, loss = loss_of(stage, 1.0)
    steps, controls = np.full(len(spec.space), 5e-3), len(spec.space)
    parts = LinearParts(effect, steps, np.zeros(controls, bool))
    knowing = FeatureGuide(OnlyFilters(controls), 24000, parts)  # pyrefly: ignore[bad-argument-type]
    untrained = FeatureGuide(FeatureProxy(controls), 24000)
    traces = [
        np.trace(measure_trust(ByFeatures(direction=guide), effect, loss, 24).covariance)
        for guide in (knowing, untrained)
    ]
    assert traces[0] < 0.1
    assert traces[1] > 5 * traces[0]


def test_what_is_rehearsed_is_added_at_every_step(stage):
    network, plain = loss_of(stage, 1.0)
    weights = dict(network.named_parameters())
    name = next(iter(weights))
    told = []

    def rehearsal(step: int) -> torch.Tensor:
        told.append(step)
        return 2.0 * weights[name].sum()

    alone = plain(3)
    alone.backward()
    before = {key: weight.grad.clone() for key, weight in weights.items() if weight.grad is not None}
    network.zero_grad()
    plain.rehearsal = rehearsal
    both = plain(3)
    both.backward()
    assert told == [3]
    assert float((both - alone).detach()) == pytest.approx(
        float(2.0 * weights[name].detach().sum()), rel=1e-4, abs=1e-4
    )
    for key, gradient in before.items():
        torch.testing.assert_close(weights[key].grad, gradient + (2.0 if key == name else 0.0))


def test_a_proxy_that_was_told_responses_listens_to_impulses(stage):
    spec, farm, _ = stage
    proxy = FeatureProxy(len(spec.space))
    torch.nn.init.normal_(proxy.response.last.weight)
    assert by_features(FarmEffect(farm, spec, 24000), proxy).direction.parts is not None
    proxy.forget_response()
    assert by_features(FarmEffect(farm, spec, 24000), proxy).direction.parts is None


@pytest.mark.parametrize("rehearsal", [0.0, 0.5])
def test_a_stage_is_guided_whether_or_not_it_rehearses(rehearsal, demo_audio, tmp_path, monkeypatch):
    made = []

    def spy(run, book, guide=None, rehearsal=None):
        made.append((guide is not None, rehearsal is not None))
        return audio_loss(run, book, guide, rehearsal)

    monkeypatch.setattr(stages, "audio_loss", spy)
    plan = msgspec.structs.replace(PLAN, shards=2, proxy_steps=3, warm_steps=3, audio_steps=1, held_out=4)
    out = prepare(tmp_path, plan)
    learn(
        [resolve_plugin("builtin:Gain"), resolve_plugin("builtin:PeakFilter")],
        demo_audio,
        out=out,
        minutes=60.0,
        recipe=Recipe(rehearsal=rehearsal, segment=SEGMENT, held_out=4, audio_batch=2, settings=2, batch=32),
        jobs=1,
        resume=True,
    )
    # The last one is the stage's; the one before measured how far to trust the guide.
    assert made[-1] == (True, rehearsal > 0)
