"""Read the layout of a `.vstpreset`; check that a plugin's state is one, of that plugin.

Conventions: little endian; 48 bytes of header (``VST3``, version, 32 hex digits of class id, offset of the list),
chunks, then ``List``, a count, and for each chunk its four letters, offset and size.

References
----------
Steinberg, VST 3 SDK, ``public.sdk/source/vst/vstpresetfile.h``.
"""

from __future__ import annotations

import struct

from blackbox_afx.errors import UsageError
from blackbox_afx.session import PluginInstance

HEADER = struct.Struct("<4si32sq")
ENTRY = struct.Struct("<4sqq")


def preset_of(plugin: PluginInstance) -> bytes:
    """Give a VST3's state as the `.vstpreset` that it is.

    Raises
    ------
    UsageError
        There is none, or it is none of this plugin.
    """
    if plugin.state is None:
        raise UsageError(f"{plugin.label}: the session lacks its state; run the transfer again")
    class_id, _ = read_preset(plugin.state, plugin.label)
    if plugin.class_id and class_id.upper() != plugin.class_id.upper():
        raise UsageError(
            f"{plugin.label}: its state is of the plugin {class_id}, the session names {plugin.class_id}; run the "
            "transfer again"
        )
    return plugin.state


def read_preset(data: bytes, label: str = "preset") -> tuple[str, dict[str, bytes]]:
    """Take a `.vstpreset` apart.

    Parameters
    ----------
    data : bytes
    label : str
        For messages.

    Returns
    -------
    class_id : str
        32 hex digits.
    chunks : dict of str to bytes
        ``Comp``: the processor's state; ``Cont``: the controller's.

    Raises
    ------
    UsageError
        It is none, or cut short.
    """
    try:
        magic, _, class_id, at = HEADER.unpack_from(data)
        if magic != b"VST3" or data[at : at + 4] != b"List":
            raise ValueError
        (count,) = struct.unpack_from("<i", data, at + 4)
        chunks = {}
        for k in range(count):
            name, offset, size = ENTRY.unpack_from(data, at + 8 + k * ENTRY.size)
            if not 0 <= offset <= offset + size <= len(data):
                raise ValueError
            chunks[name.decode("ascii")] = data[offset : offset + size]
        return class_id.decode("ascii"), chunks
    except (struct.error, ValueError):
        raise UsageError(f"{label}: its state is no .vstpreset, or cut short; run the transfer again") from None
