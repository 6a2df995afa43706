"""All systems of the 2022 paper in the one loop: each learns a step or two, is judged by what it makes, and is kept."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from blackbox_afx.benchmark.methods import load_methods
from blackbox_afx.benchmark.own_audio import OwnAudioMethod
from blackbox_afx.benchmark.pairs import Pair
from blackbox_afx.errors import ProxyError, RecipeError, UsageError
from blackbox_afx.export.from_controls import session_from_controls
from blackbox_afx.networks.controller_file import load_card
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.proxies.proxy_file import ProxyCard, save_proxy
from blackbox_afx.proxies.waveform import Frozen, WaveformProxy, output_gain
from blackbox_afx.train.effects import Context, make_effect
from blackbox_afx.train.learn import learn
from blackbox_afx.train.learned import Learned
from blackbox_afx.train.methods import METHODS
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.transfer.style_controller import StyleController

PROFILE = builtin_profile("Compressor")
SPEC = ChainSpec(profiles=(PROFILE,))
TCN = {"channels": 4, "kernel": 3, "dilations": [1, 8, 64]}
RATE = 24000


@pytest.fixture(scope="module")
def proxy(tmp_path_factory) -> Path:
    """A proxy that nobody trained: what is done with it does not depend on how good it is."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("proxies") / "compressor"
    folder.mkdir()
    made = WaveformProxy(len(PROFILE.active), "tcn", TCN, output_gain(PROFILE))
    card = ProxyCard(profile=PROFILE, architecture="tcn", options=TCN, gain=output_gain(PROFILE), sample_rate=RATE)
    save_proxy(folder / "weights.safetensors", made, card)
    return folder


def recipe(method: str, proxy: Path, **more) -> Recipe:
    settings = {
        "method": method,
        "warm_start": False,
        "protocol": "paper",
        "examples": 4,
        "audio_batch": 2,
        "audio_rate": 1e-2,
        "segment": 20000,
        "held_out": 2,
        "controller_options": {"width": 16, "blocks": 1},
        "proxies": (str(proxy),) if method.startswith("np") else (),
        "effect_options": TCN if method.startswith("ctcn") else {},
    }
    return Recipe(**(settings | more))


def run(folder: Path, audio: Path, chosen: Recipe, **options) -> Learned:
    return learn(
        [PROFILE],
        audio,
        out=folder / "c.safetensors",
        where="type=speech",
        minutes=10,
        recipe=chosen,
        jobs=1,
        force=True,
        **options,
    )


@pytest.fixture(scope="module", params=["spsa", "np", "np_hh", "np_fh", "ad", "ctcn1"])
def learned(request, tmp_path_factory, demo_audio, proxy) -> tuple[str, Learned]:
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, run(folder, demo_audio, recipe(request.param, proxy))


def test_each_method_learns_and_says_what_made_its_audio(learned, proxy):
    name, made = learned
    card = load_card(made.path)
    assert made.chosen == "audio"
    assert card.method == name
    assert card.plan["audio_steps"] == 2
    assert (card.renders_itself, card.means_controls) == (METHODS[name].renders_itself, METHODS[name].means_controls)
    assert card.schema == (2 if card.renders_itself else 1)
    kept = {key.removeprefix("effect/proxies.0."): t for key, t in load_file(made.path).items() if "effect/" in key}
    frozen = load_file(proxy / "weights.safetensors")
    if name == "np":
        # Frozen to the last running mean, after training, judging and saving.
        assert kept.keys() == frozen.keys()
        assert all(torch.equal(kept[key], frozen[key]) for key in frozen)
    elif name == "ctcn1":
        assert any("running_mean" in key and t.any() for key, t in kept.items())
    else:
        assert not kept


def test_audio_of_its_own_is_benchmarked_through_the_module(learned, demo_audio):
    name, made = learned
    (method,) = load_methods([made.path])
    assert isinstance(method, OwnAudioMethod) == METHODS[name].renders_itself
    if not isinstance(method, OwnAudioMethod):
        return
    clip = (0.1 * np.random.default_rng(0).standard_normal(20000)).astype(np.float32)
    pair = Pair(index=0, speaker="x", source=clip, reference=clip, target=clip)
    (audio,) = method.render([pair], RATE)
    at = torch.as_tensor(method.positions([pair], RATE)).float()
    with torch.no_grad():
        expected = method.effect(torch.from_numpy(clip)[None, None], at)[0, 0].numpy()
    np.testing.assert_array_equal(audio, expected)
    with pytest.raises(UsageError, match="24000 Hz"):
        method.render([pair], 44100)
    if name == "ctcn1":
        with pytest.raises(UsageError, match="on-plugins"):
            load_methods([made.path], on_plugins="instead")
    else:
        assert not isinstance(load_methods([made.path], on_plugins="instead")[0], OwnAudioMethod)
    both = load_methods([made.path], on_plugins="also")
    names = (
        [method.name]
        if name == "ctcn1" or not METHODS[name].renders_itself
        else [method.name, f"{method.name}-on-plugins"]
    )
    assert [each.name for each in both] == names
    assert not any(isinstance(each, OwnAudioMethod) for each in both[1:])


def test_a_transfer_uses_plugins_where_positions_mean_controls(learned, tmp_path):
    name, made = learned
    rng = np.random.default_rng(1)
    for part in ("a", "b"):
        soundfile.write(tmp_path / f"{part}.wav", 0.1 * rng.standard_normal((60000, 2)), 44100, "FLOAT")
    controller = StyleController.load(made.path)
    result = controller.transfer(tmp_path / "a.wav", tmp_path / "b.wav", out=tmp_path / "out.wav")
    audio, rate = soundfile.read(tmp_path / "out.wav")
    assert (audio.shape, rate) == ((60000, 2), 44100)
    if METHODS[name].means_controls:
        assert result.plugins
        assert any("learned through" in text for text in result.warnings) == METHODS[name].renders_itself
        return
    assert not result.plugins
    assert result.session_file is None
    with pytest.raises(UsageError, match="no plugin"):
        session_from_controls(result.controls_file)
    heard = controller.hear(tmp_path / "a.wav")
    with pytest.raises(UsageError, match="no control"):
        controller.predict(heard, [heard])
    for option in ({"amount": 0.5}, {"tail": True}, {"plot": tmp_path / "p.png"}):
        with pytest.raises(UsageError, match="leave it out"):
            controller.transfer(tmp_path / "a.wav", tmp_path / "b.wav", out=tmp_path / "no.wav", **option)


def test_np_and_np_hh_learn_the_same_weights(learned, proxy, tmp_path, demo_audio):
    name, made = learned
    if name != "np":
        pytest.skip("once is enough")
    other = run(tmp_path, demo_audio, recipe("np_hh", proxy))
    mine = {key: t for key, t in load_file(made.path).items() if not key.startswith("effect/")}
    assert all(torch.equal(t, load_file(other.path)[key]) for key, t in mine.items())


def test_a_missing_proxy_leaves_no_unfinished_run(tmp_path, demo_audio, proxy):
    with pytest.raises(ProxyError, match="Gain"):
        learn(
            [builtin_profile("Gain")],
            demo_audio,
            out=tmp_path / "c.safetensors",
            minutes=1,
            recipe=recipe("np", proxy),
            jobs=1,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "changes", "says"),
    [
        ("ctcn1", {"warm_start": True}, "mean nothing"),
        ("regression", {"warm_start": False}, "nothing to do"),
        ("features", {"warm_start": False}, "feature proxy that a warm start trains"),
        ("ctcn2", {"effect_options": {}}, "stages"),
        ("ctcn1", {"effect_options": {"size": "huge"}}, "huge"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(method, changes, says, tmp_path, demo_audio, proxy):
    with pytest.raises(RecipeError, match=says):
        run(tmp_path, demo_audio, recipe(method, proxy, **changes))
    assert not list(tmp_path.iterdir())


def test_two_tcns_for_two_plugins_need_no_stages():
    two = ChainSpec(profiles=(builtin_profile("PeakFilter"), builtin_profile("Gain")))
    effect = make_effect(Context(spec=two, sample_rate=RATE, method=METHODS["ctcn2"], options={"channels": 4}))
    assert effect.network.stages == (3, 1)
    # The last plugin's gain is exact, and its column is the chain's.
    assert effect.gain is None or effect.gain.index == 3


def test_proxy_methods_differ_where_they_should(proxy):
    """NP hears the proxy, NP-FH the box."""
    made = {}
    for name in ("np", "np_fh"):
        box = _Silence()
        context = Context(spec=SPEC, sample_rate=RATE, method=METHODS[name], box=box, proxies=(str(proxy),))
        effect = make_effect(context)
        at = torch.full((2, len(SPEC.space)), 0.5, requires_grad=True)
        audio = torch.randn(2, 1, 500, generator=torch.Generator().manual_seed(0))
        out = effect(audio, at)
        out.sum().backward()
        made[name] = out.detach(), at.grad, box.renders
    assert isinstance(make_effect(msgspec.structs.replace(context, method=METHODS["np"])), Frozen)
    assert made["np"][2] == 0
    assert made["np"][0].any()
    assert made["np_fh"][2] == 1
    assert not made["np_fh"][0].any()
    # The cotangent of a sum is 1 whatever the audio is, so both pull back the same.
    torch.testing.assert_close(made["np"][1], made["np_fh"][1])


class _Silence:
    """A black box that mutes."""

    def __init__(self) -> None:
        self.renders = 0

    def render(self, audio, positions):
        self.renders += 1
        return [np.zeros_like(clip) for clip in audio], np.ones(len(audio), bool)

    def respond(self, audio, points, cotangents):
        raise AssertionError("nobody probes here")
