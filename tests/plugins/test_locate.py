"""Finding plugin files."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.locate import installed, locate, plugin_folders
from blackbox_afx.plugins.scan import find_candidates


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AFX_PLUGIN_PATH", str(tmp_path))
    (tmp_path / "Maker" / "Deep.vst3" / "Contents").mkdir(parents=True)
    (tmp_path / "Maker" / "Deep.vst3" / "Contents" / "Inner.vst3").touch()
    (tmp_path / "Flat.vst3").touch()
    return tmp_path


def test_bare_names_with_and_without_ending(shelf: Path) -> None:
    assert locate("Flat.vst3", "vst3") == shelf / "Flat.vst3"
    assert locate("Deep", "vst3") == shelf / "Maker" / "Deep.vst3"


def test_bundles_are_not_entered(shelf: Path) -> None:
    names = [path.name for path in installed("vst3")]
    assert "Deep.vst3" in names
    assert "Inner.vst3" not in names


def test_makers_folders_may_have_a_version_in_their_names(shelf: Path) -> None:
    (shelf / "Maker v2.1" / "New.vst3" / "Contents").mkdir(parents=True)
    (shelf / "Other.component" / "Contents" / "Within.vst3").mkdir(parents=True)
    names = [path.name for path in installed("vst3")]
    assert "New.vst3" in names
    assert "Within.vst3" not in names


def test_beside_the_profile_first(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    beside = tmp_path_factory.mktemp("profile")
    (beside / "Flat.vst3").touch()
    assert locate("Flat.vst3", "vst3", str(beside)) == beside / "Flat.vst3"
    assert locate(str(shelf / "Flat.vst3"), "vst3", str(beside)) == shelf / "Flat.vst3"


def test_windows_folders_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMONPROGRAMFILES", "/c/Common Files")
    monkeypatch.setenv("LOCALAPPDATA", "/c/me/Local")
    folders = [folder.as_posix() for folder in plugin_folders("vst3", "win32")]
    # The user's before everybody's, as the format's documentation orders them.
    assert folders[-2:] == ["/c/me/Local/Programs/Common/VST3", "/c/Common Files/VST3"]


def test_macos_folders_are_in_the_documented_order() -> None:
    folders = [folder.as_posix() for folder in plugin_folders("vst3", "darwin")]
    ending = "Library/Audio/Plug-Ins/VST3"
    assert folders[-3:] == [f"{Path.home().as_posix()}/{ending}", f"/{ending}", f"/Network/{ending}"]


def test_missing_says_where_and_what_to_do(shelf: Path) -> None:
    with pytest.raises(PluginError, match=rf"Flit.vst3 is not installed: searched {shelf}.*install it or give"):
        locate("Flit.vst3", "vst3")
    with pytest.raises(PluginError, match=r"/nowhere/x.vst3 is not installed"):
        locate("/nowhere/x.vst3", "vst3")


@pytest.mark.parametrize(
    ("platform", "format", "part"),
    [
        ("linux", "vst3", "/usr/lib/vst3"),
        ("linux", "lv2", ".lv2"),
        ("darwin", "vst2", "Library/Audio/Plug-Ins/VST"),
        ("win32", "vst3", "VST3"),
    ],
)
def test_system_folders(platform: str, format: str, part: str) -> None:
    assert any(part in str(folder) for folder in plugin_folders(format, platform))


@pytest.mark.parametrize("walk", ["installed", "scan"])
def test_links_that_lead_back_are_not_followed_for_ever(tmp_path, monkeypatch, walk):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "X.vst3").mkdir()
    for name in ("one", "two"):
        try:
            (tmp_path / "a" / name).symlink_to(tmp_path, target_is_directory=True)
        except OSError:
            pytest.skip("this system makes no links")
    monkeypatch.setenv("AFX_PLUGIN_PATH", str(tmp_path))
    if walk == "scan":
        assert [Path(entry.path).name for entry in find_candidates([tmp_path])] == ["X.vst3"]
    else:
        assert "X.vst3" in [path.name for path in installed("vst3")]
