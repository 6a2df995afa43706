"""Unique ids of VST2 plugins."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackbox_afx.export.vst2_id import vst2_unique_id


@pytest.mark.zam
def test_the_id_is_the_one_ardours_scanner_reads() -> None:
    """1514492210 spells "ZEQ2" in four letters; Ardour's own scanner writes that number into its cache."""
    number = vst2_unique_id("/usr/lib/vst/ZamEQ2-vst.so")
    assert number == 1514492210
    assert number.to_bytes(4, "big") == b"ZEQ2"


def test_what_is_no_vst2_has_none(tmp_path: Path) -> None:
    """A missing file, a text, a library without the entry point: None, and this process lives on."""
    assert vst2_unique_id(tmp_path / "nowhere.so") is None
    (tmp_path / "text.so").write_text("no library")
    assert vst2_unique_id(tmp_path / "text.so") is None
    import _hashlib

    if _hashlib.__file__:
        assert vst2_unique_id(_hashlib.__file__) is None
