"""Read a VST2's unique id, by which Ardour finds it, from the binary in a throw-away process.

References
----------
Steinberg, VST 2.4 SDK, ``aeffect.h``: the entry point and the layout of ``AEffect``, which hosts have in common.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CHILD = """
import ctypes, os, sys

class AEffect(ctypes.Structure):
    _fields_ = [
        ("magic", ctypes.c_int32), ("dispatcher", ctypes.c_void_p), ("process", ctypes.c_void_p),
        ("set_parameter", ctypes.c_void_p), ("get_parameter", ctypes.c_void_p), ("programs", ctypes.c_int32),
        ("parameters", ctypes.c_int32), ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32),
        ("flags", ctypes.c_int32), ("reserved", ctypes.c_void_p * 2), ("delay", ctypes.c_int32),
        ("unused", ctypes.c_int32 * 2), ("ratio", ctypes.c_float), ("object", ctypes.c_void_p),
        ("user", ctypes.c_void_p), ("unique_id", ctypes.c_int32), ("version", ctypes.c_int32),
    ]

CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_float
)
# audioMasterVersion: 2400; anything else a host may leave unanswered.
callback = CALLBACK(lambda effect, code, index, value, pointer, option: 2400 if code == 1 else 0)
library = ctypes.CDLL(sys.argv[1])
entry = getattr(library, "VSTPluginMain", None) or library.main
entry.restype = ctypes.POINTER(AEffect)
effect = entry(callback)
if effect and effect[0].magic == 0x56737450:
    print("unique id", effect[0].unique_id, flush=True)
os._exit(0)
"""


def vst2_unique_id(path: Path | str, *, timeout_s: float = 10.0) -> int | None:
    """Read the unique id of a VST2.

    Parameters
    ----------
    path : path
        The shared library.
    timeout_s : float

    Returns
    -------
    int or None
        None where it is no VST2 for this machine, crashed or did not answer in time.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(path)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return None
    for line in done.stdout.splitlines():
        if line.startswith("unique id "):
            return int(line.removeprefix("unique id "))
    return None
