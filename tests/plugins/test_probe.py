"""Probing real plugins, and plugins that are broken on purpose."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from broken_plugins import compile_plugin

from blackbox_afx.errors import PluginCrash, PluginError, PluginHang, UsageError
from blackbox_afx.plugins.probe import draft_profile, probe, probe_again, profile_name
from blackbox_afx.plugins.profile import load_profile, save_profile
from blackbox_afx.plugins.report import ProbeReport, report_json
from blackbox_afx.shelf import shipped

# name: parameters, controls that may be automated, static ones, channels
ZAM = {
    "ZaMaximX2": (9, 3, 0, 2),
    "ZaMultiComp": (37, 27, 0, 1),
    "ZaMultiCompX2": (39, 28, 0, 2),
    "ZamAutoSat": (2, 0, 0, 1),
    "ZamComp": (13, 8, 0, 1),
    "ZamCompX2": (14, 9, 0, 2),
    "ZamDelay": (12, 8, 0, 1),
    "ZamDynamicEQ": (19, 15, 0, 1),
    "ZamEQ2": (15, 12, 0, 1),
    "ZamGEQ31": (33, 30, 0, 1),
    "ZamGate": (12, 7, 0, 1),
    "ZamGateX2": (12, 7, 0, 2),
    "ZamGrains": (12, 6, 0, 1),
    "ZamHeadX2": (6, 1, 2, 2),
    "ZamPhono": (5, 2, 0, 1),
    "ZamTube": (10, 7, 0, 1),
    "ZamVerb": (6, 2, 1, 2),
}


PATIENCE_S = 300.0
"""What no probe takes, however busy the machine; how much is rendered says `budget_s`."""


def counts(report: ProbeReport) -> tuple[int, int, int, int]:
    profile = report.profile
    automatable = sum(control.automatable for control in profile.controls)
    static = len(profile.controls) - automatable
    return automatable + static + len(profile.meters), automatable, static, profile.channels


@pytest.mark.zam
@pytest.mark.slow
@pytest.mark.parametrize("name", ZAM)
def test_every_zam_plugin_is_probed_and_its_controls_are_told_from_its_meters(name):
    report = probe(f"{name}.vst3", bases=4, budget_s=15, timeout_s=PATIENCE_S)
    assert counts(report) == ZAM[name]
    assert report.profile.latency == (480 if name == "ZaMaximX2" else 0)
    assert report.nan == ("spreads" if name == "ZamVerb" else "stays")


@pytest.fixture(scope="module")
def comp() -> ProbeReport:
    return probe("ZamComp.vst3", budget_s=30, timeout_s=PATIENCE_S)


@pytest.mark.zam
def test_a_compressor(comp):
    assert counts(comp) == ZAM["ZamComp"]
    profile = comp.profile
    assert profile.identity.class_id == "2046504473616C63504D435A00000000"
    assert (profile.reset, profile.repeatability, profile.dynamics) == ("reset", 0.0, True)
    assert (profile.output_gain, profile.stereo_twin) == ("Makeup", "ZamCompX2.vst3")
    assert {m.name: m.why for m in profile.meters}["Gain Reduction"] == "meter"
    assert {c.name: c.scale for c in profile.controls}["Attack"] == "log"
    assert all(move.effect_db > -100 and move.bases >= 10 for move in comp.moves)
    assert len(profile.identity.sha256) == 64
    assert (comp.nan, comp.out_of_range) == ("stays", "clamped")


@pytest.mark.zam
def test_the_profile_survives_its_file(comp, tmp_path):
    import msgspec

    path = save_profile(comp.profile, tmp_path / "profile.toml")
    again = msgspec.structs.replace(load_profile(path), folder="")
    assert again.fingerprint() == comp.profile.fingerprint()
    assert again.controls == comp.profile.controls


@pytest.mark.zam
def test_the_report_as_json(comp):
    row = report_json(comp)
    assert {"format", "name", "class_id", "version", "controls", "meters", "static", "moves"} <= set(row)
    keys = {
        "index",
        "param_id",
        "name",
        "unit",
        "automatable",
        "steps",
        "default",
        "minimum",
        "maximum",
        "scale",
    }
    assert all(keys <= set(entry) for entry in row["controls"])
    assert len(row["controls"]) == 8


@pytest.mark.zam
def test_defaults_are_the_values_it_starts_with():
    # The binary says 0.156 for raw Loop time and loads with another.
    from blackbox_afx.plugins.pedalboard import describe

    report = probe("ZamGrains.vst3", bases=1, budget_s=10, timeout_s=PATIENCE_S)
    loaded = {p.index: p.default_raw for p in describe(report.profile.identity)}
    for control in report.profile.controls:
        near = 0.6 / control.steps if control.steps else 1e-5
        assert abs(float(control.raw_from_plain(control.default)) - loaded[control.index]) < near


@pytest.mark.zam
@pytest.mark.slow
def test_a_plugin_with_hidden_state_gets_another_reset_policy():
    report = probe("ZamTube.vst3", bases=1, budget_s=10, timeout_s=PATIENCE_S)
    # These two leave traces of earlier renders, always. How far fresh instances differ is the plugin's own chance.
    assert report.policies["reset"] > 1e-2
    assert report.policies["reinstantiate"] > 1e-2
    assert report.profile.reset == "fresh"
    assert report.profile.repeatability == report.policies["fresh"]


@pytest.mark.zam
def test_static_controls_are_examined_and_left_unused():
    report = probe("ZamHeadX2.vst3", bases=2, budget_s=10, timeout_s=PATIENCE_S)
    static = [c for c in report.profile.controls if not c.automatable]
    assert {c.name for c in static} == {"Azimuth", "Elevation"}
    assert not any(c.use for c in static)
    # How much they move is this plugin's own chance: some of its instances are deaf to them.
    assert {c.index for c in static} <= set(report.effects)


@pytest.mark.zam
def test_probing_again_keeps_a_hand_made_choice():
    profile = load_profile(shipped() / "plugins" / "zam_comp")
    again = probe_again(profile, bases=2, budget_s=10, timeout_s=PATIENCE_S).profile
    assert again.controls == profile.controls
    assert again.identity == profile.identity
    assert again.fingerprint() == profile.fingerprint()


@pytest.mark.zam
@pytest.mark.slow
@pytest.mark.parametrize("token", ["ZamEQ2-vst.so", "urn:zamaudio:ZamComp"])
def test_other_formats(token):
    report = probe(token, bases=3, budget_s=12.5, timeout_s=PATIENCE_S)
    assert report.profile.channels == 1
    assert report.profile.reset == "fresh"
    assert max(report.effects.values()) > -30


@pytest.mark.lv2
@pytest.mark.slow
@pytest.mark.parametrize(
    "token",
    [
        "/usr/lib/vst/lsp-plugins/compressor-mono.so",
        "/usr/lib/vst/lsp-plugins/limiter-stereo.so",
        "/usr/lib/vst/lsp-plugins/gate-mono.so",
        "/usr/lib/vst/lsp-plugins/graph-equalizer-x16-mono.so",
        "/usr/lib/vst/lsp-plugins/art-delay-stereo.so",
        "http://gareus.org/oss/lv2/fil4#mono",
        "http://gareus.org/oss/lv2/darc#stereo",
        "http://gareus.org/oss/lv2/dpl#mono",
        "http://gareus.org/oss/lv2/phaserotate",
        "urn:ardour:a-comp",
        "urn:ardour:a-eq",
        "http://calf.sourceforge.net/plugins/Compressor",
        "http://calf.sourceforge.net/plugins/Equalizer5Band",
        "http://calf.sourceforge.net/plugins/Reverb",
        "https://github.com/michaelwillis/dragonfly-reverb",
    ],
)
def test_plugins_of_other_makers_are_probed(token):
    if token.startswith("/") and not Path(token).exists():
        pytest.skip("needs lsp-plugins-vst: apt-get install lsp-plugins-vst")
    report = probe(token, bases=2, budget_s=10, timeout_s=PATIENCE_S)
    assert report.profile.active
    assert report.profile.reset == "fresh"
    assert report.layouts


def test_a_built_in():
    report = probe("builtin:Compressor", bases=2, budget_s=10, timeout_s=PATIENCE_S)
    assert report.profile.channels == 0
    assert report.profile.repeatability == 0
    assert report.profile.dynamics
    assert min(report.effects.values()) > -100


def test_faust(tmp_path):
    source = tmp_path / "gain.dsp"
    source.write_text(
        'import("stdfaust.lib");\nprocess = *(hslider("gain[unit:dB]", 0, -24, 24, 0.1) : ba.db2linear);\n'
    )
    report = probe(source, bases=3, budget_s=15, timeout_s=PATIENCE_S)
    (control,) = report.profile.controls
    assert (control.name, control.minimum, control.maximum) == ("gain", -24, 24)
    assert not report.profile.dynamics
    # Positions a quarter to three quarters of 48 dB apart: between the change by 12 dB and by full scale.
    assert -3 < report.effects[control.index] <= 0


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("crash", PluginCrash, "SIGABRT"),
        ("segv", PluginCrash, "SIGSEGV"),
        ("hang", PluginHang, "no answer within"),
        ("leave", PluginCrash, "ended the process"),
        ("empty", PluginError, "GetPluginFactory"),
    ],
)
def test_a_broken_vst3_becomes_one_error(kind, error, words, tmp_path):
    path = compile_plugin(tmp_path, kind)
    with pytest.raises(error, match=words) as caught:
        # Long enough for a busy machine to get to the crash; what hangs does so at any limit.
        probe(path, timeout_s=1 if kind == "hang" else 120)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("crash", PluginCrash), ("hang", PluginHang), ("leave", PluginCrash), ("empty", PluginError)],
)
def test_a_broken_vst2_becomes_one_error(kind, error, tmp_path):
    path = compile_plugin(tmp_path, kind, ".so")
    with pytest.raises(error) as caught:
        probe(path, timeout_s=1 if kind == "hang" else 120)
    assert "\n" not in str(caught.value)


def test_what_is_no_plugin(tmp_path):
    text = tmp_path / "song.wav"
    text.write_text("no")
    with pytest.raises(PluginError, match="not a plugin"):
        probe(text)
    with pytest.raises(PluginError, match="not installed"):
        probe(tmp_path / "gone.vst3")
    fake = tmp_path / "fake.vst3"
    fake.write_text("no")
    with pytest.raises(PluginError, match="not a plugin"):
        probe(fake)
    with pytest.raises(UsageError, match="no such file"):
        probe("builtin:Gain", preset=tmp_path / "gone.vstpreset")
    with pytest.raises(PluginError, match="builtin plugins take none here"):
        probe("builtin:Gain", preset=text)


@pytest.mark.zam
@pytest.mark.parametrize(("name", "channels"), [("ZamComp", 1), ("ZamCompX2", 2)])
@pytest.mark.parametrize("kind", ["preset_data", "raw_state"])
def test_a_preset_of_the_plugin_gives_the_defaults(name, channels, kind, tmp_path):
    from pedalboard_native import VST3Plugin

    from blackbox_afx.plugins.pedalboard import open_vst3

    plugin = open_vst3(f"/usr/lib/vst3/{name}.vst3")
    knob = next(k for k, parameter in enumerate(plugin._parameters) if parameter.name == "Threshold")
    plugin._parameters[knob].raw_value = 0.25
    plugin.process(np.zeros((channels, 512), np.float32), 24000, reset=False)
    (tmp_path / "mine").write_bytes(bytes(getattr(VST3Plugin, kind).__get__(plugin)))
    report = probe(f"{name}.vst3", preset=tmp_path / "mine", bases=1)
    assert report.profile.channels == channels
    control = next(control for control in report.profile.controls if control.name == "Threshold")
    assert control.raw_from_plain(control.default) == pytest.approx(0.25, abs=1e-3)


@pytest.mark.zam
@pytest.mark.parametrize("token", ["ZamComp.vst3", "ZamCompX2.vst3", "ZamComp-vst.so"])
def test_what_is_no_preset_of_the_plugin_is_refused(token, tmp_path):
    from blackbox_afx.plugins.pedalboard import open_vst3

    (tmp_path / "text").write_text("just text")
    with pytest.raises(PluginError, match=r"text: not a preset of .*; expected .*; save it again from the plugin"):
        probe(token, preset=tmp_path / "text")
    if not token.endswith(".vst3"):
        return
    other = bytes(open_vst3("/usr/lib/vst3/ZamEQ2.vst3").preset_data)
    (tmp_path / "other.vstpreset").write_bytes(other)
    with pytest.raises(PluginError, match=r"a preset of the plugin .*; expected one of ZamComp"):
        probe(token, preset=tmp_path / "other.vstpreset")
    (tmp_path / "cut.vstpreset").write_bytes(other[:100])
    with pytest.raises(PluginError, match="cut short"):
        probe(token, preset=tmp_path / "cut.vstpreset")


@pytest.mark.lv2
def test_a_bundle_of_several_needs_a_name():
    with pytest.raises(PluginError, match="holds 2 plugins"):
        draft_profile("fil4.lv2")
    draft, _, _ = draft_profile("fil4.lv2::stereo")
    assert draft.identity.uri == "http://gareus.org/oss/lv2/fil4#stereo"
    assert len(draft.identity.sha256) == 64


def test_names_of_profiles():
    assert [profile_name(name) for name in ("ZamEQ2", "My Plug-in (x64)", "SSL4K")] == [
        "zam_eq2",
        "my_plug_in_x64",
        "ssl4k",
    ]


def test_the_caller_loads_neither_torch_nor_a_host():
    code = (
        "import sys, blackbox_afx.plugins.probe, blackbox_afx.plugins.resolve, blackbox_afx.plugins.scan;"
        "print([m for m in ('torch', 'pedalboard', 'dawdreamer') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.zam
@pytest.mark.parametrize("name", ["zam_eq2", "zam_comp", "zam_compx2", "zam_geq31", "zam_tube", "zam_delay"])
def test_shipped_profiles_hold_what_their_plugin_has(name):
    profile = load_profile(shipped() / "plugins" / name)
    draft, _, _ = draft_profile(profile.identity.file)
    assert draft.identity == profile.identity
    plugin = {c.index: c for c in draft.controls}
    assert {c.index for c in profile.controls} == set(plugin)
    for control in profile.controls:
        assert (control.plugin_minimum, control.plugin_maximum) == (
            plugin[control.index].plugin_minimum,
            plugin[control.index].plugin_maximum,
        )
        assert control.use or control.value is not None
    assert np.isfinite(profile.space.defaults).all()
