"""What proxies learn from: patches of audio, and what the plugin makes of them at random settings.

Runs in render workers, so nothing here imports torch. Every patch begins with a plugin that was just reset, as the
proxy begins with silence before its first sample.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from blackbox_afx.audio.levels import normalise_peak, peak_dbfs
from blackbox_afx.data.segments import ClipSet
from blackbox_afx.errors import AudioError, PluginError
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.jobs import audio_flaw
from blackbox_afx.train.clip_book import read_clip_book

QUIET_DBFS = -60.0
TRIES = 50


class SettingPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how settings are drawn: uniformly, some of them near those that a controller visits.

    Parameters
    ----------
    neutral : tuple of (int, float)
        Controls that are held at a position: the output gain.
    visited : str
        An ``.npy`` of positions [settings, controls] that a controller made; empty for none.
    visited_share : float, 0 to 1
    """

    neutral: tuple[tuple[int, float], ...] = ()
    visited: str = ""
    visited_share: float = 0.0


class PatchPlan(SettingPlan, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how patches are drawn, and at which settings.

    Parameters
    ----------
    segment : int
        Samples.
    low_peak_dbfs, high_peak_dbfs : float
    noise : float, 0 to 1
        Share of noise bursts.
    **settings
        As `SettingPlan`.
    """

    segment: int
    low_peak_dbfs: float
    high_peak_dbfs: float
    noise: float


def make_patches(
    worker: Any, spec: ChainSpec, book: str, seed: int, count: int, plan: PatchPlan
) -> dict[str, np.ndarray]:
    """Draw patches and render each at a setting; those whose render fails are left out.

    Returns
    -------
    dict
        ``input`` and ``target`` float32 [patches, samples], ``values`` float32 [patches, controls].
    """
    rng = np.random.default_rng(seed)
    clips = read_clip_book(book)
    visited = np.load(plan.visited) if plan.visited else None
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for k in range(count):
        audio = draw_patch(rng, clips, plan)
        values = draw_values(rng, spec, plan, visited)
        worker.at(k)
        wet = render_or_note(worker, spec, audio[None], values, clips.sample_rate)
        if wet is None:
            continue
        rows.append((audio, wet[0], values.astype(np.float32)))
    if not rows:
        raise PluginError(f"{spec.label}: none of {count} patches could be rendered; probe the plugin again")
    return dict(zip(("input", "target", "values"), map(np.stack, zip(*rows, strict=True)), strict=True))


def render_or_note(
    worker: Any, spec: ChainSpec, audio: np.ndarray, values: np.ndarray, sample_rate: int
) -> np.ndarray | None:
    """Render audio [channels, samples] at positions; None, and a note in the worker's journal, where that failed."""
    try:
        wet = worker.chain(spec).render(audio, values, sample_rate)
        if flaw := audio_flaw(wet):
            raise PluginError(flaw)
    except PluginError as error:
        worker.note(f"{spec.label}: {error}")
        # What a plugin makes after a failure is not to be trusted; the next setting gets a fresh one.
        worker.forget(spec)
        return None
    return wet


def draw_patch(rng: np.random.Generator, clips: ClipSet, plan: PatchPlan) -> np.ndarray:
    """Draw a patch float32 [samples]: a stretch of a recording, or a burst of noise, at a random peak."""
    peak = rng.uniform(plan.low_peak_dbfs, plan.high_peak_dbfs)
    if rng.random() < plan.noise:
        return normalise_peak(noise_burst(rng, plan.segment), peak)[0]
    lengths = np.array([len(clip.audio) for clip in clips.clips], np.float64)
    for _ in range(TRIES):
        audio = clips.clips[int(rng.choice(len(lengths), p=lengths / lengths.sum()))].audio
        start = int(rng.integers(max(len(audio) - plan.segment, 0) + 1))
        patch = np.array(audio[start : start + plan.segment], np.float32)
        if peak_dbfs(patch) > QUIET_DBFS:
            patch = np.pad(patch, (0, plan.segment - len(patch)))
            return normalise_peak(patch, peak)[0]
    raise AudioError(f"{TRIES} draws found no patch above {QUIET_DBFS:g} dBFS; the recordings are mostly silent")


def noise_burst(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Make noise with a random spectral tilt whose level jumps a few times, float32 [samples]."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    bins = np.arange(1, len(spectrum) + 1)
    noise = np.fft.irfft(spectrum * bins ** rng.uniform(-1.0, 0.0), samples)
    edges = np.sort(rng.integers(0, samples, int(rng.integers(2, 9))))
    levels_db = rng.uniform(-40.0, 0.0, len(edges) + 1)
    steps = np.repeat(levels_db, np.diff([0, *edges, samples]))
    return (noise * 10 ** (steps / 20)).astype(np.float32)


def draw_values(rng: np.random.Generator, spec: ChainSpec, plan: SettingPlan, visited: np.ndarray | None) -> np.ndarray:
    """Draw positions [controls]: uniform, or near one that a controller chose."""
    if visited is not None and rng.random() < plan.visited_share:
        values = visited[int(rng.integers(len(visited)))] + 0.05 * rng.standard_normal(len(spec.space))
    else:
        values = rng.random(len(spec.space))
    for index, position in plan.neutral:
        values[index] = position
    return spec.space.snap(np.clip(values, 0.0, 1.0))
