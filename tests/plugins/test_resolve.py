"""From what a user calls a plugin to a profile that fits what is installed."""

import msgspec
import pytest

from blackbox_afx.errors import PluginError, ProfileError, ShelfError, UsageError
from blackbox_afx.plugins.profile import Profile, dump_profile, load_profile, save_profile
from blackbox_afx.plugins.resolve import check_installed, resolve_plugin
from blackbox_afx.shelf import shipped


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AFX_CACHE", str(tmp_path / "cache"))


def changed(profile: Profile, **identity) -> Profile:
    return msgspec.structs.replace(profile, identity=msgspec.structs.replace(profile.identity, **identity))


@pytest.fixture
def comp() -> Profile:
    return load_profile(shipped() / "plugins" / "zam_comp")


def test_a_built_in():
    profile = resolve_plugin("builtin:Compressor", controls="thresh*, ratio")
    assert len(profile.active) == 2


@pytest.mark.zam
def test_a_shelf_name_a_file_and_a_folder_are_the_same(comp):
    folder = shipped() / "plugins" / "zam_comp"
    for token in ("zam_comp", folder, folder / "profile.toml"):
        assert resolve_plugin(token) == comp


def test_a_folder_of_the_same_name_hides_no_plugin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "channel_strip").mkdir()
    (tmp_path / "nothing").mkdir()
    assert resolve_plugin("channel_strip").name == "channel_strip"
    with pytest.raises(PluginError, match="not a plugin"):
        resolve_plugin("nothing")


@pytest.mark.zam
def test_a_plugin_without_a_profile_is_probed_once():
    told: list[str] = []
    first = resolve_plugin("ZamPhono.vst3", note=told.append)
    assert len(told) == 1
    assert "probing" in told[0]
    again = resolve_plugin("ZamPhono.vst3", controls="auto:1", note=told.append)
    assert len(told) == 1
    assert [c.index for c in first.controls] == [c.index for c in again.controls]
    assert len(again.active) == 1


@pytest.mark.zam
def test_without_leave_to_probe_it_says_what_to_do():
    with pytest.raises(PluginError, match=r"run `afx probe ZamPhono\.vst3` first"):
        resolve_plugin("ZamPhono.vst3", probe_missing=False)


@pytest.mark.zam
def test_auto_takes_the_strongest(comp):
    assert len(resolve_plugin("zam_comp", controls="auto:3").active) == 3


@pytest.mark.parametrize(
    ("token", "error", "words"),
    [
        ("zam_cmp", ShelfError, "did you mean 'zam_comp'"),
        ("/nowhere/profile.toml", ProfileError, "can't be read"),
        ("/etc/hostname", PluginError, "not a plugin"),
        ("gone.vst3", PluginError, "not installed"),
        ("builtin:Compresor", ShelfError, "Compressor"),
        ("http://nowhere/plugin", PluginError, "no installed LV2"),
    ],
)
def test_what_is_not_there_is_one_line(token, error, words):
    with pytest.raises(error, match=words) as caught:
        resolve_plugin(token)
    assert "\n" not in str(caught.value)


@pytest.mark.zam
def test_an_unknown_control_names_close_ones():
    with pytest.raises(UsageError, match="did you mean 'Threshold'"):
        resolve_plugin("zam_comp", controls="Treshold")


@pytest.mark.zam
def test_another_class_table_version_or_build(comp):
    assert check_installed(comp) == []
    other = changed(comp, sha256="0" * 64)
    (warning,) = check_installed(other)
    assert "another build" in warning
    with pytest.raises(ProfileError, match="holds class"):
        check_installed(changed(other, class_id="0" * 32))
    with pytest.raises(ProfileError, match="another parameter table"):
        check_installed(changed(other, table_hash="0" * 16))
    old = changed(other, version="3.0.0")
    with pytest.raises(ProfileError, match=r"is version 4.*is of 3\.0\.0"):
        check_installed(old)
    (warning,) = check_installed(old, allow_version=True)
    assert "may sound different" in warning
    with pytest.raises(PluginError, match="not installed"):
        check_installed(changed(comp, file="Gone.vst3"))


@pytest.mark.zam
def test_another_build_is_probed_again_and_kept(comp, tmp_path):
    told: list[str] = []
    path = save_profile(changed(comp, sha256="0" * 64), tmp_path / "mine.toml")
    profile = resolve_plugin(path, note=told.append)
    assert profile.identity == comp.identity
    assert profile.controls == comp.controls
    assert ["another build" in told[0], "again" in told[1]] == [True, True]
    told.clear()
    assert resolve_plugin(path, note=told.append) == profile
    assert len(told) == 1


@pytest.mark.zam
@pytest.mark.lv2
def test_an_lv2_plugin_of_another_table(comp):
    # Read by its host in a process of its own, since nothing but the host can tell.
    from blackbox_afx.plugins.probe import draft_profile

    draft, _, _ = draft_profile("http://gareus.org/oss/lv2/fil4#mono")
    other = changed(draft, sha256="0" * 64, table_hash="0" * 16)
    with pytest.raises(ProfileError, match="another parameter table"):
        check_installed(other)


@pytest.mark.zam
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "Attack"', 'name = "Atack"', "'Atack', the plugin 'Attack'"),
        ("minimum = -60.0", "minimum = -600.0", "'Threshold': minimum = -600 is outside"),
        ("use = true", "use = false", "no control is left"),
        ("maximum = 100.0", 'maximum = "far"', r"controls\[\d\].maximum = 'far'; expected a number"),
        ("use = true", "used = true", "no field is called 'used'; did you mean 'use'"),
        ('scale = "log"', 'scale = "wide"', "scale = 'wide'; expected one of lin"),
        ("index = 3", "index = 4", "same index"),
    ],
)
def test_a_profile_with_a_slip_of_the_hand(old, new, words, comp, tmp_path):
    from blackbox_afx.plugins.host import host_for

    text = dump_profile(comp)
    assert old in text
    path = tmp_path / "profile.toml"
    path.write_text(text.replace(old, new))

    def load():
        profile = resolve_plugin(path)
        return host_for(profile).load(profile)

    with pytest.raises(ProfileError, match=words) as caught:
        load()
    assert "\n" not in str(caught.value)


@pytest.mark.zam
def test_a_preset_lies_under_what_is_not_controlled(comp, tmp_path):
    import numpy as np

    from blackbox_afx.plugins.host import host_for

    instance = host_for(comp).load(comp)
    audio = np.zeros((1, 4800), np.float32)
    instance.render(audio, comp.space.to_raw(np.full(len(comp.active), 0.3)), 24000)
    preset = tmp_path / "mine.vstpreset"
    preset.write_bytes(instance.state())
    profile = resolve_plugin("zam_comp", preset=preset, controls="Threshold")
    assert profile.base_preset == str(preset)
    # The same render comes out of the preset as out of the values that made it.
    noise = np.random.default_rng(0).standard_normal((1, 4800)).astype(np.float32) * 0.3
    full = instance.render(noise, comp.space.to_raw(np.full(len(comp.active), 0.3)), 24000)
    one = host_for(profile).load(profile)
    assert np.array_equal(one.render(noise, profile.space.to_raw(np.array([0.3])), 24000), full)
