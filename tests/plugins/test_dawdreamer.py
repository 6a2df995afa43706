"""VST2, LV2 and Faust in DawDreamer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from blackbox_afx import shelf
from blackbox_afx.errors import PluginError
from blackbox_afx.plugins import dawdreamer
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.dawdreamer import DawDreamerHost
from blackbox_afx.plugins.dawdreamer_parameters import describe
from blackbox_afx.plugins.faust import slider_metadata
from blackbox_afx.plugins.lv2_manifest import choose_uri, plugin_uris
from blackbox_afx.plugins.profile import Identity, Profile, load_profile
from blackbox_afx.testing.hosts import check_host

SHIPPED = shelf.shipped() / "plugins"
RATE = 24000


def profile_of(identity: Identity, channels: int, **fields: object) -> Profile:
    controls = tuple(
        Control(
            name=row.name,
            index=row.index,
            minimum=0.2,
            maximum=0.5,
            default=0.3,
            plugin_minimum=0,
            plugin_maximum=1,
        )
        for row in describe(identity)
        if row.automatable and not row.steps
    )
    return Profile(name=identity.plugin_name, identity=identity, channels=channels, controls=controls, **fields)


def zam(format: str, name: str) -> Profile:
    channels = 2 if name.endswith("X2") else 1
    if format == "vst2":
        identity = Identity(format="vst2", file=f"{name}-vst.so", plugin_name=name)
    else:
        identity = Identity(format="lv2", uri=f"urn:zamaudio:{name}", plugin_name=name)
    return profile_of(identity, channels)


@pytest.mark.parametrize("name", ["faust_peq", "faust_compressor"])
def test_shipped_faust_conforms(name: str) -> None:
    check_host(DawDreamerHost(), load_profile(SHIPPED / name))


@pytest.mark.parametrize("name", ["faust_peq", "faust_compressor"])
def test_shipped_faust_profiles_are_their_sources(name: str) -> None:
    profile = load_profile(SHIPPED / name)
    rows = describe(profile.identity, profile.folder)
    assert [row.name for row in rows] == [control.name for control in profile.controls]
    for row, control in zip(rows, profile.controls, strict=True):
        assert (row.unit, row.scale, row.symbol) == (control.unit, control.scale, control.symbol)
        assert (row.plain_minimum, row.plain_maximum) == pytest.approx((control.minimum, control.maximum))
        assert row.default_raw == pytest.approx(float(control.raw_from_plain(control.default)), abs=1e-3)


def _plain(profile: Profile, **plain: float) -> np.ndarray:
    wanted = [plain.get(c.name.replace(" ", "_"), c.default) for c in profile.active]
    return np.array([float(c.raw_from_plain(v)) for c, v in zip(profile.active, wanted, strict=True)])


def _gain_db(out: np.ndarray, audio: np.ndarray) -> float:
    half = audio.shape[1] // 2
    return 20 * np.log10(np.std(out[:, half:]) / np.std(audio[:, half:]))


def test_faust_equaliser_gives_its_gain_at_its_frequency() -> None:
    profile = load_profile(SHIPPED / "faust_peq")
    instance = DawDreamerHost().load(profile)
    time = np.arange(RATE) / RATE
    for hertz, settings in (
        (1000, {"Peak_2_gain": 12.0, "Peak_2_frequency": 1000.0, "Peak_2_Q": 4.0}),
        (20, {"Low_shelf_gain": -9.0, "Low_shelf_frequency": 400.0}),
        (11500, {"High_shelf_gain": 6.0, "High_shelf_frequency": 3000.0}),
    ):
        audio = (0.1 * np.sin(2 * np.pi * hertz * time))[None].astype(np.float32)
        out = instance.render(audio, _plain(profile, **settings), RATE)
        wanted = next(v for k, v in settings.items() if k.endswith("gain"))
        assert _gain_db(out, audio) == pytest.approx(wanted, abs=0.1)


def test_faust_compressor_follows_its_static_curve() -> None:
    profile = load_profile(SHIPPED / "faust_compressor")
    instance = DawDreamerHost().load(profile)
    # A square wave has one level, so that its reduction stands still.
    for level in (-40.0, -20.0, -6.0):
        audio = (10 ** (level / 20) * np.sign(np.sin(np.arange(RATE) + 0.5)))[None].astype(np.float32)
        values = _plain(profile, Threshold=-20.0, Ratio=4.0, Knee=8.0, Attack=1.0, Release=20.0, Makeup=3.0)
        over, knee = level + 20, 8.0
        if 2 * over < -knee:
            reduction = 0.0
        elif 2 * over <= knee:
            reduction = (1 / 4 - 1) * (over + knee / 2) ** 2 / (2 * knee)
        else:
            reduction = (1 / 4 - 1) * over
        assert _gain_db(instance.render(audio, values, RATE), audio) == pytest.approx(reduction + 3.0, abs=0.05)


def test_faust_errors_name_the_line(tmp_path: Path) -> None:
    (tmp_path / "wrong.dsp").write_text("process = 1 +;")
    identity = Identity(format="faust", file=str(tmp_path / "wrong.dsp"), plugin_name="Wrong")
    with pytest.raises(PluginError, match=r"Wrong can't be loaded as faust: .*correct the source"):
        describe(identity)


def test_slider_metadata() -> None:
    source = 'a = vslider("Cut  off [unit:Hz][ scale : log ]", 1, 1, 2, 1); b = checkbox("On");'
    assert slider_metadata(source) == {"Cut off": {"unit": "Hz", "scale": "log"}, "On": {}}


def test_long_streams_keep_what_the_preroll_can_hear(monkeypatch) -> None:
    monkeypatch.setattr(dawdreamer, "SEGMENT", 8192)
    monkeypatch.setattr(dawdreamer, "PREROLL", 6000)
    profile = load_profile(SHIPPED / "faust_peq")
    instance = DawDreamerHost().load(profile)
    audio = (0.1 * np.random.default_rng(0).standard_normal((1, 40000))).astype(np.float32)
    lanes = np.random.default_rng(1).uniform(0.4, 0.6, (79, len(profile.active)))
    pieces = (audio[:, at : at + 997] for at in range(0, 40000, 997))
    streamed = np.concatenate(list(instance.stream(pieces, lanes, RATE)), axis=1)
    whole = instance.render(audio, lanes, RATE)
    assert streamed.shape == whole.shape
    assert np.abs(streamed - whole).max() < 1e-4


@pytest.mark.zam
@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("vst2", "ZamEQ2"),
        ("lv2", "ZamEQ2"),
        ("vst2", "ZaMaximX2"),
        ("lv2", "ZamCompX2"),
        pytest.param("vst2", "ZamDelay", marks=pytest.mark.slow),
        pytest.param("lv2", "ZaMaximX2", marks=pytest.mark.slow),
    ],
)
def test_zam_twins_conform(format: str, name: str) -> None:
    check_host(DawDreamerHost(), zam(format, name), seconds=0.2)


@pytest.mark.zam
def test_bundle_path_is_read_from_its_manifest() -> None:
    bundle = Path("/usr/lib/lv2/ZamEQ2.lv2")
    assert plugin_uris(bundle) == ["urn:zamaudio:ZamEQ2"]
    by_path = Identity(format="lv2", file=str(bundle), plugin_name="ZamEQ2")
    by_name = Identity(format="lv2", file="ZamEQ2.lv2", plugin_name="ZamEQ2")
    by_uri = Identity(format="lv2", uri="urn:zamaudio:ZamEQ2", plugin_name="ZamEQ2")
    assert describe(by_path) == describe(by_uri) == describe(by_name)


@pytest.mark.lv2
@pytest.mark.parametrize(("bundle", "least"), [("calf.lv2", 40), ("lsp-plugins.lv2", 100), ("fil4.lv2", 2)])
def test_bundles_of_many_plugins(bundle: str, least: int) -> None:
    uris = plugin_uris(Path("/usr/lib/lv2") / bundle)
    assert len(uris) >= least
    assert all(uri.startswith(("http", "urn")) for uri in uris)
    assert choose_uri(Path("/usr/lib/lv2") / bundle, uris[-1].rpartition("/")[2].rpartition("#")[2]) == uris[-1]
    with pytest.raises(PluginError, match=f"holds {len(uris)} plugins"):
        choose_uri(Path("/usr/lib/lv2") / bundle)


def test_manifest_dialect(tmp_path: Path) -> None:
    (tmp_path / "manifest.ttl").write_text(
        "@prefix lv2: <http://lv2plug.in/ns/lv2core#>. # a comment; <x> a lv2:Plugin .\n"
        "@prefix e: <http://e.org/>.\n"
        'e:one a lv2:Plugin , lv2:FilterPlugin ; lv2:binary <one.so> ; e:text "a lv2:Plugin ." .\n'
        "<urn:two> e:other [ a lv2:Plugin ] ; a lv2:FilterPlugin, lv2:Plugin.\n<urn:three> a e:Preset.\n"
    )
    assert plugin_uris(tmp_path) == ["http://e.org/one", "urn:two"]
    with pytest.raises(PluginError, match=r"manifest.ttl can't be read"):
        plugin_uris(tmp_path / "none")


@pytest.mark.zam
def test_not_installed_uri() -> None:
    profile = zam("lv2", "ZamEQ2")
    gone = msgspec.structs.replace(profile.identity, uri="urn:zamaudio:Nothing")
    with pytest.raises(PluginError, match="can't be loaded as lv2"):
        DawDreamerHost().load(msgspec.structs.replace(profile, identity=gone))


@pytest.mark.zam
def test_plugins_off_the_main_thread_are_refused() -> None:
    profile, caught = zam("vst2", "ZamEQ2"), []

    def load() -> None:
        try:
            DawDreamerHost().load(profile)
        except PluginError as error:
            caught.append(str(error))

    thread = threading.Thread(target=load)
    thread.start()
    thread.join(10)
    assert "main thread" in caught[0]


@pytest.mark.zam
def test_vst2_state_goes_round(monkeypatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    profile = zam("vst2", "ZamEQ2")
    audio = (0.1 * np.random.default_rng(0).standard_normal((1, 4000))).astype(np.float32)
    instance = DawDreamerHost().load(profile)
    wanted = instance.render(audio, np.full(len(profile.active), 0.37), RATE)
    other = DawDreamerHost().load(profile)
    other.restore(instance.state())
    assert np.array_equal(other.render(audio, None, RATE), wanted)


@pytest.mark.zam
def test_lv2_state_can_be_read_but_not_restored() -> None:
    instance = DawDreamerHost().load(zam("lv2", "ZamEQ2"))
    state = instance.state()
    assert len(state) > 100
    with pytest.raises(PluginError, match="LV2 state"):
        instance.restore(state)


@pytest.mark.zam
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the floating-point guard is for Linux")
@pytest.mark.parametrize("guarded", [True, False])
def test_loading_a_plugin_leaves_floats_as_they_were(guarded: bool) -> None:
    """Unguarded, the Zam plugins flush denormals, and Faust's compiler still works."""
    code = """
import sys
import numpy as np
from pedalboard_native import VST3Plugin
from blackbox_afx.plugins.dawdreamer import DawDreamerHost
from blackbox_afx.plugins.dawdreamer_parameters import describe
from blackbox_afx.plugins.pedalboard import open_vst3
from blackbox_afx.plugins.profile import Identity, load_profile
if sys.argv[2] == "True":
    open_vst3("/usr/lib/vst3/ZamPhono.vst3")
    describe(Identity(format="vst2", file="ZamComp-vst.so"))
    describe(Identity(format="lv2", uri="urn:zamaudio:ZamTube"))
else:
    VST3Plugin("/usr/lib/vst3/ZamPhono.vst3")
print("denormals", float(np.float64(1e-310) * 0.5) != 0.0)
DawDreamerHost().load(load_profile(sys.argv[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(SHIPPED / "faust_compressor"), str(guarded)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert f"denormals {guarded}" in done.stdout
