"""pedalboard's built-ins with controls."""

from __future__ import annotations

import msgspec
import numpy as np
import pedalboard
import pytest
from scipy.signal import freqz

from blackbox_afx import shelf
from blackbox_afx.errors import PluginError, ShelfError
from blackbox_afx.plugins.builtins import COMPOSITES, EFFECTS, WHOLE, build_effects, builtin_profile
from blackbox_afx.plugins.pedalboard import PedalboardHost, describe
from blackbox_afx.plugins.profile import dump_profile, load_profile
from blackbox_afx.testing.hosts import check_host
from tests.cookbook import peak

SHIPPED = shelf.shipped() / "plugins"
LEFT_OUT = {
    *("Convolution", "VST3Plugin", "AudioUnitPlugin", "ExternalPlugin", "_AudioProcessorParameter"),
    *("Invert", "IIRFilter", "Chain", "Mix", "Pedalboard", "Plugin", "PluginContainer"),
}


@pytest.mark.parametrize("name", [*EFFECTS, *COMPOSITES])
def test_conforms(name: str) -> None:
    check_host(PedalboardHost(), builtin_profile(name))


@pytest.mark.parametrize("name", ["Compressor", "Reverb", "ChannelStrip"])
def test_stereo_conforms(name: str) -> None:
    check_host(PedalboardHost(), msgspec.structs.replace(builtin_profile(name), channels=2), seed=3)


def test_every_effect_and_every_attribute_is_in_the_table() -> None:
    public = [getattr(pedalboard, name) for name in dir(pedalboard) if not name.startswith("_")]
    classes = {kind.__name__: kind for kind in public if isinstance(kind, type)}
    effects = {name for name, kind in classes.items() if issubclass(kind, pedalboard.Plugin)}
    assert effects - LEFT_OUT == set(EFFECTS)
    for name, controls in EFFECTS.items():
        kind = classes[name]
        wanted = {key for key in dir(kind) if isinstance(getattr(kind, key), property)}
        assert {row.attribute for row in controls} == wanted - {"is_effect", "is_instrument"}, name


@pytest.mark.parametrize("name", [*EFFECTS, *COMPOSITES])
def test_defaults_are_the_effects_own_and_bounds_stick(name: str) -> None:
    profile = builtin_profile(name)
    places = build_effects(name)[1]
    for control, place in zip(profile.controls, places, strict=True):
        assert control.default == pytest.approx(place.read(), rel=1e-5)
        for plain in (control.minimum, control.maximum):
            place.write(profile, plain, 96000)
            assert place.read() == pytest.approx(plain, rel=1e-5)
    assert [row.name for row in describe(profile.identity)] == [control.name for control in profile.controls]


def test_renders_are_pedalboards_own() -> None:
    profile = builtin_profile("Compressor")
    audio = (0.3 * np.random.default_rng(0).standard_normal((2, 20000))).astype(np.float32)
    plain = {"threshold_db": -31.0, "ratio": 5.0, "attack_ms": 3.0, "release_ms": 70.0}
    raw = [float(c.raw_from_plain(v)) for c, v in zip(profile.active, plain.values(), strict=True)]
    got = PedalboardHost().load(profile).render(audio, np.array(raw), 44100)
    wanted = pedalboard.Compressor(**plain).process(audio, 44100, buffer_size=512)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_gain_lanes_follow_blocks() -> None:
    profile = builtin_profile("Gain")
    lanes = np.array([[0.5], [0.75], [0.25]])
    ones = np.ones((1, 2000), np.float32)
    out = PedalboardHost().load(profile).render(ones, lanes, 24000)[0]
    for block, gain_db in ((0, 0.0), (1, 12.0), (2, -12.0), (3, -12.0)):
        part = out[block * 512 : (block + 1) * 512]
        np.testing.assert_allclose(part, 10 ** (gain_db / 20), rtol=1e-5)


def test_lanes_of_static_controls_are_refused() -> None:
    profile = builtin_profile("PitchShift")
    instance = PedalboardHost().load(profile)
    with pytest.raises(PluginError, match="'Semitones' can be set but not automated"):
        instance.render(np.zeros((1, 2000), np.float32), np.array([[0.1], [0.2]]), 24000)


def test_corners_stay_below_nyquist() -> None:
    instance = PedalboardHost().load(builtin_profile("LowpassFilter"))
    audio = (0.1 * np.random.default_rng(0).standard_normal((1, 8000))).astype(np.float32)
    assert np.abs(instance.render(audio, np.ones(1), 8000)).max() < 1.0


def test_pedalboard_keeps_a_corner_below_nyquist_itself() -> None:
    """What is fixed, as the bands of the graphic equaliser are, relies on it at low rates."""
    audio = (0.1 * np.random.default_rng(0).standard_normal((1, 8000))).astype(np.float32)
    heard = [
        pedalboard.PeakFilter(hertz, 12.0, 4.318).process(audio, 8000, buffer_size=512) for hertz in (3960.0, 10000.0)
    ]
    np.testing.assert_array_equal(*heard)
    assert np.abs(heard[0] - audio).max() > 1e-3


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_effects_marked_whole_still_go_wrong_in_pieces(name: str) -> None:
    """When pedalboard mends them this fails, and they may be taken off the list."""
    audio = (0.1 * np.random.default_rng(0).standard_normal((1, 512 * 160))).astype(np.float32)
    whole = getattr(pedalboard, name)().process(audio, 24000, buffer_size=512, reset=False)
    effect = getattr(pedalboard, name)()
    parts = [effect.process(audio[:, k : k + 512], 24000, 512, False) for k in range(0, audio.shape[1], 512)]
    pieces = np.concatenate(parts, axis=1)
    count = min(pieces.shape[1], whole.shape[1])
    assert np.abs(pieces[:, :count] - whole[:, :count]).max() > 0.01


def test_unknown_name_suggests() -> None:
    with pytest.raises(ShelfError, match="did you mean 'Compressor'"):
        builtin_profile("Compresor")


@pytest.mark.parametrize(
    ("folder", "name", "controls"),
    [("channel_strip", "ChannelStrip", 23), ("graphic_equaliser", "GraphicEqualiser", 25)],
)
def test_shipped_profiles_are_what_the_table_makes(folder: str, name: str, controls: int) -> None:
    assert (SHIPPED / folder / "profile.toml").read_text() == dump_profile(builtin_profile(name))
    assert len(load_profile(SHIPPED / folder).active) == controls


@pytest.mark.parametrize("rate", [22050, 24000, 48000])
def test_bands_of_the_graphic_equaliser_are_third_octave_bells(rate: int) -> None:
    profile = builtin_profile("GraphicEqualiser")
    names = [control.name for control in profile.active]
    values = np.full(25, 0.5)
    values[names.index("1000 Hz Gain")], values[names.index("10000 Hz Gain")] = 1.0, 0.25
    impulse = np.zeros((1, 16384), np.float32)
    impulse[0, 0] = 1.0
    heard = np.fft.rfft(PedalboardHost().load(profile).render(impulse, values, rate)[0])
    turns = np.linspace(0, np.pi, len(heard))
    wanted = np.ones(len(heard), complex)
    for hertz, gain_db in ((1000.0, 12.0), (10000.0, -6.0)):
        wanted *= freqz(*peak(hertz, gain_db, 4.318, rate), worN=turns)[1]
    np.testing.assert_allclose(20 * np.log10(np.abs(heard)), 20 * np.log10(np.abs(wanted)), atol=0.05)
