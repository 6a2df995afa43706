"""Read what Faust sources say of their sliders and DawDreamer does not pass on: units and scales."""

from __future__ import annotations

import re
from pathlib import Path

from blackbox_afx.errors import PluginError

_SLIDER = re.compile(r'\b(?:hslider|vslider|nentry|checkbox|button)\s*\(\s*"([^"]*)"')
_METADATA = re.compile(r"\[\s*(\w+)\s*:\s*([^\]]*?)\s*\]")


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
