"""VST3 in pedalboard: conformance, presets, and bit-identity with the other host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from blackbox_afx.errors import PluginError, ProfileError
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.pedalboard import PedalboardHost, describe, open_vst3
from blackbox_afx.plugins.profile import Identity, Profile
from blackbox_afx.testing.hosts import check_host

pytestmark = pytest.mark.zam

NEVER = ("Current Program", "Gain Reduction", "Output Level", "Buffer Size", "Sample Rate")
RATE = 24000


def zam(name: str, reset: str = "reset", **fields: object) -> Profile:
    """Profile of a Zam VST3 whose continuous controls stay in the middle of their range, where all are stable."""
    identity = Identity(format="vst3", file=f"{name}.vst3", plugin_name=name)
    controls = tuple(
        Control(
            name=row.name,
            index=row.index,
            minimum=0.2,
            maximum=0.5,
            default=min(max(row.default_raw, 0.2), 0.5),
            plugin_minimum=0,
            plugin_maximum=1,
        )
        for row in describe(identity)
        if row.automatable and not row.steps and not row.name.startswith(NEVER)
    )
    channels = 2 if name.endswith("X2") else 1
    return Profile(name=name, identity=identity, channels=channels, controls=controls, reset=reset, **fields)


def noise(channels: int, samples: int = 6000, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


@pytest.mark.parametrize("name", ["ZamEQ2", "ZamComp", "ZamCompX2", "ZamGEQ31", "ZamDelay", "ZaMaximX2"])
def test_conforms(name: str) -> None:
    check_host(PedalboardHost(), zam(name))


@pytest.mark.parametrize("reset", ["fresh", "reset", "reinstantiate"])
def test_every_reset_policy_repeats(reset: str) -> None:
    check_host(PedalboardHost(), zam("ZamCompX2", reset), seed=1)


def test_conforms_within_stated_repeatability() -> None:
    check_host(PedalboardHost(), zam("ZamTube", "reinstantiate", repeatability=3e-3))


def two_hosts(*arguments: str) -> dict[str, float]:
    script = Path(__file__).with_name("two_hosts.py")
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["ZamEQ2", "ZamCompX2", "ZaMultiCompX2", "ZamDelay", "ZaMaximX2"])
def test_both_hosts_agree_bit_for_bit(name: str) -> None:
    found = two_hosts(name)
    assert found.pop("peak") > 1e-3
    assert set(found.values()) == {0.0}, found


def test_the_other_host_conforms_on_a_vst3() -> None:
    two_hosts("check", "ZamCompX2")


@pytest.mark.parametrize("name", ["ZamEQ2", "ZamCompX2"])
@pytest.mark.parametrize("reset", ["reset", "fresh", "reinstantiate"])
def test_preset_restores(name: str, reset: str) -> None:
    profile = zam(name, reset)
    audio = noise(profile.channels)
    instance = PedalboardHost().load(profile)
    values = np.random.default_rng(3).uniform(0.2, 0.5, len(profile.active))
    wanted = instance.render(audio, values, RATE)
    preset = instance.state()
    assert preset[:4] == b"VST3"
    other = PedalboardHost().load(profile)
    other.restore(preset)
    for _ in range(2):
        assert np.array_equal(other.render(audio, None, RATE), wanted)


def test_state_of_an_unplayed_plugin_is_read_after_a_silent_block() -> None:
    profile = zam("ZamEQ2")
    instance = PedalboardHost().load(profile)
    first = instance.state()
    instance.render(noise(1), None, profile.probe_rate)
    assert instance.state() == first


def test_base_preset_and_held_values_reach_every_render(tmp_path) -> None:
    profile = zam("ZamEQ2")
    audio = noise(1)
    instance = PedalboardHost().load(profile)
    values = np.full(len(profile.active), 0.3)
    wanted = instance.render(audio, values, RATE)
    (tmp_path / "base.vstpreset").write_bytes(instance.state())
    one = msgspec.structs.replace(
        profile,
        controls=profile.controls[:1],
        base_preset="base.vstpreset",
        folder=str(tmp_path),
        reset="fresh",
    )
    renewed = PedalboardHost().load(one)
    for _ in range(2):
        assert np.array_equal(renewed.render(audio, values[:1], RATE), wanted)
    held = tuple(msgspec.structs.replace(control, use=k == 0, value=0.3) for k, control in enumerate(profile.controls))
    for reset in ("reset", "fresh", "reinstantiate"):
        kept = PedalboardHost().load(msgspec.structs.replace(profile, controls=held, reset=reset))
        assert np.array_equal(kept.render(audio, values[:1], RATE), wanted)


def test_another_parameter_table_is_refused() -> None:
    profile = zam("ZamEQ2")
    moved = (msgspec.structs.replace(profile.controls[0], name="Drive"), *profile.controls[1:])
    with pytest.raises(ProfileError, match="another parameter table"):
        PedalboardHost().load(msgspec.structs.replace(profile, controls=moved))


def test_not_installed_says_where_it_looked() -> None:
    identity = Identity(format="vst3", file="ZamEQ3.vst3")
    with pytest.raises(PluginError, match=r"not installed: searched .*did you mean .*'ZamEQ2.vst3'"):
        PedalboardHost().load(msgspec.structs.replace(zam("ZamEQ2"), identity=identity))


def test_not_a_plugin(tmp_path) -> None:
    fake = tmp_path / "fake.vst3"
    fake.write_bytes(b"no plugin")
    with pytest.raises(PluginError, match="can't be loaded as VST3"):
        open_vst3(fake)


def test_loading_off_the_main_thread_is_refused() -> None:
    profile, caught = zam("ZamEQ2"), []

    def load() -> None:
        try:
            PedalboardHost().load(profile)
        except PluginError as error:
            caught.append(str(error))

    thread = threading.Thread(target=load)
    thread.start()
    thread.join(10)
    assert "main thread" in caught[0]


def test_runaway_output_names_plugin_and_values() -> None:
    profile = zam("ZamEQ2")
    instance = PedalboardHost().load(profile)
    # Filters whose corners jump each block blow up.
    values = np.random.default_rng(0).random((96, len(profile.active)))
    with pytest.raises(PluginError, match=r"ZamEQ2 gave .*Boost/Cut 1 = "):
        instance.render(noise(1, 48000), values, RATE)
