"""Static sessions of `NAME.controls.json` as transfer writes it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from blackbox_afx.audio import write_audio
from blackbox_afx.errors import UsageError
from blackbox_afx.export import export
from blackbox_afx.export.from_controls import session_from_controls
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.transfer.controls_file import describe_controls, json_bytes


def result_of(spec: ChainSpec, folder: Path, *, states: bool) -> Path:
    """Write what a transfer leaves, without a controller: audio, presets, controls."""
    audio = (0.1 * np.random.default_rng(1).standard_normal((2, 24000))).astype(np.float32)
    write_audio(folder / "take.wav", audio, 48000, subtype="FLOAT")
    positions = np.where(np.arange(len(spec.space)) % 2, 0.3, 0.6)
    with spec.open() as chain:
        rendered = chain.render(audio * np.float32(0.5), positions, 48000)
        found = chain.states()
    write_audio(folder / "styled.wav", rendered, 48000, subtype="FLOAT")
    plugins = describe_controls(spec, positions)
    for plugin, state in zip(plugins, found, strict=True):
        plugin["preset"] = f"styled.{plugin['name']}.vstpreset" if state and states else None
        if state and states:
            (folder / plugin["preset"]).write_bytes(state)
    record = {
        "schema": 1,
        "input": str(folder / "take.wav"),
        "references": [],
        "output": "styled.wav",
        "sample_rate": 48000,
        "channels": 2,
        "trim_db": -6.02,
        "latency_samples": 0,
        "plugins": plugins,
        "warnings": ["one"],
    }
    path = folder / "styled.controls.json"
    path.write_bytes(json_bytes(record))
    return path


def builtin() -> ChainSpec:
    return ChainSpec(profiles=(builtin_profile("Compressor"), builtin_profile("Compressor")))


def test_builtins(tmp_path: Path) -> None:
    path = result_of(builtin(), tmp_path, states=False)
    session, warnings = session_from_controls(path)
    assert warnings == []
    assert session.warnings == ("one",)
    live, ours = session.tracks
    assert (live.role, live.muted, ours.role, ours.muted) == ("live", False, "render", True)
    assert live.clips[0].gain_db == -6.02
    assert [plugin.label for plugin in live.plugins] == ["Compressor", "Compressor 2"]
    told = json.loads(path.read_bytes())["plugins"][0]["controls"]
    for value, row in zip(live.plugins[0].values, told, strict=True):
        assert (value.name, value.raw, value.plain) == (row["name"], row["normalised"], row["plain"])
    text = export(session, "csv", tmp_path / "x.csv").path.read_text()
    assert text.count("\n") == 1 + 2 * len(told)


def test_what_is_gone_is_told(tmp_path: Path) -> None:
    path = result_of(builtin(), tmp_path, states=False)
    (tmp_path / "take.wav").unlink()
    (tmp_path / "styled.wav").unlink()
    session, (told,) = session_from_controls(path)
    assert "take.wav is not there" in told
    assert [len(track.clips) for track in session.tracks] == [0]


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "not a controls file"), ('{"plugins": [{}], "sample_rate": 1}', "name"), ('{"plugins": []}', "sample_rate")],
)
def test_no_controls_file(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "x.controls.json").write_text(text)
    with pytest.raises(UsageError, match=told):
        session_from_controls(tmp_path / "x.controls.json")


@pytest.mark.zam
def test_vst3(tmp_path: Path) -> None:
    from tests.export.real_sessions import profile_of

    spec = ChainSpec(profiles=(profile_of("ZamCompX2"),))
    path = result_of(spec, tmp_path, states=True)
    session, warnings = session_from_controls(path)
    assert warnings == []
    (plugin,) = session.tracks[0].plugins
    assert plugin.table
    for value, control in zip(plugin.values, spec.profiles[0].active, strict=True):
        assert value.param_id == control.param_id
        assert value.plain_minimum == pytest.approx(control.plugin_minimum)
        assert value.plain_maximum == pytest.approx(control.plugin_maximum)
    preset = export(session, "vstpreset", tmp_path / "x.vstpreset").path
    assert preset.read_bytes() == (tmp_path / "styled.ZamCompX2.vstpreset").read_bytes()
    assert export(session, "dawproject", tmp_path / "x.dawproject").path.is_file()
    (tmp_path / "styled.ZamCompX2.vstpreset").unlink()
    session, (told,) = session_from_controls(path)
    assert "styled.ZamCompX2.vstpreset can't be read" in told
    with pytest.raises(UsageError, match="lacks its state"):
        export(session, "vstpreset", tmp_path / "y.vstpreset")
