"""Read what Faust sources say of their sliders and DawDreamer does not pass on: units and scales."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blackbox_afx.errors import PluginError

_SLIDER = re.compile(r'\b(?:hslider|vslider|nentry|checkbox|button)\s*\(\s*"([^"]*)"')
_METADATA = re.compile(r"\[\s*(\w+)\s*:\s*([^\]]*?)\s*\]")


@contextmanager
def standard_floats() -> Iterator[None]:
    """Give the C library's default floating-point environment to what runs inside, and the old one back after it.

    pedalboard leaves the thread that loaded a plugin with denormals flushed to zero; Faust's compiler then ends the
    process on an assertion of its interval arithmetic. Does nothing outside Linux.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    library = ctypes.CDLL("libm.so.6")
    kept = ctypes.create_string_buffer(256)  # fenv_t has 32 bytes on x86-64, 8 on aarch64
    library.fegetenv(kept)
    library.fesetenv(ctypes.c_void_p(-1))  # glibc's FE_DFL_ENV
    try:
        yield
    finally:
        library.fesetenv(kept)


def read_source(path: Path) -> str:
    """Read a ``.dsp`` file.

    Raises
    ------
    PluginError
        It can't be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{path} can't be read as Faust source ({error}); give a text file ending in .dsp") from None


def slider_metadata(source: str) -> dict[str, dict[str, str]]:
    """Map each slider's label, without its metadata, to the metadata in square brackets.

    Parameters
    ----------
    source : str
        Faust code; labels made by macros (``%i``) are not followed.

    Examples
    --------
    >>> slider_metadata('hslider("Gain [unit:dB]", 0, -24, 24, 0.1)')
    {'Gain': {'unit': 'dB'}}
    """
    found = {}
    for label in _SLIDER.findall(source):
        plain = " ".join(_METADATA.sub("", label).split())
        found[plain] = dict(_METADATA.findall(label))
    return found
