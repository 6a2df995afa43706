"""Sessions: tracks, clips, plugins and their automation; what a transfer makes and every export is written from.

Conventions: times are seconds from the start of the session; lanes carry raw values (the plugin's own 0 to 1) and the
plain ones (in the control's unit) side by side, point by point. Paths are relative to the session file, so that a
folder may be moved as a whole. Plugin states are bytes, base64 in JSON.

The JSON is itself an export: `read_session` gives back what `write_session` was given, so that exporting again needs
no plugin and no render.
"""

from blackbox_afx.session.files import (
    decode_session,
    encode_session,
    move_session,
    read_session,
    relative_path,
    write_session,
)
from blackbox_afx.session.plugins import ControlValue, Lane, Parameter, PluginInstance
from blackbox_afx.session.tracks import Clip, Session, Thinning, Track

__all__ = [
    "Clip",
    "ControlValue",
    "Lane",
    "Parameter",
    "PluginInstance",
    "Session",
    "Thinning",
    "Track",
    "decode_session",
    "encode_session",
    "move_session",
    "read_session",
    "relative_path",
    "write_session",
]
