"""Tell whether a WAV or AIFF holds all the sound that its header promises; a copy that broke off does not.

libsndfile corrects the length in silence and reads what is there.
"""

from __future__ import annotations

import struct
from pathlib import Path

from blackbox_afx.audio.read import info

LEAST_S = 0.05
"""A shorter lack is a header that counts its padding, not an end that went missing."""
UNKNOWN = (range(0x7FFFF000, 0x80001000), range(0xFFFFF000, 1 << 32))
"""Lengths that programs write into a stream whose end they don't know yet."""
_CHUNKS = 1000


def cut_short(path: str | Path) -> str:
    """Say how much of a recording is there, where its header promises more.

    Parameters
    ----------
    path : str or Path
        An audio file.

    Returns
    -------
    str
        Such as "its header promises 3.00 s, 1.80 s are there: the file was cut short"; empty where it is whole, or
        has no length to compare with.

    Raises
    ------
    AudioError
        As `info`.
    """
    about = info(path)
    try:
        found = _data_bytes(Path(path))
    except (OSError, struct.error):
        return ""
    if found is None or not about.frames:
        return ""
    there, promised = found
    # The share of bytes is that of samples, whatever the sample format.
    wanted_s = about.duration * promised / there
    if wanted_s - about.duration < LEAST_S:
        return ""
    return f"its header promises {wanted_s:.2f} s, {about.duration:.2f} s are there: the file was cut short"


def _data_bytes(path: Path) -> tuple[int, int] | None:
    """Give the bytes of samples that are there, and those that the header promises; None where it promises none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        kind, _, form = struct.unpack("4s4s4s", file.read(12))
        if (kind, form) not in ((b"RIFF", b"WAVE"), (b"RIFX", b"WAVE"), (b"RF64", b"WAVE"), (b"BW64", b"WAVE")) and (
            kind != b"FORM" or form not in (b"AIFF", b"AIFC")
        ):
            return None
        order = ">" if kind in (b"RIFX", b"FORM") else "<"
        long_size = 0
        for _ in range(_CHUNKS):
            name, length = struct.unpack(f"{order}4sI", file.read(8))
            begin = file.tell()
            if name == b"ds64":
                long_size = struct.unpack("<Q", file.read(16)[8:])[0]
            if name in (b"data", b"SSND"):
                if kind in (b"RF64", b"BW64") and length == 0xFFFFFFFF:
                    length = long_size
                elif any(length in lengths for lengths in UNKNOWN):
                    return None
                there = min(length, size - begin)
                return (there, length) if there > 0 else None
            # Chunks begin at even places.
            file.seek(begin + length + length % 2)
    return None
