"""Scanning folders that hold good and broken plugins."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from broken_plugins import compile_plugin

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.scan import find_candidates, scan


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("AFX_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path) -> Path:
    for kind in ("crash", "leave", "empty"):
        compile_plugin(tmp_path, kind)
    deeper = tmp_path / "deeper" / "down"
    deeper.mkdir(parents=True)
    compile_plugin(deeper, "segv", ".so")
    (tmp_path / "text.vst3").write_text("no plugin")
    (tmp_path / "readme.txt").write_text("not looked at")
    return tmp_path


@pytest.mark.zam
def test_good_ones_are_not_harmed_by_broken_ones(folder, monkeypatch):
    (folder / "ZamComp.vst3").symlink_to("/usr/lib/vst3/ZamComp.vst3")
    (folder / "ZamCompX2.vst3").symlink_to("/usr/lib/vst3/ZamCompX2.vst3")
    told = []
    rows = scan([folder], jobs=2, timeout_s=120, on_row=lambda done, total, row: told.append((done, total)))
    found = {Path(row.path).name: row for row in rows}
    assert {name: row.status for name, row in found.items()} == {
        "ZamComp.vst3": "ok",
        "ZamCompX2.vst3": "ok",
        "crash.vst3": "crashes",
        "leave.vst3": "crashes",
        "empty.vst3": "refuses",
        "text.vst3": "refuses",
        "segv.so": "crashes",
    }
    assert found["ZamComp.vst3"].channels == (1,)
    assert found["ZamCompX2.vst3"].channels == (2,)
    assert "SIGABRT" in found["crash.vst3"].reason
    assert "SIGSEGV" in found["segv.so"].reason
    assert told[-1] == (7, 7)

    # What was remembered is not loaded again.
    monkeypatch.setattr("blackbox_afx.plugins.scan.run_child", None)
    assert scan([folder], timeout_s=120) == rows


def test_a_plugin_that_hangs(tmp_path):
    compile_plugin(tmp_path, "hang")
    assert [row.status for row in scan([tmp_path], timeout_s=1)] == ["hangs"]


def test_a_changed_file_is_tried_again(tmp_path):
    path = tmp_path / "crash.vst3"
    path.write_text("no plugin")
    assert [row.status for row in scan([tmp_path])] == ["refuses"]
    path.unlink()
    compile_plugin(tmp_path, "crash")
    assert [row.status for row in scan([tmp_path])] == ["crashes"]


def test_a_folder_without_plugins(tmp_path):
    assert scan([tmp_path]) == []


def test_what_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        scan([tmp_path / "gone"])
    with pytest.raises(UsageError, match="at least 1"):
        scan([tmp_path], jobs=0)


@pytest.mark.lv2
def test_each_plugin_of_an_lv2_bundle_is_a_candidate():
    found = find_candidates(["/usr/lib/lv2/fil4.lv2"])
    assert [candidate.uri.partition("#")[2] for candidate in found] == ["mono", "stereo"]


@pytest.mark.zam
def test_the_systems_folders_are_searched():
    formats = {candidate.format for candidate in find_candidates()}
    assert formats == {"vst3", "vst2", "lv2"}
