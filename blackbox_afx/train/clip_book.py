"""The working set on disk, so that workers map it instead of being sent it."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import numpy as np

from blackbox_afx.data.segments import Clip, ClipSet


def write_clip_book(path: str | os.PathLike[str], clips: ClipSet) -> None:
    """Write clips as one ``.npy`` of samples and a ``.json`` that says which are whose.

    Parameters
    ----------
    path : path
        Without suffix.
    clips : ClipSet
    """
    path = Path(path)
    index = {
        "sample_rate": clips.sample_rate,
        "clips": [
            {"samples": len(c.audio), "speaker": c.speaker, "path": str(c.path), "start": c.start} for c in clips.clips
        ],
    }
    beside = path.with_suffix(".npy.part")
    with open(beside, "wb") as file:
        np.save(file, np.concatenate([clip.audio for clip in clips.clips]))
    os.replace(beside, path.with_suffix(".npy"))
    beside = path.with_suffix(".json.part")
    beside.write_text(json.dumps(index))
    os.replace(beside, path.with_suffix(".json"))


def read_clip_book(path: str) -> ClipSet:
    """Map a clip book into memory; one copy a process."""
    # A later run in this process may have written another book at the same place.
    about = os.stat(Path(path).with_suffix(".npy"))
    return _read(path, (about.st_ino, about.st_size, about.st_mtime_ns))


@functools.lru_cache(maxsize=4)
def _read(path: str, version: tuple[int, ...]) -> ClipSet:
    index = json.loads(Path(path).with_suffix(".json").read_text())
    samples = np.load(Path(path).with_suffix(".npy"), mmap_mode="r")
    clips, at = [], 0
    for row in index["clips"]:
        audio = samples[at : at + row["samples"]]
        clips.append(Clip(audio=audio, speaker=row["speaker"], path=Path(row["path"]), start=row["start"]))
        at += row["samples"]
    return ClipSet(clips=tuple(clips), sample_rate=index["sample_rate"])
