"""Presets that lie under what is not controlled: whether a file is one, and of this plugin.

JUCE, which both hosts are made with, takes any bytes for a state and leaves what it can't read aside in silence.

References
----------
Steinberg, VST 3 SDK, ``public.sdk/source/vst/vstpresetfile.h``.
"""

from __future__ import annotations

import struct
from pathlib import Path

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.profile import Profile

_HEADER = struct.Struct("<4si32sq")
"""Of a `.vstpreset`: magic, version, class id, offset of its list."""
_EXPECTED = {
    "vst3": "a .vstpreset, or a state that pedalboard saved (raw_state)",
    "vst2": "an .fxp or .fxb, or a state that DawDreamer saved",
}


def check_preset(profile: Profile, path: str | Path) -> bytes:
    """Read a preset of a plugin.

    Parameters
    ----------
    profile : Profile
        Of the plugin.
    path : path

    Returns
    -------
    bytes

    Raises
    ------
    PluginError
        It can't be read, is no preset, is cut short, or is one of another plugin; or the plugin's format has none.
    """
    label, format = profile.label, profile.identity.format
    if format not in _EXPECTED:
        raise PluginError(
            f"{path}: a preset for {label}, but {format} plugins take none here; leave it out, and give controls that "
            "are not used a value in the profile"
        )
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise PluginError(f"{path}: can't be read ({error.strerror}); expected a preset of {label}") from None
    if format == "vst2" and content[:4] == b"CcnK":
        return content
    if format == "vst3" and content[:4] == b"VST3":
        _check_vstpreset(content, profile, path)
        return content
    if format == "vst3" and content[:4] == b"VC2!" and b"<VST3PluginState" in content:
        return content
    raise PluginError(f"{path}: not a preset of {label}; expected {_EXPECTED[format]}; save it again from the plugin")


def _check_vstpreset(content: bytes, profile: Profile, path: str | Path) -> None:
    again = "save it again from the plugin"
    found, at = b"", -1
    if len(content) >= _HEADER.size:
        _, _, found, at = _HEADER.unpack_from(content)
    if at < 0 or content[at : at + 4] != b"List":
        raise PluginError(f"{path}: a .vstpreset that is cut short; expected a whole one of {profile.label}; {again}")
    class_id, wanted = found.decode("ascii", "replace"), profile.identity.class_id
    if wanted and class_id.upper() != wanted.upper():
        raise PluginError(
            f"{path}: a preset of the plugin {class_id}; expected one of {profile.label} ({wanted}); {again}"
        )
