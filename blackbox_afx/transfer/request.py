"""Refuse what is wrong with the files of a transfer, before any plugin is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blackbox_afx.audio import AudioInfo, cut_short, info
from blackbox_afx.errors import AudioError, OutputError, UsageError
from blackbox_afx.transfer.staging import check_container, refuse_existing, staging


def check_recordings(files: Sequence[Path]) -> AudioInfo:
    """Raise where one of several recordings is missing, no audio, or has more than two channels.

    Parameters
    ----------
    files : sequence of Path
        At least one.

    Returns
    -------
    AudioInfo
        Of the first.

    Raises
    ------
    AudioError
    """
    abouts = [info(path) for path in files]
    for about in abouts:
        # Which of six channels a style lies in nobody said; their mean would also count the one for low effects.
        if about.channels > 2:
            raise AudioError(f"{about.path}: {about.channels} channels; expected mono or stereo; mix it down first")
    return abouts[0]


def lost_ends(files: Sequence[Path]) -> list[str]:
    """Give a line for each recording that ends before its header says it does."""
    lost = {path: cut_short(path) for path in files}
    return [
        f"{path}: {text}; what is there was used, copy it again for the rest" for path, text in lost.items() if text
    ]


def check_files(source: Path, references: Sequence[Path], places: Sequence[Path], *, force: bool) -> AudioInfo:
    """Raise where a recording can't be read, or a result can't be written.

    Parameters
    ----------
    source : Path
        Input recording.
    references : sequence of Path
        Recordings in the wanted style.
    places : sequence of Path
        Files to be; the first will hold audio like the input's.
    force : bool
        Let what is there be replaced, but never a recording that is listened to.

    Returns
    -------
    AudioInfo
        Of the input.

    Raises
    ------
    AudioError
        A file is missing, no audio, or has more than two channels.
    OutputError
        Something is in the way, the folder can't be written to, or the extension names no format for such audio.
    UsageError
        There is no reference.
    """
    about = check_recordings([source, *references])
    if not references:
        raise UsageError("no reference was given; expected at least one recording in the wanted style")
    inputs = {path.resolve() for path in (source, *references)}
    for place in places:
        if place.resolve() in inputs:
            raise OutputError(f"{place} is one of the inputs; give another name")
    refuse_existing(places, force)
    with staging(places[0]) as stage:
        check_container(stage, places[0], about)
    return about
