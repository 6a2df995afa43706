"""Byte order of ids, struct sizes and text fields."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.plugins import vst3_com as com


@given(data=st.binary(min_size=16, max_size=16), windows=st.booleans())
def test_an_id_comes_back_from_its_text(data, windows):
    shown = com.guid_hex(data, windows)
    assert com.guid_bytes(shown, windows) == data
    assert len(shown) == 32
    assert shown == shown.upper()


def test_windows_order_swaps_the_first_three_fields():
    """A GUID in COM memory, and IEditController's id in the plain order of the other systems."""
    assert com.guid_bytes("00112233-4455-6677-8899-AABBCCDDEEFF", True).hex() == "33221100554477668899aabbccddeeff"
    assert com.guid_bytes(com.EDIT_CONTROLLER, False).hex() == "dcd7bbe37742448da874aacc979c759e"


def test_ids_on_windows_lie_as_the_kits_macro_lays_them_out():
    """INLINE_UID of the public interface, for COM-compatible builds, on IComponent's four words."""
    words = (0xE831FF31, 0xF2D54301, 0x928EBBEE, 0x25697802)
    order = [(0, 0), (0, 8), (0, 16), (0, 24), (1, 16), (1, 24), (1, 0), (1, 8)]
    order += [(word, shift) for word in (2, 3) for shift in (24, 16, 8, 0)]
    assert com.guid_bytes(com.COMPONENT, True) == bytes(words[word] >> shift & 0xFF for word, shift in order)
    assert com.guid_hex(com.guid_bytes(com.COMPONENT, True), True) == "".join(f"{word:08X}" for word in words)


def test_structs_have_the_sizes_of_the_public_interface():
    assert ctypes.sizeof(com.ParameterInfo) == 792
    assert ctypes.sizeof(com.ClassInfo) == 116
    assert ctypes.sizeof(com.ClassInfo2) == 440
    assert ctypes.sizeof(com.ClassInfoUnicode) == 696


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=60))
def test_utf16_fields_end_at_their_first_nul(value):
    encoded = value.encode("utf-16-le")
    buffer = com.String128.from_buffer_copy(encoded + b"\0\0" + b"x" * (254 - len(encoded)))
    assert com.text(buffer) == value


@pytest.mark.parametrize("units", [[0xD800, 0], [0x41] * 128])
def test_broken_utf16_does_not_raise(units):
    assert com.text(com.String128(*units))
