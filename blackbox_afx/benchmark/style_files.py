"""Recordings in five styles, none of them in two, and unpaired pairs of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from blackbox_afx.audio.levels import normalise_peak, peak_dbfs
from blackbox_afx.benchmark.pairs import Pair
from blackbox_afx.benchmark.styles import STYLES, apply_style
from blackbox_afx.data import Clip, ClipSet
from blackbox_afx.data.segments import SILENT_BELOW_DBFS
from blackbox_afx.errors import AudioError

LEAD = 16384
"""Samples in front of each file that settle filters and envelopes, and are cut off once it is in its style."""
PER_STYLE = 60
PEAK_DBFS = -12.0


class StyleFile(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A recording in a style.

    Parameters
    ----------
    style, speaker : str
    audio : float32 [samples]
        Peaks at -12 dBFS.
    """

    style: str
    speaker: str
    audio: np.ndarray


def clip_seconds(segment: int, sample_rate: int) -> float:
    """Say how long `load_clips` should cut, so that each piece holds a file and its lead."""
    return 1.5 * (segment + LEAD) / sample_rate


def make_style_files(clips: ClipSet, *, segment: int, seed: int, per_style: int = PER_STYLE) -> list[StyleFile]:
    """Deal clips to the styles and process each in its own.

    Parameters
    ----------
    clips : ClipSet
        Stretches that do not overlap.
    segment : int > 0
        Samples of a file at the most; shorter clips give shorter files, down to half of that.
    seed : int
    per_style : int > 0
        Files of each style at the most.

    Returns
    -------
    list of StyleFile
        By style; of each as many, give or take one, from as many speakers as there are.

    Raises
    ------
    AudioError
        A style gets fewer than two speakers or artists.
    """
    rng = np.random.default_rng([seed, 0x5354])
    by_speaker: dict[str, list[Clip]] = {}
    for clip in clips.clips:
        if len(clip.audio) >= LEAD + segment // 2 and peak_dbfs(clip.audio[LEAD:]) > SILENT_BELOW_DBFS:
            by_speaker.setdefault(clip.speaker, []).append(clip)
    names = sorted(by_speaker)
    queues = [by_speaker[name] for name in (names[k] for k in rng.permutation(len(names)))]
    queues = [[clips[k] for k in rng.permutation(len(clips))] for clips in queues]
    # Round after round each speaker gives a clip, so that no style is one person's.
    order = [queue[turn] for turn in range(max(map(len, queues), default=0)) for queue in queues if turn < len(queue)]
    styles = list(STYLES)
    files = []
    for number, clip in enumerate(order[: per_style * len(styles)]):
        style = styles[number % len(styles)]
        dry = clip.audio[: LEAD + segment]
        wet = apply_style(np.random.default_rng([seed, 0x5346, number]), dry, clips.sample_rate, style)[LEAD:]
        files.append(StyleFile(style=style, speaker=clip.speaker, audio=normalise_peak(wet, PEAK_DBFS)[0]))
    for style in styles:
        people = {file.speaker for file in files if file.style == style}
        if len(people) < 2:
            raise AudioError(
                f"{len(order)} stretches of {(LEAD + segment) / clips.sample_rate:.1f} s by {len(names)} speakers or "
                f"artists give the style '{style}' {len(people)} of them; expected at least two for each of "
                f"{len(styles)} styles; use more recordings, or a shorter --segment"
            )
    return sorted(files, key=lambda file: styles.index(file.style))


def unpaired(files: Sequence[StyleFile], *, each: int, seed: int) -> list[tuple[str, str, Pair]]:
    """Draw inputs and references: every style to every style, by different speakers.

    Parameters
    ----------
    files : sequence of StyleFile
    each : int > 0
        Pairs for each of the 25 combinations.
    seed : int

    Returns
    -------
    list of (str, str, Pair)
        Style of the input, of the reference, and the pair, whose target is the reference: there is no other.
    """
    by_style = {style: [file for file in files if file.style == style] for style in STYLES}
    drawn = []
    for first, sources in by_style.items():
        for second, references in by_style.items():
            for _ in range(each):
                rng = np.random.default_rng([seed, 0x554E, len(drawn)])
                source = sources[rng.integers(len(sources))]
                others = [file for file in references if file.speaker != source.speaker]
                reference = others[rng.integers(len(others))]
                pair = Pair(
                    index=len(drawn),
                    speaker=source.speaker,
                    source=source.audio,
                    reference=reference.audio,
                    target=reference.audio,
                )
                drawn.append((first, second, pair))
    return drawn
