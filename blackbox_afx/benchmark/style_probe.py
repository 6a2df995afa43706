"""The table of styles told apart: how well one linear layer on a frozen embedding names the style of a recording."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.audio import resample
from blackbox_afx.audio.levels import normalise_peak, peak_dbfs
from blackbox_afx.benchmark.embeddings import Embedder, make_embedders
from blackbox_afx.benchmark.linear_probe import EPOCHS, Split, mean_f1, train_probe
from blackbox_afx.benchmark.report import draw_table, versions
from blackbox_afx.benchmark.style_files import LEAD, PEAK_DBFS, clip_seconds
from blackbox_afx.benchmark.styles import STYLES, apply_style
from blackbox_afx.data import ClipSet, find_audio, load_clips
from blackbox_afx.data.segments import SILENT_BELOW_DBFS
from blackbox_afx.errors import AudioError

RATE = 44100
SEGMENT_S = 131072 / 24000
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
MAX_MINUTES = 90.0
TRIES = 100
"""Deals, until every part has every style: where recordings are few, some leave one out."""


class Example(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A stretch of a recording in a style.

    Parameters
    ----------
    style : int
        Its place in `STYLES`.
    recording : str
    stretch : int
        Which stretch of all recordings it is.
    audio : float32 [samples]
        Peaks at -12 dBFS.
    """

    style: int
    recording: str
    stretch: int
    audio: np.ndarray


def make_examples(clips: ClipSet, *, segment: int, least: int, most: int, seed: int) -> list[Example]:
    """Put stretches of recordings in styles, in a random order; each in one, and in more where there are too few.

    Parameters
    ----------
    clips : ClipSet
        Stretches that do not overlap.
    segment : int
        Samples of an example at the most; half of it at the least.
    least : int
        Examples of each style for which stretches come again.
    most : int
        Examples of each style at the most.
    seed : int
    """
    usable = [
        clip
        for clip in clips.clips
        if len(clip.audio) >= LEAD + segment // 2 and peak_dbfs(clip.audio[LEAD:]) > SILENT_BELOW_DBFS
    ]
    by_recording: dict[str, list[int]] = {}
    for k, clip in enumerate(usable):
        by_recording.setdefault(str(clip.path), []).append(k)
    names = sorted(by_recording)
    names = [names[k] for k in np.random.default_rng([seed, 0x5052]).permutation(len(names))]
    # Round after round each recording gives a stretch, in another style than the round before. The parts of a deal
    # share no recording, so that a stretch may come back in another style.
    turns = max(map(len, by_recording.values()), default=0)
    order = [
        ((place + turn + again) % len(STYLES), by_recording[name][turn])
        for again in range(len(STYLES))
        # What comes again is for want of others.
        if again == 0 or len(usable) * again < least * len(STYLES)
        for turn in range(turns)
        for place, name in enumerate(names)
        if turn < len(by_recording[name])
    ]
    examples = []
    for number, (style, k) in enumerate(order[: most * len(STYLES)]):
        dry = usable[k].audio[: LEAD + segment]
        rng = np.random.default_rng([seed, 0x5045, number])
        wet = apply_style(rng, dry, clips.sample_rate, list(STYLES)[style])[LEAD:]
        wet, _ = normalise_peak(wet, PEAK_DBFS)
        examples.append(Example(style=style, recording=str(usable[k].path), stretch=k, audio=wet))
    return examples


def deal(examples: Sequence[Example], each: int, rng: np.random.Generator) -> dict[str, list[int]]:
    """Split examples by recording, 60/20/20, with as many of each style in a part.

    Parameters
    ----------
    examples : sequence of Example
    each : int
        Examples of a style, over all parts, at the most.
    rng : np.random.Generator

    Returns
    -------
    dict of list of int
        Indices by part.

    Raises
    ------
    AudioError
        There are too few recordings for that.
    """
    by_recording: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        by_recording.setdefault(example.recording, []).append(index)
    names = sorted(by_recording)
    for _ in range(TRIES):
        order = [names[k] for k in rng.permutation(len(names))]
        counts = np.cumsum([len(by_recording[name]) for name in order])
        first, second = (int(np.searchsorted(counts, share * len(examples))) for share in (0.6, 0.8))
        dealt = {}
        for part, recordings in (("train", order[:first]), ("val", order[first:second]), ("test", order[second:])):
            # In the order they were made in: what comes again is taken last.
            inside = sorted(index for name in recordings for index in by_recording[name])
            by_style = [[index for index in inside if examples[index].style == style] for style in range(len(STYLES))]
            fewest = min(min(map(len, by_style)), round(SHARES[part] * each))
            dealt[part] = [index for some in by_style for index in some[:fewest]]
        if all(dealt.values()):
            return dealt
    raise AudioError(
        f"{len(examples)} stretches of {len(names)} recordings can't be dealt to three parts with all of "
        f"{len(STYLES)} styles in each; use more recordings, or a shorter --segment"
    )


def run_style_probe(
    *,
    audio: str | Path,
    controllers: Sequence[Path] = (),
    embeddings: Sequence[str] = ("random-mel", "statistics"),
    where: str | None = None,
    each: int = 100,
    repeats: int = 5,
    seed: int = 42,
    segment: int | None = None,
    epochs: int = EPOCHS,
    command: str = "",
    warn: Callable[[str], None] = lambda text: None,
    progress: Callable[[float, float, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Probe embeddings for the five styles.

    Parameters
    ----------
    audio : str or Path
        As `find_audio`; the split test.
    controllers : sequence of Path
        Whose encoders are probed.
    embeddings : sequence of str
        Others, keys of `blackbox_afx.benchmark.embeddings.OTHERS`.
    where : str, optional
        As `find_audio`.
    each : int
        Examples of a style at the most: 60 % to learn from, 20 % to choose the epoch by, 20 % to test on.
    repeats : int
        Deals of the recordings to these parts, and starts of the probe.
    seed : int
    segment : int, optional
        Samples of an example at the most, at 44.1 kHz; 5.46 s by default.
    epochs : int
    command : str
        What the report says it was made by.
    warn, progress : callable

    Returns
    -------
    dict
        ``embeddings``: by name the mean ``f1`` on test, its ``interval`` over repeats, the ``values``, and the
        ``confusion`` matrix summed over repeats. ``left_out``: what could not be used, and why.

    Raises
    ------
    UsageError, AudioError, ControllerError
    """
    began = time.perf_counter()
    left_out: dict[str, str] = {}
    made = make_embedders(embeddings, controllers, left_out.__setitem__)
    for why in left_out.values():
        warn(f"left out: {why}")
    segment = segment or round(SEGMENT_S * RATE)
    collection = find_audio(audio, where=where, purpose="benchmark", seed=seed)
    seconds = clip_seconds(segment, RATE)
    clips = load_clips(collection, "test", sample_rate=RATE, max_minutes=MAX_MINUTES, clip_seconds=seconds, seed=seed)
    for item in (*collection.skipped, *clips.skipped):
        warn(f"{item.path} was left out: {item.reason}")
    examples = make_examples(clips, segment=segment, least=each, most=2 * each, seed=seed)
    deals = [deal(examples, each, np.random.default_rng([seed, 0x4445, k])) for k in range(repeats)]
    total = len(made) * (len(examples) + repeats * 20)
    done = 0
    results: dict[str, Any] = {}
    for embedder in made:
        vectors = []
        for example in examples:
            vectors.append(_embed(embedder, example.audio))
            done += 1
            progress(done, total, f"{embedder.name}: listening")
        found = np.stack(vectors)
        matrices = []
        for k, dealt in enumerate(deals):
            parts = {
                name: Split(embeddings=found[rows], classes=np.array([examples[row].style for row in rows]))
                for name, rows in dealt.items()
            }
            matrices.append(train_probe(**parts, classes=len(STYLES), seed=seed + k, epochs=epochs))
            done += 20
            progress(done, total, f"{embedder.name}: F1 {mean_f1(matrices[-1]):.3f}")
        scores = [mean_f1(matrix) for matrix in matrices]
        results[embedder.name] = {
            "about": embedder.about,
            "rate": embedder.rate,
            "dimension": int(found.shape[1]),
            "f1": float(np.mean(scores)),
            "interval": interval(scores),
            "values": scores,
            "confusion": np.sum(matrices, axis=0).tolist(),
        }
    sizes = {part: sorted({len(dealt[part]) // len(STYLES) for dealt in deals}) for part in SHARES}
    return {
        "protocol": "styles",
        "seed": seed,
        "command": command,
        "versions": versions([]),
        "audio": {"folder": str(audio), "where": where, "split": "test", "clips": len(clips.clips)},
        "recordings": len({example.recording for example in examples}),
        "examples": sizes,
        "stretches": len({example.stretch for example in examples}),
        "repeats": repeats,
        "segment": segment,
        "sample_rate": RATE,
        "styles": list(STYLES),
        "seconds": round(time.perf_counter() - began, 1),
        "embeddings": results,
        "left_out": left_out,
    }


def _embed(embedder: Embedder, audio: np.ndarray) -> np.ndarray:
    return np.asarray(embedder.embed(resample(audio[None], RATE, embedder.rate)[0]), np.float64)


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Give the 95 % interval of a mean by Student's t, inside 0 to 1; None of fewer than two values."""
    from scipy.stats import t

    if len(values) < 2:
        return None
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    mean = float(np.mean(values))
    return max(0.0, mean - half), min(1.0, mean + half)


def markdown(report: dict[str, Any]) -> str:
    """Draw the table: mean F1 of each embedding with its interval, and what was left out."""
    rows = {}
    for name, found in report["embeddings"].items():
        between = f" ({found['interval'][0]:.2f} to {found['interval'][1]:.2f})" if found["interval"] else ""
        hits = np.diag(found["confusion"]) / np.maximum(np.sum(found["confusion"], axis=1), 1)
        rows[name] = [f"{found['f1']:.3f}{between}", *(f"{share:.2f}" for share in hits), found["about"]]
    sizes = "/".join("-".join(map(str, found)) for found in report["examples"].values())
    lines = [
        f"Styles told apart by a linear probe: {sizes} examples of each style to learn, choose and test on, of "
        f"{report['stretches']} stretches of {report['recordings']} recordings, {report['repeats']} repeats, seed "
        f"{report['seed']}.",
        "",
        "Mean F1 on test (95 % interval over repeats; chance 0.20), and of each style the share that was recognised:",
        "",
        *draw_table(["embedding", "F1", *report["styles"], "what it is"], rows),
    ]
    for why in report["left_out"].values():
        lines += ["", f"Left out: {why}."]
    return "\n".join(lines)
