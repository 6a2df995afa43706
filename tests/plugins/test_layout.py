"""Mono plugins on stereo, stereo plugins on mono."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from blackbox_afx.errors import AudioError
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.layout import adapt, layout_of, notes_on

PROFILE = builtin_profile("Compressor")


def with_channels(channels, **changes):
    return msgspec.structs.replace(PROFILE, channels=channels, dynamics=False, **changes)


@pytest.mark.parametrize(
    ("takes", "gets", "layout"),
    [
        (0, 1, (1, False)),
        (0, 6, (1, False)),
        (1, 1, (1, False)),
        (2, 2, (1, False)),
        (1, 2, (2, False)),
        (2, 1, (1, True)),
    ],
)
def test_layouts(takes, gets, layout):
    assert layout_of(with_channels(takes), gets) == layout


def test_a_stereo_plugin_refuses_surround():
    with pytest.raises(AudioError, match="Compressor: got 6 channels, it takes 1 or 2"):
        layout_of(with_channels(2), 6)


def test_dual_mono_sends_each_channel_alone():
    seen = []

    def render(part):
        seen.append(part.shape)
        return part * len(seen)

    audio = np.ones((2, 5), np.float32)
    out = adapt(render, (2, False), audio)
    assert seen == [(1, 5), (1, 5)]
    np.testing.assert_array_equal(out, [[1] * 5, [2] * 5])


def test_mono_goes_twice_into_stereo_and_comes_back_as_left():
    audio = np.arange(5, dtype=np.float32)[None]
    out = adapt(lambda part: part * np.array([[2], [3]], np.float32), (1, True), audio)
    np.testing.assert_array_equal(out, 2 * audio)


def test_notes_say_what_happens():
    assert notes_on(with_channels(1), 1) == []
    assert notes_on(with_channels(0), 2) == []
    (dual,) = notes_on(with_channels(1), 2)
    assert "dual mono" in dual
    assert "image" not in dual
    (doubled,) = notes_on(with_channels(2), 1)
    assert "left" in doubled


def test_dynamics_in_dual_mono_warn_and_name_an_installed_twin(tmp_path):
    twin = tmp_path / "CompX2.vst3"
    profile = msgspec.structs.replace(
        PROFILE,
        channels=1,
        dynamics=True,
        stereo_twin=str(twin),
        identity=msgspec.structs.replace(PROFILE.identity, format="vst3"),
    )
    (line,) = notes_on(profile, 2)
    assert "stereo image moves" in line
    assert "CompX2" not in line
    twin.mkdir()
    (line,) = notes_on(profile, 2)
    assert "use its stereo twin CompX2" in line
