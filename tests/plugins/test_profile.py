"""Profiles on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from blackbox_afx import shelf
from blackbox_afx.errors import OutputError, ProfileError
from blackbox_afx.plugins.builtins import COMPOSITES, EFFECTS, builtin_profile
from blackbox_afx.plugins.profile import check_profile, load_profile, save_profile

SHIPPED = sorted((shelf.shipped() / "plugins").glob("*/profile.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_profiles_load(path: Path) -> None:
    profile = load_profile(path)
    assert profile.name == path.parent.name
    assert profile.folder == str(path.parent.resolve())
    if profile.identity.format == "faust":
        assert (path.parent / profile.identity.file).is_file()


@pytest.mark.parametrize("name", [*EFFECTS, *COMPOSITES])
def test_profiles_go_round(name: str, tmp_path: Path) -> None:
    profile = builtin_profile(name)
    again = load_profile(save_profile(profile, tmp_path / "p"))
    assert msgspec.structs.replace(again, folder="") == profile
    assert again.fingerprint() == profile.fingerprint()


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    save_profile(builtin_profile("Gain"), tmp_path)
    with pytest.raises(OutputError, match="exists"):
        save_profile(builtin_profile("Gain"), tmp_path)
    save_profile(builtin_profile("Limiter"), tmp_path, force=True)
    assert load_profile(tmp_path).label == "Limiter"


def test_fingerprint_minds_what_sounds() -> None:
    profile = builtin_profile("Gain")
    assert msgspec.structs.replace(profile, notes="x", cost_ms=9.0).fingerprint() == profile.fingerprint()
    assert msgspec.structs.replace(profile, block_size=64).fingerprint() != profile.fingerprint()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 3", "name"),
        ('name = "x"\n[identity]\nformat = "vst4"', "vst4"),
        ('name = "x"\ntypo = 1\n[identity]\nformat = "vst3"', "typo"),
        ('name = "x"\n[identity]\nformat = "vst3"', "no control is left"),
        ("name = ", "profile.toml"),
    ],
)
def test_broken_files_name_the_place(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "profile.toml").write_text(text)
    with pytest.raises(ProfileError, match=message):
        load_profile(tmp_path)


def test_impossible_profiles() -> None:
    profile = builtin_profile("Compressor")
    for changes, message in (
        ({"block_size": 9000}, "block_size"),
        ({"channels": 3}, "channels"),
        ({"controls": (profile.controls[0], profile.controls[0])}, "same index"),
    ):
        with pytest.raises(ProfileError, match=message):
            check_profile(msgspec.structs.replace(profile, **changes))
