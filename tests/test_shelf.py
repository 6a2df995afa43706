"""The shelf: the order of places, what an unknown name is told, copying, the two layouts, the demo clips."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import blackbox_afx
from blackbox_afx import shelf
from blackbox_afx.errors import OutputError, ShelfError, UsageError


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shelf of one's own with two plugins, a recipe, and a recipe that a controller came out of."""
    root = tmp_path / "shelf"
    for path in (
        "plugins/warm/profile.toml",
        "plugins/bright/profile.toml",
        "train/a/recipe.toml",
        "train/b/recipe.toml",
    ):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text("name = 'x'\n")
    (root / "train/b/weights.safetensors").write_bytes(b"weights")
    (root / "plugins/empty").mkdir()
    monkeypatch.setenv("AFX_SHELF", str(root))
    return root


def test_finds_by_name(own: Path) -> None:
    assert shelf.find("plugins", "warm") == own / "plugins/warm/profile.toml"
    assert shelf.find("train", "b") == own / "train/b/recipe.toml"
    assert shelf.find("controllers", "b") == own / "train/b/weights.safetensors"


def test_lists_by_name_with_origin(own: Path) -> None:
    mine = [item.name for item in shelf.items("plugins") if item.origin == "AFX_SHELF"]
    assert mine == ["bright", "warm"]
    assert [item.name for item in shelf.items("controllers") if item.origin == "AFX_SHELF"] == ["b"]


def test_path_comes_before_name(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "warm").mkdir()
    assert shelf.find("plugins", "warm") == own / "plugins/warm/profile.toml", "a folder without a profile is no path"
    (tmp_path / "warm/profile.toml").write_text("")
    assert shelf.find("plugins", "warm") == Path("warm/profile.toml")
    assert shelf.find("plugins", tmp_path / "warm") == tmp_path / "warm/profile.toml"
    assert shelf.find("plugins", str(tmp_path / "warm/profile.toml")) == tmp_path / "warm/profile.toml"


def test_earlier_shelf_hides_later(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tmp_path / "first/plugins/warm"
    first.mkdir(parents=True)
    (first / "profile.toml").write_text("")
    monkeypatch.setenv("AFX_SHELF", os.pathsep.join([str(tmp_path / "first"), str(own)]))
    assert shelf.find("plugins", "warm") == first / "profile.toml"
    assert shelf.find("plugins", "bright") == own / "plugins/bright/profile.toml"


def test_unknown_name_is_told_what_is_close(own: Path) -> None:
    with pytest.raises(ShelfError, match=r"no plugin profile is called 'warn'; did you mean 'warm'\?") as caught:
        shelf.find("plugins", "warn")
    assert caught.value.exit_status == 2
    with pytest.raises(ShelfError, match=r"no recipe is called 'zzzz'; known: .*a, .*b"):
        shelf.find("train", "zzzz")


@pytest.mark.parametrize("text", ["nowhere/profile.toml", "profile.toml", "./warm", "~/nowhere-at-all"])
def test_missing_path_is_told_as_a_path(own: Path, text: str) -> None:
    with pytest.raises(ShelfError, match="no such file or folder"):
        shelf.find("plugins", text)


def test_folder_without_its_file(own: Path) -> None:
    with pytest.raises(ShelfError, match=r"a folder without profile\.toml"):
        shelf.find("plugins", own / "plugins/empty")


def test_unknown_kind() -> None:
    with pytest.raises(UsageError, match="no kind 'plugin'; did you mean 'plugins'"):
        shelf.items("plugin")


def test_entry_point_of_an_installed_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real distribution on sys.path with a package that holds a shelf; a broken one warns, no more."""
    package = tmp_path / "vintage_shelf"
    (package / "plugins/vintage").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "plugins/vintage/profile.toml").write_text("")
    info = tmp_path / "vintage_shelf-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vintage-shelf\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[blackbox_afx.shelf]\nvintage = vintage_shelf\nbroken = no_such_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(UserWarning, match="the shelf 'broken'"):
        assert shelf.find("plugins", "vintage") == package / "plugins/vintage/profile.toml"


def test_copy(own: Path, tmp_path: Path) -> None:
    new = shelf.copy("plugins", "warm", tmp_path / "mine")
    assert new == tmp_path / "mine"
    assert (new / "profile.toml").read_text() == "name = 'x'\n"
    (tmp_path / "folder").mkdir()
    assert shelf.copy("plugins", "warm", tmp_path / "folder") == tmp_path / "folder/warm"
    assert shelf.copy("plugins", "warm", f"{tmp_path}/new/") == tmp_path / "new/warm"
    (tmp_path / "notes.txt").write_text("no profile")
    with pytest.raises(ShelfError, match=r"notes\.txt: expected a plugin profile's profile\.toml"):
        shelf.copy("plugins", tmp_path / "notes.txt", tmp_path / "out")


def test_copy_overwrites_only_with_force(own: Path, tmp_path: Path) -> None:
    new = shelf.copy("plugins", "warm", tmp_path / "mine" / "warm")
    (new / "profile.toml").write_text("edited")
    (new / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="--force"):
        shelf.copy("plugins", "warm", tmp_path / "mine")
    assert (new / "profile.toml").read_text() == "edited"
    shelf.copy("plugins", "warm", tmp_path / "mine", force=True)
    assert (new / "profile.toml").read_text() == "name = 'x'\n"
    assert not (new / "notes.txt").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["warm"], "nothing half-made is left"


def test_copy_never_onto_itself(own: Path) -> None:
    with pytest.raises(OutputError, match="onto or into itself"):
        shelf.copy("plugins", "warm", own / "plugins", force=True)
    assert (own / "plugins/warm/profile.toml").exists()


def test_stranger_folders_beside_an_installed_package_are_not_ours(tmp_path: Path) -> None:
    """In site-packages a `plugins` beside the package may be anyone's; ours is inside, under `_shipped`."""
    site = tmp_path / "site"
    source = Path(blackbox_afx.__file__).parent
    (site / "blackbox_afx").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "shelf.py"):
        shutil.copy(source / name, site / "blackbox_afx")
    for path in ("plugins/theirs/profile.toml", "blackbox_afx/_shipped/plugins/ours/profile.toml"):
        (site / path).parent.mkdir(parents=True)
        (site / path).write_text("")
    (site / "pyproject.toml").write_text('[project]\nname = "something-else"\n')
    code = "from blackbox_afx import shelf; print([item.name for item in shelf.items('plugins')])"
    code = f"import sys; sys.path.insert(0, {str(site)!r}); {code}"
    shown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "['ours']"


def test_demo_clips_are_as_their_manifest_says(demo_audio: Path) -> None:
    """All CC0, nobody in two splits, every file listed, two segments long, at the promised rate."""
    with open(demo_audio / "MANIFEST.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["license"] for row in rows} == {"CC0-1.0"}
    files = {path.relative_to(demo_audio).as_posix() for path in demo_audio.rglob("*.flac")}
    assert {row["path"] for row in rows} == {name for name in files if not name.startswith("reference/")}
    readme = (demo_audio / "README.md").read_text(encoding="utf-8")
    for made in (name for name in files if name.startswith("reference/")):
        assert Path(made).name in readme, f"{made} is neither in the manifest nor explained"
    speech = [row for row in rows if row["type"] == "speech"]
    assert len({row["speaker_or_artist"] for row in speech}) == len(speech)
    assert {split: sum(row["split"] == split for row in speech) for split in ("train", "val", "test")} == {
        "train": 10,
        "val": 2,
        "test": 4,
    }
    for row in rows:
        info = soundfile.info(demo_audio / row["path"])
        wanted = (24000, 1) if row["type"] == "speech" else (44100, 2)
        assert (info.samplerate, info.channels) == wanted, row["path"]
        assert info.frames >= 2 * 65536, row["path"]
        assert info.duration <= 6.0, row["path"]
