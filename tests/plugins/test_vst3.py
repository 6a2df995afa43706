"""The ctypes reader against pedalboard's host (JUCE), on every Zam plugin; and what it says to bad input."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from blackbox_afx.errors import PluginCrash, PluginError, PluginHang
from blackbox_afx.plugins.vst3 import PLAIN_POINTS, Vst3Class, read_vst3, single_class

FOLDER = Path("/usr/lib/vst3")
ZAM = [
    *("ZaMaximX2", "ZaMultiComp", "ZaMultiCompX2", "ZamAutoSat", "ZamComp", "ZamCompX2", "ZamDelay"),
    *("ZamDynamicEQ", "ZamEQ2", "ZamGEQ31", "ZamGate", "ZamGateX2", "ZamGrains", "ZamHeadX2", "ZamPhono"),
    *("ZamTube", "ZamVerb"),
]
CONTINUOUS = 0x7FFFFFFF  # what JUCE says for a parameter without steps


@functools.cache
def ours(name: str) -> Vst3Class:
    return single_class(read_vst3(FOLDER / f"{name}.vst3"))


@functools.cache
def theirs(name: str):
    """Load in pedalboard without its scan of 1001 texts a parameter, which takes 45 s on ZamVerb."""
    from pedalboard import VST3Plugin, _pedalboard

    mixin = _pedalboard._PythonExternalPluginMixin
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixin, "__set_initial_parameter_values__", lambda self, values: None)
        return VST3Plugin(str(FOLDER / f"{name}.vst3"))


@pytest.mark.zam
@pytest.mark.parametrize("name", ZAM)
def test_order_names_units_steps_and_defaults_agree_with_the_host(name):
    found = [(p.index, p.title, p.units) for p in ours(name).parameters]
    host = theirs(name)._parameters
    assert found == [(index, p.name, p.label) for index, p in enumerate(host)]
    assert [p.default for p in ours(name).parameters] == pytest.approx([p.default_raw_value for p in host], abs=1e-7)
    steps = [p.steps + 1 if p.steps else CONTINUOUS for p in ours(name).parameters]
    assert steps == [p.num_steps for p in host]


@pytest.mark.zam
@pytest.mark.parametrize("name", ZAM)
def test_class_id_is_the_one_in_the_hosts_preset(name):
    assert ours(name).class_id.encode() == theirs(name).preset_data[8:40]
    assert ours(name).name == theirs(name).name


@pytest.mark.zam
@pytest.mark.parametrize("name", ["ZamTube", "ZamEQ2", "ZamVerb"])
def test_texts_of_stepped_parameters_agree_with_the_host(name):
    compared = 0
    for parameter, host in zip(ours(name).parameters, theirs(name)._parameters, strict=True):
        if not parameter.texts:
            continue
        assert len(parameter.texts) == parameter.steps + 1
        shown = [host.get_text_for_raw_value(step / parameter.steps) for step in range(parameter.steps + 1)]
        assert list(parameter.texts) == shown
        compared += 1
    assert compared


@pytest.mark.zam
@pytest.mark.parametrize("name", ZAM)
def test_plain_samples_agree_with_the_texts_that_the_host_shows(name):
    """Plain values are compared through the host's text, since it shows no number; texts are rounded."""
    for parameter, host in zip(ours(name).parameters, theirs(name)._parameters, strict=True):
        assert [raw for raw, _ in parameter.plain_samples] == list(PLAIN_POINTS)
        assert parameter.plain_samples[0][1] == parameter.plain_minimum
        assert parameter.plain_samples[-1][1] == parameter.plain_maximum
        if parameter.steps or parameter.program:
            continue
        for raw, plain in parameter.plain_samples:
            number = re.match(r"-?\d+(?:\.(\d+))?", host.get_text_for_raw_value(raw))
            assert number is not None
            last_digit = 10.0 ** -len(number.group(1) or "")
            assert float(number.group()) == pytest.approx(plain, rel=1e-6, abs=1.01 * last_digit)


@pytest.mark.zam
def test_flags_tell_meters_programs_and_hidden_parameters_from_controls():
    parameters = {p.title: p for p in ours("ZaMultiComp").parameters}
    assert parameters["Gain Reduction 1"].readonly
    assert parameters["Current Program"].program
    assert parameters["Buffer Size"].hidden
    controls = [
        p
        for p in ours("ZaMultiComp").parameters
        if p.automatable and not (p.readonly or p.hidden or p.program or p.bypass)
    ]
    assert len(controls) == 27


@pytest.mark.zam
def test_ranges_of_zam_eq2():
    """As zam-plugins declares them in plugins/ZamEQ2/ZamEQ2Plugin.cpp."""
    parameters = {p.title: p for p in ours("ZamEQ2").parameters}
    gain, frequency = parameters["Boost/Cut 1"], parameters["Frequency 1"]
    assert (gain.plain_minimum, gain.plain_maximum, gain.units) == (-50.0, 20.0, "dB")
    assert (frequency.plain_minimum, frequency.plain_maximum, frequency.units) == (20.0, 14000.0, "Hz")
    assert parameters["Peaks ON"].steps == 1


@pytest.mark.zam
def test_the_binary_itself_may_be_named_and_a_relative_path(monkeypatch):
    monkeypatch.chdir(FOLDER)
    binary = next(Path("ZamEQ2.vst3/Contents").glob("*/ZamEQ2.so"))
    assert read_vst3(binary) == read_vst3("ZamEQ2.vst3") == (ours("ZamEQ2"),)


@pytest.mark.zam
def test_a_folder_of_modules_named_like_ours_does_not_mislead_the_reader(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise RuntimeError('the wrong json')\n")
    monkeypatch.chdir(tmp_path)
    assert read_vst3(FOLDER / "ZamEQ2.vst3") == (ours("ZamEQ2"),)


def test_a_text_file_named_vst3_is_no_plugin(tmp_path):
    path = tmp_path / "Lyrics.vst3"
    path.write_text("She loves you\n")
    with pytest.raises(PluginError, match="not a plugin that this machine can load") as caught:
        read_vst3(path)
    assert not isinstance(caught.value, PluginCrash | PluginHang)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(PluginError, match="no such file"):
        read_vst3(tmp_path / "Gone.vst3")


def _class(name: str, class_id: str) -> Vst3Class:
    return Vst3Class(
        name=name, class_id=class_id, vendor="", version="", sub_categories="", sdk_version="", parameters=()
    )


def test_single_class_takes_the_only_one_or_the_named_one():
    a, b = _class("Warm", "A" * 32), _class("Wide", "B" * 32)
    assert single_class([a]) is a
    assert single_class([a, b], "Wide") is b
    assert single_class([a, b], "A" * 32) is a


def test_single_class_lists_the_names_where_it_can_not_choose():
    a, b, c = _class("Warm", "A" * 32), _class("Wide", "B" * 32), _class("Wide", "C" * 32)
    with pytest.raises(PluginError, match="holds 2 plugins and no name was given; name one of: Warm, Wide"):
        single_class([a, b])
    with pytest.raises(PluginError, match="called 'Loud'; name one of: Warm, Wide"):
        single_class([a, b], "Loud")
    with pytest.raises(PluginError, match="no plugin in the bundle is called 'Loud'"):
        single_class([a], "Loud")
    with pytest.raises(PluginError, match=f"{'B' * 32}, {'C' * 32}"):
        single_class([a, b, c], "Wide")
    with pytest.raises(PluginError, match="no audio plugin"):
        single_class([])
