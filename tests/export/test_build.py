"""Sessions hold what was rendered, and give it back."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from blackbox_afx.errors import AudioError, UsageError
from blackbox_afx.export.build import ChainFacts, build_session, chain_facts, parameter_table, port_symbols
from blackbox_afx.export.reopen import reopen
from blackbox_afx.export.thin import difference_db
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.pedalboard import open_vst3
from blackbox_afx.plugins.profile import Identity, Meter, Profile
from blackbox_afx.session import Parameter, read_session, write_session
from tests.export.real_sessions import CHANNELS, VST3, make_case, profile_of


@pytest.mark.zam
def test_the_state_is_that_at_time_0(tmp_path: Path) -> None:
    """A plugin that is given the session's preset reads back the first value of every lane, not the last."""
    case = make_case(tmp_path, ("ZamEQ2", "ZamCompX2"), channels=2, seconds=1.0)
    for name, plugin in zip(("ZamEQ2", "ZamCompX2"), case.session.tracks[0].plugins, strict=True):
        fresh = open_vst3(VST3 / f"{name}.vst3")
        fresh.preset_data = plugin.state
        fresh.process(np.zeros((CHANNELS[name], 512), np.float32), 48000)
        parameters = list(fresh.parameters.values())
        assert len(plugin.lanes) == 3
        for value in plugin.values:
            assert parameters[value.index].raw_value == pytest.approx(value.raw, abs=1e-5)
        for lane in plugin.lanes:
            assert lane.raw[0] == plugin.value(lane.control).raw
            assert lane.plain[0] == plugin.value(lane.control).plain
            assert lane.times[0] == 0
            assert lane.times[-1] == case.session.length_s


@pytest.mark.zam
def test_a_session_on_disk_renders_the_same_again(tmp_path: Path) -> None:
    """Written, read, reopened: bit for bit the render that it was made from."""
    case = make_case(tmp_path, ("ZamEQ2", "ZamCompX2"), channels=2, seconds=1.0)
    session = read_session(write_session(case.session, tmp_path / "x.session.json"))
    spec, trajectory = reopen(session.tracks[0], tmp_path)
    with spec.open() as chain:
        again = chain.render_raw(case.trimmed, trajectory, case.sample_rate)
    assert difference_db(again, case.render) < -140
    render, _ = soundfile.read(session.resolve(session.tracks[1].clips[0]), dtype="float32", always_2d=True)
    np.testing.assert_array_equal(render.T, case.render)


@pytest.mark.zam
def test_identity_latency_and_table(tmp_path: Path) -> None:
    """What another host needs to find the plugin and its parameters."""
    case = make_case(tmp_path, ("ZaMaximX2",), channels=2, seconds=0.5)
    plugin = case.session.tracks[0].plugins[0]
    assert plugin.latency_samples == 480
    assert case.session.latency_samples == 480
    assert len(plugin.class_id) == 32
    assert plugin.class_id.encode() == (plugin.state or b"")[8:40]
    assert [row.index for row in plugin.table] == list(range(len(plugin.table)))
    assert {row.name for row in plugin.table if row.program} == {"Current Program"}
    ids = {row.index: row.param_id for row in plugin.table}
    assert all(ids[value.index] == value.param_id for value in plugin.values)


@pytest.mark.zam
def test_a_plugin_that_is_gone_is_described_from_its_profile() -> None:
    """Program selectors and meters keep their places."""
    profile = profile_of("ZamCompX2")
    gone = msgspec.structs.replace(profile, identity=msgspec.structs.replace(profile.identity, file="/nowhere.vst3"))
    there, guessed = parameter_table(profile), parameter_table(gone)
    for row, guess in zip(there, guessed, strict=True):
        assert (row.index, row.name, row.program, row.readonly) == (
            guess.index,
            guess.name,
            guess.program,
            guess.readonly,
        )


def test_ports_of_one_name_are_told_apart() -> None:
    """The second "Gain" is the second port called so; what is no port has no symbol."""
    names = ["Gain", "Bypass", "Gain", "Meter"]
    profile = Profile(
        name="p",
        identity=Identity(format="lv2", uri="urn:p"),
        meters=tuple(Meter(name=name, index=k, why="silent") for k, name in enumerate(names)),
    )
    table = [
        Parameter(index=9, symbol="gain_r", name="Gain"),
        Parameter(index=4, symbol="gain_l", name="Gain"),
        Parameter(index=5, symbol="level", name="Meter", readonly=True),
    ]
    assert port_symbols(profile, table) == {0: "gain_l", 2: "gain_r"}


def test_a_builtin_chain_and_its_refusals(tmp_path: Path) -> None:
    """No plugin needed: settings alone make a session; a render of another recording does not belong to it."""
    spec = ChainSpec(profiles=(builtin_profile("Compressor"), builtin_profile("Gain")))
    raw = spec.space.to_raw(spec.space.defaults)
    soundfile.write(tmp_path / "in.wav", np.zeros((4800, 2)), 48000)
    soundfile.write(tmp_path / "mono.wav", np.zeros(4800), 48000)
    with spec.open() as chain:
        facts = chain_facts(chain, raw, 48000, 2)
    assert facts == ChainFacts(states=(None, None), latencies=(0, 0))
    session = build_session(spec, raw, facts, source=tmp_path / "in.wav", trim_db=-6.0, warnings=["loud"])
    assert session.length_s == pytest.approx(0.1)
    assert session.tracks[0].clips[0].gain_db == -6.0
    assert session.thinning is None
    assert session.warnings == ("loud",)
    assert [plugin.label for plugin in session.tracks[0].plugins] == list(spec.labels)
    with pytest.raises(AudioError, match="1"):
        build_session(spec, raw, facts, source=tmp_path / "in.wav", render=tmp_path / "mono.wav")
    with pytest.raises(UsageError, match="no plugins"):
        reopen(msgspec.structs.replace(session.tracks[0], plugins=()), tmp_path)
