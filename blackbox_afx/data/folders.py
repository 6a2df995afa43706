"""Find the recordings in a folder: from its MANIFEST.csv, or from the files themselves.

Conventions: `learn` reads the splits train and val, `benchmark` reads test. A manifest's `split` is honoured.
Without one, learning holds out a tenth, by top sub-folder (a speaker, an artist) where there are five or more and
by file otherwise; benchmarks read all. A single recording is cut: its last tenth is for validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from blackbox_afx.audio import AudioInfo, info, list_audio
from blackbox_afx.data.manifest import canonical_split, read_manifest, select, speaker_of
from blackbox_afx.data.splits import group_of, hold_out
from blackbox_afx.errors import AudioError, UsageError

PURPOSES = ("learn", "benchmark")


class Recording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a collection, or a stretch of it."""

    path: Path
    split: str
    """train, val or test"""
    speaker: str
    """Who is heard, or the artist; the sub-folder's or the file's name where nobody says."""
    duration: float
    """Seconds, of the stretch."""
    sample_rate: int
    """Hz"""
    channels: int
    type: str = ""
    """The manifest's `type`: speech, music, ..."""
    source: str = ""
    """The manifest's `source`: which corpus."""
    start: float = 0.0
    """Where the stretch begins in the file, seconds."""


class Skipped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that was left out."""

    path: Path
    reason: str


class Collection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The usable recordings of a folder, and what was left out of it."""

    folder: Path
    recordings: tuple[Recording, ...]
    skipped: tuple[Skipped, ...] = ()

    def in_split(self, split: str) -> tuple[Recording, ...]:
        """Return the recordings of one split."""
        return tuple(recording for recording in self.recordings if recording.split == split)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits there are, sorted."""
        return tuple(sorted({recording.split for recording in self.recordings}))

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who is heard, sorted."""
        return tuple(sorted({recording.speaker for recording in self.recordings}))

    @property
    def minutes(self) -> float:
        """Length of all recordings together."""
        return sum(recording.duration for recording in self.recordings) / 60.0

    def describe(self) -> str:
        """Say in one line what was found and what was left out."""
        text = f"{len(self.recordings)} recordings, {self.minutes:.1f} min, {len(self.speakers)} speakers or artists"
        if self.skipped:
            names = ", ".join(item.path.name for item in self.skipped[:5])
            more = f" and {len(self.skipped) - 5} more" if len(self.skipped) > 5 else ""
            text += f"; {len(self.skipped)} left out as unreadable: {names}{more}"
        return text


def find_audio(folder: str | Path, *, where: str | None = None, purpose: str = "learn", seed: int = 0) -> Collection:
    """Find the usable recordings in a folder and tell their splits.

    Parameters
    ----------
    folder : str or Path
        With a MANIFEST.csv, the files that it lists; otherwise all audio files in it and its sub-folders.
    where : str, optional
        Keep the recordings whose manifest columns have these values, such as ``type=speech,source=a|b``.
    purpose : {"learn", "benchmark"}
        How to split what no manifest splits.
    seed : int
        Chooses what is held out.

    Returns
    -------
    Collection
        Recordings in a fixed order. Files that can't be read are named in `skipped`.

    Raises
    ------
    AudioError
        For no such folder, no audio in it, only unreadable files, or a manifest that can't be used.
    UsageError
        For a filter without a manifest, on an unknown column, or that leaves nothing.
    """
    if purpose not in PURPOSES:
        raise UsageError(f"purpose '{purpose}'; expected one of {', '.join(PURPOSES)}")
    folder = Path(folder)
    rows = read_manifest(folder)
    if rows is None:
        if where:
            # A wrong folder is the likelier mistake, so it is looked at first.
            list_audio(folder)
            raise UsageError(
                f"{folder} has no MANIFEST.csv, so '{where}' filters on nothing; leave the filter out, or add one"
            )
        rows = _rows_from_files(folder)
    elif where:
        rows = select(rows, where, folder)
    found: list[tuple[Mapping[str, str], AudioInfo]] = []
    skipped: list[Skipped] = []
    for row in rows:
        path = folder / row["path"].replace("\\", "/")
        try:
            about = info(path)
            if about.frames == 0:
                raise AudioError(f"{path} holds no samples")
        except AudioError as error:
            skipped.append(Skipped(path=path, reason=str(error)))
        else:
            found.append((row, about))
    if not found:
        raise AudioError(
            f"{folder}: none of its {len(skipped)} files can be read; expected WAV, AIFF, FLAC, OGG or MP3; "
            f"the first: {skipped[0].reason}"
        )
    splits = _splits([row for row, _ in found], purpose, seed)
    recordings = [_recording(row, about, split) for (row, about), split in zip(found, splits, strict=True)]
    if purpose == "learn" and len(recordings) == 1 and not found[0][0].get("split"):
        recordings = _cut(recordings[0])
    return Collection(folder=folder, recordings=tuple(recordings), skipped=tuple(skipped))


def _rows_from_files(folder: Path) -> list[dict[str, str]]:
    """Make manifest rows from the files: sub-folders named train, val or test are splits, others are speakers."""
    paths = [path.relative_to(folder) for path in list_audio(folder)]
    tops = {canonical_split(path.parts[0]) for path in paths}
    by_split = len(tops) > 1 and tops <= {"train", "val", "test"}
    rows = []
    for path in paths:
        row = {"path": path.as_posix()}
        parts = path.parts
        if by_split:
            row["split"], parts = canonical_split(parts[0]), parts[1:]
        row["speaker"] = parts[0] if len(parts) > 1 else path.stem
        rows.append(row)
    return rows


def _splits(rows: list[Mapping[str, str]], purpose: str, seed: int) -> list[str]:
    """Return the split of each row; rows without one are dealt out."""
    given = [canonical_split(row.get("split", "")) for row in rows]
    open_rows = [row["path"].replace("\\", "/") for row, split in zip(rows, given, strict=True) if not split]
    if purpose == "benchmark":
        return [split or "test" for split in given]
    tops = {path.partition("/")[0] for path in open_rows if "/" in path}
    groups = [group_of(path, len(tops)) for path in open_rows]
    if "val" in given or not groups:
        held: set[str] = set()
    else:
        held = hold_out(groups, seed)
    dealt = iter(["val" if group in held else "train" for group in groups])
    return [split or next(dealt) for split in given]


def _recording(row: Mapping[str, str], about: AudioInfo, split: str) -> Recording:
    return Recording(
        path=about.path,
        split=split,
        speaker=speaker_of(row) or about.path.stem,
        duration=about.duration,
        sample_rate=about.sample_rate,
        channels=about.channels,
        type=row.get("type", ""),
        source=row.get("source", ""),
    )


def _cut(recording: Recording) -> list[Recording]:
    """Cut one recording in time, nine to one."""
    at = 0.9 * recording.duration
    return [
        msgspec.structs.replace(recording, split="train", duration=at),
        msgspec.structs.replace(recording, split="val", start=at, duration=recording.duration - at),
    ]
