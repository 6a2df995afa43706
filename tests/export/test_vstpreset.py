"""Presets: each VST3's state as a file that the other host loads, and sounds the same, bit by bit."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.export import export, exporter
from blackbox_afx.export.preset_file import preset_of, read_preset
from blackbox_afx.export.vstpreset import preset_paths
from blackbox_afx.session import PluginInstance, Session
from blackbox_afx.testing.exporters import CLASS_ID, check_exporter, example_preset, example_session


def test_conforms(tmp_path: Path) -> None:
    check_exporter(exporter("vstpreset"), folder=tmp_path)


def with_plugins(session: Session, *plugins: PluginInstance) -> Session:
    live, *others = session.tracks
    return msgspec.structs.replace(session, tracks=(msgspec.structs.replace(live, plugins=plugins), *others))


def test_one_plugin_one_file(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    done = export(session, "vstpreset", tmp_path / "x.vstpreset")
    assert done.files == (tmp_path / "x.vstpreset",)
    assert done.path.read_bytes() == session.tracks[0].plugins[0].state


def test_a_chain_gives_a_file_each(tmp_path: Path) -> None:
    session = example_session(tmp_path)
    (plugin,) = session.tracks[0].plugins
    labels = ["Zam EQ2", "zam eq2", "音/量"]
    chain = [msgspec.structs.replace(plugin, label=label) for label in labels]
    done = export(with_plugins(session, *chain), "vstpreset", tmp_path / "x.vstpreset")
    assert [file.name for file in done.files] == ["x.Zam_EQ2.vstpreset", "x.zam_eq2-2.vstpreset", "x.音_量.vstpreset"]
    (tmp_path / "x.音_量.vstpreset").unlink()
    with pytest.raises(OutputError, match="Zam_EQ2"):
        export(with_plugins(session, *chain), "vstpreset", tmp_path / "x.vstpreset")
    assert not (tmp_path / "x.音_量.vstpreset").exists(), "all or none"


@given(labels=st.lists(st.text(min_size=1, max_size=90), min_size=2, max_size=5))
def test_file_names_differ(labels: list[str]) -> None:
    plugins = [PluginInstance(format="vst3", label=label) for label in labels]
    names = [path.name.casefold() for path in preset_paths(Path("x.vstpreset"), plugins)]
    assert len(set(names)) == len(labels)
    assert all(len(name.encode()) < 255 for name in names)


def test_what_is_left_behind_is_named(tmp_path: Path) -> None:
    warnings = export(example_session(tmp_path), "vstpreset", tmp_path / "x.vstpreset").warnings
    assert any("no clip gain" in text and "-3.0 dB" in text for text in warnings)
    assert any("'Example', 'Frequency', 'On' stay as they are at time 0" in text for text in warnings)


def test_an_lv2_in_the_chain_is_refused_by_name(tmp_path: Path) -> None:
    (vst3,) = example_session(tmp_path).tracks[0].plugins
    session = example_session(tmp_path, format="lv2")
    lv2 = msgspec.structs.replace(session.tracks[0].plugins[0], label="Lovely EQ")
    with pytest.raises(UsageError, match=r"Lovely EQ is a plugin of format lv2, which a \.vstpreset can't hold"):
        export(with_plugins(session, vst3, lv2), "vstpreset", tmp_path / "x.vstpreset")
    assert not list(tmp_path.glob("*.vstpreset"))


def test_no_plugin(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no plugin"):
        export(with_plugins(example_session(tmp_path)), "vstpreset", tmp_path / "x.vstpreset")


def test_reads_its_layout() -> None:
    class_id, chunks = read_preset(example_preset(CLASS_ID))
    assert (class_id, chunks) == (CLASS_ID, {"Comp": b"component state", "Cont": b"controller state"})


@given(data=st.data())
def test_damaged_presets_are_refused(data: st.DataObject) -> None:
    whole = example_preset(CLASS_ID)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    plugin = PluginInstance(format="vst3", label="Broken", class_id=CLASS_ID, state=cut)
    with pytest.raises(UsageError, match="Broken"):
        preset_of(plugin)


@pytest.mark.zam
@pytest.mark.parametrize("name", ["ZamEQ2", "ZamCompX2"])
def test_bit_exact_in_the_other_host(tmp_path: Path, name: str) -> None:
    """Rendered by pedalboard with raw values; loaded from the file by DawDreamer, which is told no value."""
    import dawdreamer

    from tests.export.real_sessions import CHANNELS, VST3, make_case

    channels, rate, block = CHANNELS[name], 48000, 512
    case = make_case(tmp_path, [name], channels=channels, static=True, trim_db=0.0, seconds=1.0)
    preset = export(case.session, "vstpreset", tmp_path / "x.vstpreset").path
    engine = dawdreamer.RenderEngine(rate, block)
    processor = engine.make_plugin_processor("plugin", str(VST3 / f"{name}.vst3"))
    assert processor.load_vst3_preset(str(preset))
    source = engine.make_playback_processor("source", case.audio)
    engine.load_graph([(source, []), (processor, ["source"])])
    engine.render(case.audio.shape[1] / rate)
    heard = engine.get_audio()[:channels, : case.audio.shape[1]]
    np.testing.assert_array_equal(heard, case.render[:, : heard.shape[1]])
    assert np.max(np.abs(heard - case.audio[:, : heard.shape[1]])) > 1e-3, "it does something"
    class_id, chunks = read_preset(preset.read_bytes())
    assert class_id == case.session.tracks[0].plugins[0].class_id
    assert chunks
