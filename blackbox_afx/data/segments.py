"""Hold a working set of clips in memory and draw from each two halves: one to process, one to refer to.

Conventions: clips are mono float32 at one sample rate. The two halves of a draw follow one another in the same
clip, so they share voice or instrument and room, and not the words or notes. For learning a clip may be put together
anew first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from blackbox_afx.audio import info, read_audio
from blackbox_afx.audio.levels import normalise_peak, peak_dbfs
from blackbox_afx.audio.resampling import resample
from blackbox_afx.data.folders import Collection, Recording, Skipped
from blackbox_afx.data.splice import splice
from blackbox_afx.errors import AudioError, UsageError

SEGMENT = 65536
MIN_SEGMENT = 32768
PEAK_DBFS = -12.0
MIN_MEAN_SQUARE = 1e-5
TRIES = 100
SILENT_BELOW_DBFS = -80.0


class Clip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of a recording in memory."""

    audio: np.ndarray
    """[samples] float32"""
    speaker: str
    path: Path
    start: float
    """Where it begins in the file, seconds."""
    source: str = ""
    """Which corpus it is from, where the manifest or the layout says so."""


class ClipSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A working set, and what could not be loaded into it."""

    clips: tuple[Clip, ...]
    sample_rate: int
    skipped: tuple[Skipped, ...] = ()

    @property
    def minutes(self) -> float:
        """Length of all clips together."""
        return sum(len(clip.audio) for clip in self.clips) / self.sample_rate / 60.0


def _stretches(recording: Recording, seconds: float) -> list[tuple[float, float]]:
    """Cut a recording into equal stretches of about so many seconds: (start, length) each."""
    count = max(1, round(recording.duration / seconds))
    length = recording.duration / count
    return [(recording.start + i * length, length) for i in range(count)]


def load_clips(
    collection: Collection,
    split: str,
    *,
    sample_rate: int = 24000,
    max_minutes: float = 60.0,
    clip_seconds: float = 20.0,
    seed: int = 0,
) -> ClipSet:
    """Load a working set into memory, resampled and mixed to mono.

    Parameters
    ----------
    collection : Collection
        From `find_audio`.
    split : str
        Which of its recordings: train, val or test.
    sample_rate : int > 0
        Hz, of the clips.
    max_minutes : float > 0
        Stop at this length: an hour at 24 kHz takes 346 MB. What is taken is spread over all recordings.
    clip_seconds : float > 0
        Longer recordings are cut into stretches of about this length, read one at a time.
    seed : int
        Chooses the stretches where there are more than fit.

    Returns
    -------
    ClipSet
        In the order of the collection. Unreadable or silent files are named in `skipped`.

    Raises
    ------
    AudioError
        Where the split has no recordings, or none that can be used.
    """
    recordings = collection.in_split(split)
    if not recordings:
        raise AudioError(
            f"{collection.folder} has no recordings in the split '{split}'; expected some; "
            f"its splits are {', '.join(collection.splits)}"
        )
    pieces = [(i, at, length) for i, item in enumerate(recordings) for at, length in _stretches(item, clip_seconds)]
    chosen, total = [], 0.0
    for index in np.random.default_rng(seed).permutation(len(pieces)):
        if total >= 60.0 * max_minutes:
            break
        chosen.append(pieces[index])
        total += pieces[index][2]
    clips: list[Clip] = []
    skipped: dict[Path, str] = {}
    silent: set[Path] = set()
    for i, at, length in sorted(chosen):
        recording = recordings[i]
        if recording.path in skipped:
            continue
        try:
            audio = _load(recording, at, length, sample_rate)
        except AudioError as error:
            skipped[recording.path] = str(error)
            continue
        if peak_dbfs(audio) < SILENT_BELOW_DBFS:
            silent.add(recording.path)
        else:
            clips.append(
                Clip(
                    audio=audio,
                    speaker=recording.speaker,
                    path=recording.path,
                    start=at,
                    source=recording.source,
                )
            )
    # A silent stretch of a file that is also heard is a rest, not a fault.
    for path in sorted(silent - {clip.path for clip in clips}):
        skipped.setdefault(path, f"{path} is silent; expected sound; record or choose it again")
    if not clips:
        why = next(iter(skipped.values()))
        raise AudioError(f"{collection.folder}: no recording of the split '{split}' can be used; {why}")
    left_out = tuple(Skipped(path=path, reason=reason) for path, reason in skipped.items())
    return ClipSet(clips=tuple(clips), sample_rate=sample_rate, skipped=left_out)


def _load(recording: Recording, at: float, length: float, sample_rate: int) -> np.ndarray:
    rate = recording.sample_rate
    frames = min(math.ceil(length * rate), info(recording.path).frames - round(at * rate))
    audio, _ = read_audio(recording.path, start=round(at * rate), frames=frames, sample_rate=sample_rate, mono=True)
    if not np.isfinite(audio).all():
        raise AudioError(f"{recording.path} holds NaN or infinite samples; export it again")
    return audio[0]


class ClipSampler:
    """Draw pairs of neighbouring halves from clips.

    Parameters
    ----------
    rng : np.random.Generator
        Drawn from at every call.
    clips : ClipSet or sequence of Clip
        The working set.
    segment : int > 0
        Samples of each half.
    min_segment : int > 0
        Clips too short for two whole segments give two equal halves of what there is, each at least this long;
        clips shorter than that are left out. Set it to `segment` where all draws must have one length.
    balance_speakers : bool
        Draw a speaker first, then one of the speaker's clips; otherwise a clip is drawn in proportion to its length.
    max_cents : float >= 0
        In half of the draws play the clip faster or slower, which moves its pitch by up to this much either way: for
        learning. Where a clip has too little audio to be played faster, it stays as it is.
    spliced : float, 0 to 1
        Share of draws of which the clip is cut into pieces and put together in another order first: for learning. So
        one short recording gives many pairs of halves, which differ in what is said or played.

    Attributes
    ----------
    clips : tuple of Clip
        Those long enough.
    too_short : int
        How many were left out.

    Raises
    ------
    AudioError
        Where no clip is long enough.
    UsageError
        `spliced` is no share, or there is no `ClipSet` to say at which rate the clips are.

    References
    ----------
    Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing",
    JAES 70(9), 2022.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        clips: ClipSet | Sequence[Clip],
        segment: int = SEGMENT,
        min_segment: int = MIN_SEGMENT,
        *,
        balance_speakers: bool = False,
        max_cents: float = 0.0,
        spliced: float = 0.0,
    ) -> None:
        everything = clips.clips if isinstance(clips, ClipSet) else tuple(clips)
        if not 0.0 <= spliced <= 1.0:
            raise UsageError(f"spliced = {spliced:g}; expected a share from 0 to 1")
        if spliced and not isinstance(clips, ClipSet):
            raise UsageError("clips to be spliced came as a sequence; expected a ClipSet, which says their sample rate")
        self._rate = clips.sample_rate if isinstance(clips, ClipSet) else 0
        self.rng = rng
        self.segment = segment
        self.max_cents, self.spliced = max_cents, spliced
        self.clips = tuple(clip for clip in everything if len(clip.audio) >= 2 * min_segment)
        self.too_short = len(everything) - len(self.clips)
        if not self.clips:
            longest = max((len(clip.audio) for clip in everything), default=0)
            raise AudioError(
                f"the longest of {len(everything)} clips has {longest} samples; expected at least "
                f"{2 * min_segment} (two halves of {min_segment}); use longer recordings"
            )
        lengths = np.array([len(clip.audio) for clip in self.clips], dtype=np.float64)
        self._weights = lengths / lengths.sum()
        self._by_speaker: list[list[int]] = []
        if balance_speakers:
            speakers: dict[str, list[int]] = {}
            for i, clip in enumerate(self.clips):
                speakers.setdefault(clip.speaker, []).append(i)
            self._by_speaker = list(speakers.values())

    def pick(self) -> int:
        """Draw the index of a clip."""
        if self._by_speaker:
            group = self._by_speaker[self.rng.integers(len(self._by_speaker))]
            return group[self.rng.integers(len(group))]
        return int(self.rng.choice(len(self.clips), p=self._weights))

    def halves(self, index: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Draw two halves from one clip, once.

        Parameters
        ----------
        index : int
            Of the clip in `clips`.

        Returns
        -------
        (half_a, half_b), each np.ndarray [samples] float32, or None
            Together normalised to a peak of -12 dBFS. None where either half's mean square is not above 1e-5.
        """
        audio = self.clips[index].audio
        half = min(self.segment, len(audio) // 2)
        if self.spliced and self.rng.random() < self.spliced:
            audio = splice(self.rng, audio, self._rate)
        speed = 1.0
        if self.max_cents and self.rng.random() < 0.5:
            speed = 2.0 ** (self.rng.uniform(-self.max_cents, self.max_cents) / 1200.0)
        # One sample more than needed, so that rounding never leaves too few.
        length = math.ceil(2 * half * speed) + 1
        if speed == 1.0 or length > len(audio):
            speed, length = 1.0, 2 * half
        start = int(self.rng.integers(len(audio) - length + 1))
        patch = audio[start : start + length]
        if speed != 1.0:
            patch = resample(patch[None], speed, 1.0)[0, : 2 * half]
        if peak_dbfs(patch) < SILENT_BELOW_DBFS:
            return None
        patch, _ = normalise_peak(patch, PEAK_DBFS)
        halves = patch[:half], patch[half:]
        loud = all(float(np.mean(np.square(side, dtype=np.float64))) > MIN_MEAN_SQUARE for side in halves)
        return halves if loud else None

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw two halves of one clip.

        Returns
        -------
        half_a, half_b : np.ndarray [samples] float32
            Of one length.

        Raises
        ------
        AudioError
            Where 100 tries found no two halves that are loud enough.
        """
        for _ in range(TRIES):
            found = self.halves(self.pick())
            if found is not None:
                return found
        raise AudioError(
            f"{TRIES} draws found no clip with two halves above a mean square of {MIN_MEAN_SQUARE:g} at a peak of "
            f"{PEAK_DBFS:g} dBFS; the recordings are mostly silent: use others"
        )
