"""Bundle layouts of the three systems, on trees laid out as the format's documentation draws them."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.vst3_bundle import ListedClass, binary_path, bundle_root, listed_classes, process_machine


def lay(bundle: Path, *names: str) -> Path:
    for name in names:
        file = bundle / "Contents" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"binary")
    return bundle


@pytest.mark.parametrize(
    ("system", "machine", "inside"),
    [
        ("Linux", "x86_64", "x86_64-linux/Verb.so"),
        ("Linux", "aarch64", "aarch64-linux/Verb.so"),
        ("Linux", "i686", "i386-linux/Verb.so"),
        ("Darwin", "arm64", "MacOS/Verb"),
        ("Darwin", "x86_64", "MacOS/Verb"),
        ("Windows", "AMD64", "x86_64-win/Verb.vst3"),
        ("Windows", "ARM64", "arm64-win/Verb.vst3"),
        ("Windows", "x86", "x86-win/Verb.vst3"),
    ],
)
def test_each_system_finds_its_own_binary_in_a_bundle_for_all(tmp_path, system, machine, inside):
    bundle = lay(
        tmp_path / "Verb.vst3",
        "x86_64-linux/Verb.so",
        "aarch64-linux/Verb.so",
        "i386-linux/Verb.so",
        "MacOS/Verb",
        "x86_64-win/Verb.vst3",
        "arm64-win/Verb.vst3",
        "x86-win/Verb.vst3",
        "Resources/Verb.png",
    )
    found = binary_path(bundle, system, machine)
    assert found == bundle / "Contents" / inside
    assert bundle_root(found) == bundle


def test_arm_windows_takes_the_double_binary_where_it_is_the_only_one(tmp_path):
    bundle = lay(tmp_path / "Verb.vst3", "arm64x-win/Verb.vst3")
    assert binary_path(bundle, "Windows", "ARM64") == bundle / "Contents/arm64x-win/Verb.vst3"


@pytest.mark.parametrize(
    ("built_for", "wide", "inside"),
    [
        # Intel's Python on Windows for ARM, where platform.machine() says ARM64.
        ("win-amd64", True, "x86_64-win/Verb.vst3"),
        ("win-arm64", True, "arm64-win/Verb.vst3"),
        ("win32", False, "x86-win/Verb.vst3"),
        ("linux-x86_64", True, "x86_64-linux/Verb.so"),
        ("linux-x86_64", False, "i386-linux/Verb.so"),
    ],
)
def test_the_process_counts_and_not_the_machine(tmp_path, monkeypatch, built_for, wide, inside):
    system, machine = ("Windows", "ARM64") if built_for.startswith("win") else ("Linux", "x86_64")
    monkeypatch.setattr("platform.machine", lambda: machine)
    bundle = lay(
        tmp_path / "Verb.vst3",
        "x86_64-linux/Verb.so",
        "i386-linux/Verb.so",
        "x86_64-win/Verb.vst3",
        "arm64-win/Verb.vst3",
        "x86-win/Verb.vst3",
    )
    assert binary_path(bundle, system, process_machine(built_for, wide)) == bundle / "Contents" / inside


def test_names_with_full_stops_and_spaces(tmp_path):
    bundle = lay(tmp_path / "My Verb 2.1.vst3", "x86_64-win/My Verb 2.1.vst3", "MacOS/My Verb 2.1")
    found = binary_path(bundle, "Windows", "AMD64")
    assert found == bundle / "Contents/x86_64-win/My Verb 2.1.vst3"
    assert binary_path(found, "Windows", "AMD64") == found
    assert bundle_root(found) == bundle
    # Without Info.plist the bundle's name counts.
    assert binary_path(bundle, "Darwin", "arm64") == bundle / "Contents/MacOS/My Verb 2.1"


def test_windows_folder_icons_are_not_taken_for_the_binary(tmp_path):
    bundle = lay(tmp_path / "Verb.vst3", "x86_64-win/Verb.vst3", "x86_64-win/Helper.dll")
    for name in ("Plugin.ico", "desktop.ini"):
        (bundle / name).write_bytes(b"")
    assert binary_path(bundle, "Windows", "AMD64") == bundle / "Contents/x86_64-win/Verb.vst3"


def test_macos_names_the_executable_that_is_missing(tmp_path):
    bundle = lay(tmp_path / "Verb.vst3", "MacOS/Verb", "x86_64-win/Verb.vst3")
    (bundle / "Contents/Info.plist").write_bytes(plistlib.dumps({"CFBundleExecutable": "Other"}))
    with pytest.raises(PluginError, match=r"holds no MacOS/Other \(it has MacOS, x86_64-win\)"):
        binary_path(bundle, "Darwin", "arm64")


def test_windows_single_file(tmp_path):
    file = tmp_path / "Verb.vst3"
    file.write_bytes(b"MZ")
    assert binary_path(file, "Windows", "AMD64") == file
    assert bundle_root(file) == file


@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_macos_follows_the_property_list(tmp_path, form):
    bundle = lay(tmp_path / "My Verb.vst3", "MacOS/VerbPlugin", "MacOS/helper")
    plist = plistlib.dumps({"CFBundleExecutable": "VerbPlugin"}, fmt=form)
    (bundle / "Contents/Info.plist").write_bytes(plist)
    assert binary_path(bundle, "Darwin", "arm64") == bundle / "Contents/MacOS/VerbPlugin"


def test_macos_says_that_a_property_list_is_broken(tmp_path):
    bundle = lay(tmp_path / "Verb.vst3", "MacOS/Verb", "Info.plist")
    with pytest.raises(PluginError, match="not a property list"):
        binary_path(bundle, "Darwin", "arm64")


def test_a_renamed_bundle_still_gives_its_binary(tmp_path):
    bundle = lay(tmp_path / "Verb (old).vst3", "x86_64-linux/Verb.so")
    assert binary_path(bundle, "Linux", "x86_64") == bundle / "Contents/x86_64-linux/Verb.so"


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows"])
def test_a_bundle_for_another_system_says_what_it_holds(tmp_path, system):
    bundle = lay(tmp_path / "Verb.vst3", "riscv64-linux/Verb.so", "Resources/Verb.png")
    with pytest.raises(PluginError, match=r"\(it has riscv64-linux\); install the plugin's build for"):
        binary_path(bundle, system, "x86_64")


def test_a_plain_folder_is_no_bundle(tmp_path):
    with pytest.raises(PluginError, match="without Contents"):
        binary_path(tmp_path, "Linux", "x86_64")


MODULE_INFO = """{
  // written by a build step
  "Name": "Pair",
  "Factory Info": { "URL": "https://example.org", },
  "Classes": [
    { "CID": "2046504473616c633251455a00000000", "Category": "Audio Module Class",
      "Name": "EQ, \\"warm\\" // one, ]", "Sub Categories": ["Fx", "EQ",], },
    { "CID": "00000000000000000000000000000001", "Category": "Component Controller Class", "Name": "EQ" },
    /* the twin */
    { "CID": "00000000000000000000000000000002", "Category": "Audio Module Class", "Name": "Wide", }, // last
  ],
}
"""


@pytest.mark.parametrize("place", ["moduleinfo.json", "Resources/moduleinfo.json"])
def test_module_info_lists_the_audio_classes(tmp_path, place):
    bundle = lay(tmp_path / "Pair.vst3", place)
    (bundle / "Contents" / place).write_text(MODULE_INFO)
    assert listed_classes(bundle) == (
        ListedClass(name='EQ, "warm" // one, ]', class_id="2046504473616C633251455A00000000"),
        ListedClass(name="Wide", class_id="0" * 31 + "2"),
    )


def test_no_module_info_is_common(tmp_path):
    assert listed_classes(lay(tmp_path / "Verb.vst3", "x86_64-linux/Verb.so")) == ()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"Classes": [{}]}', '{"Classes": 3}'])
def test_a_broken_module_info_is_named(tmp_path, content):
    bundle = lay(tmp_path / "Verb.vst3", "Resources/moduleinfo.json")
    (bundle / "Contents/Resources/moduleinfo.json").write_text(content)
    with pytest.raises(PluginError, match="not a VST3 module info"):
        listed_classes(bundle)
