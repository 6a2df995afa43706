"""Find the recordings in a folder: from its MANIFEST.csv, from a corpus's layout, or from the files themselves.

Conventions: `learn` reads the splits train and val, `benchmark` reads test. A manifest's `split` is honoured, and so
is a corpus's own; what a corpus lacks is held out by speaker or artist. In any other folder learning holds out a
tenth, by top sub-folder (a speaker, an artist) where there are five or more and by file otherwise, and benchmarks read
all, whichever split they ask for. A single recording is cut: its last tenth is for validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from blackbox_afx.audio import AudioInfo, list_audio
from blackbox_afx.data.corpora import LAYOUTS, Layout, corpus_rows, recognise, split_forced, where_to_get
from blackbox_afx.data.headers import read_headers
from blackbox_afx.data.manifest import canonical_split, parse_where, read_manifest, select, speaker_of
from blackbox_afx.data.splits import deal_speakers, group_of, hold_out
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
    layout: str = ""
    """Name of the corpus whose layout it is."""
    apart: int = 0
    """Recordings of a corpus that were left out because their speaker or artist is in another split as well."""

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
        if self.layout:
            text += f", laid out as {LAYOUTS[self.layout].title}"
        if self.apart:
            text += f"; {self.apart} left out, as their speakers or artists are in another split"
        if self.skipped:
            names = ", ".join(item.path.name for item in self.skipped[:5])
            more = f" and {len(self.skipped) - 5} more" if len(self.skipped) > 5 else ""
            text += f"; {len(self.skipped)} left out as unreadable: {names}{more}"
        return text


def find_audio(
    folder: str | Path,
    *,
    where: str | None = None,
    purpose: str = "learn",
    split: str = "test",
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Collection:
    """Find the usable recordings in a folder and tell their splits.

    Parameters
    ----------
    folder : str or Path
        With a MANIFEST.csv, the files that it lists; of a corpus in `blackbox_afx.data.corpora`, its recordings;
        otherwise all audio files in it and its sub-folders. ``NAME:FOLDER`` forces a layout.
    where : str, optional
        Keep the recordings whose manifest columns have these values, such as ``type=speech,source=a|b``. Where it
        names the column `split`, benchmarks take what it names instead of the split asked for.
    purpose : {"learn", "benchmark"}
        How to split what nobody splits.
    split : str
        Which split a benchmark asks for: all of a folder that nobody split is that.
    seed : int
        Chooses what is held out of a folder that is no corpus.
    progress : callable
        Told how many headers were read, of how many.

    Returns
    -------
    Collection
        Recordings in a fixed order. Files that can't be read are named in `skipped`.

    Raises
    ------
    AudioError
        For no such folder, no audio in it, only unreadable files, or a manifest that can't be used.
    UsageError
        For a filter without columns, on an unknown column, or that leaves nothing, and for an unknown layout.
    """
    if purpose not in PURPOSES:
        raise UsageError(f"purpose '{purpose}'; expected one of {', '.join(PURPOSES)}")
    check_folder(folder, where)
    forced, folder = split_forced(folder)
    rows, layout, apart = _rows(forced, folder, where)
    if purpose == "benchmark" and where and "split" in parse_where(where):
        rows = [{**row, "split": split} for row in rows]
    found: list[tuple[Mapping[str, str], AudioInfo]] = []
    skipped: list[Skipped] = []
    paths = [row["path"].replace("\\", "/") for row in rows]
    for row, path, about in zip(rows, paths, read_headers(folder, paths, progress), strict=True):
        if isinstance(about, AudioError):
            skipped.append(Skipped(path=folder / path, reason=str(about)))
        else:
            found.append((row, about))
    if not found:
        raise AudioError(
            f"{folder}: none of its {len(skipped)} files can be read; expected WAV, AIFF, FLAC, OGG or MP3; "
            f"the first: {skipped[0].reason}"
        )
    splits = _splits([row for row, _ in found], purpose, seed, split)
    recordings = [_recording(row, about, split) for (row, about), split in zip(found, splits, strict=True)]
    if purpose == "learn" and len(recordings) == 1 and not found[0][0].get("split"):
        recordings = _cut(recordings[0])
    return Collection(
        folder=folder,
        recordings=tuple(recordings),
        skipped=tuple(skipped),
        layout=layout.name if layout else "",
        apart=apart,
    )


def check_folder(folder: str | Path, where: str | None = None) -> Path:
    """Raise at once where `find_audio` would in the end: the folder is not there, or the filter is none.

    Parameters
    ----------
    folder, where
        As for `find_audio`.

    Returns
    -------
    Path
        The folder, without the layout it is forced to.

    Raises
    ------
    AudioError, UsageError
    """
    forced, place = split_forced(folder)
    if not place.exists():
        hint = where_to_get(forced, place)
        raise AudioError(f"{place}: no such folder; expected a folder of audio files; {hint or 'check the path'}")
    if not place.is_dir():
        raise AudioError(f"{place} is a file; expected a folder of audio files; name the folder it lies in")
    if where:
        parse_where(where)
    return place


def _rows(forced: str, folder: Path, where: str | None) -> tuple[list[Mapping[str, str]], Layout | None, int]:
    """List a folder's recordings as filtered rows, the corpus they are, and how many were kept out of two splits."""
    if forced not in LAYOUTS:
        rows = read_manifest(folder) if forced != "folder" else None
        if forced == "manifest" and rows is None:
            raise AudioError(f"{folder} has no MANIFEST.csv; expected one; add it, or leave 'manifest:' out")
        if rows is not None:
            return (select(rows, where, folder) if where else list(rows)), None, 0
    found = None if forced == "folder" or forced in LAYOUTS else recognise(folder)
    if found is None and forced not in LAYOUTS:
        # A wrong folder is the likelier mistake than a wrong filter, so it is looked at first.
        plain = _rows_from_files(folder)
        if where:
            raise UsageError(
                f"{folder} has no MANIFEST.csv, so '{where}' filters on nothing; leave the filter out, or add one"
            )
        return list(plain), None, 0
    layout, base = found if found else (LAYOUTS[forced], None)
    corpus = corpus_rows(layout, folder, base)
    splits, apart = deal_speakers([{**row, "split": canonical_split(row["split"])} for row in corpus])
    kept: list[Mapping[str, str]] = [
        {**row, "split": split} for row, split in zip(corpus, splits, strict=True) if split
    ]
    wanted = parse_where(where) if where else {}
    for column, value in layout.defaults.items():
        if not {column, f"{column}!"} & set(wanted):
            kept = [row for row in kept if row[column] == value] or kept
    return (select(kept, where, folder, f"the layout of {layout.title}") if where else kept), layout, apart


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


def _splits(rows: list[Mapping[str, str]], purpose: str, seed: int, asked: str) -> list[str]:
    """Return the split of each row; rows without one are dealt out."""
    given = [canonical_split(row.get("split", "")) for row in rows]
    open_rows = [row["path"].replace("\\", "/") for row, split in zip(rows, given, strict=True) if not split]
    if purpose == "benchmark":
        return [split or ("test" if any(given) else asked) for split in given]
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
