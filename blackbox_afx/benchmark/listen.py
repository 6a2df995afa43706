"""Pairs to listen to: a folder with one static page and its audio files, each method's result beside its scores.

The page loads nothing from elsewhere and needs no server. All files of a pair have one common gain, which brings the
loudest to -1 dBFS, so that their levels can be compared by ear.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.audio import peak_dbfs, write_audio
from blackbox_afx.benchmark.listen_page import page
from blackbox_afx.benchmark.methods import AnyMethod, SelfRendering, common_chain, load_methods, make_baseline
from blackbox_afx.benchmark.pairs import Pair, PairMaker
from blackbox_afx.benchmark.report import versions
from blackbox_afx.benchmark.synthetic import render
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.errors import FarmError
from blackbox_afx.metrics import ALWAYS, score_pair
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.transfer.style_controller import StyleController

SECONDS = 6.0
PEAK_DBFS = -1.0
MAX_MINUTES = 120.0


class Track(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One file of a pair.

    Parameters
    ----------
    name : str
        input, reference, target, or a method's.
    file : str
        Relative to the page.
    audio : float32 [samples]
    scores : dict of str to float
        Against the target; empty for reference and target.
    """

    name: str
    file: str
    audio: np.ndarray
    scores: dict[str, float]


def make_listening_page(
    folder: Path,
    *,
    audio: str | Path,
    controllers: Sequence[Path],
    where: str | None = None,
    protocol: str = "self",
    baselines: Sequence[str] = (),
    on_plugins: bool = False,
    pairs: int = 6,
    seed: int = 42,
    sample_rate: int | None = None,
    jobs: int | None = None,
    allow_version: bool = False,
    command: str = "",
    warn: Callable[[str], None] = lambda text: None,
    progress: Callable[[float, float, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Write ``index.html``, ``audio/*.flac`` and ``listen.json`` into an empty folder.

    Parameters
    ----------
    folder : Path
        Is there, and empty.
    audio, where
        As `find_audio`; the split test.
    controllers : sequence of Path
    protocol : {"self", "paper"}
        Where targets come from, as in the synthetic benchmark.
    baselines : sequence of str
        As `make_baseline`.
    on_plugins : bool
        Let controllers that were learned for another module's audio be heard through the plugins, too.
    pairs, seed : int
    sample_rate : int, optional
        Hertz; the controllers' own by default.
    jobs : int, optional
    allow_version : bool
    command : str
    warn, progress : callable

    Returns
    -------
    dict
        As ``listen.json`` holds it: of each pair the speaker and, by file, the scores.

    Raises
    ------
    UsageError, AudioError, ControllerError, PluginError, FarmError
    """
    progress(0, pairs, "loading")
    learned = load_methods(controllers, on_plugins="also" if on_plugins else "")
    for method in learned:
        for text in StyleController(method.network, method.card).check_installed(allow_version=allow_version):
            warn(f"{method.name}: {text}")
    target_chain = common_chain(learned) if protocol == "self" else None
    methods: list[AnyMethod] = [*learned, *(make_baseline(name, learned[0].spec, seed) for name in baselines)]
    rate = sample_rate or learned[0].card.sample_rate
    clips = load_clips(
        find_audio(audio, where=where, purpose="benchmark", seed=seed),
        "test",
        sample_rate=rate,
        max_minutes=MAX_MINUTES,
        seed=seed,
    )
    # Where recordings are short, half of them still give two halves.
    segment = min(round(SECONDS * rate), int(np.median([len(clip.audio) for clip in clips.clips])))
    maker = PairMaker(clips, protocol, target_chain, seed=seed, segment=segment)
    chains = [method.spec for method in methods if method.spec is not None]
    trusted = all(spec.trusted for spec in chains)
    with Farm(jobs if jobs is not None or not trusted else 1) as farm:
        drawn = maker.draw(farm, 0, pairs)
        if not drawn:
            raise FarmError(f"none of {pairs} pairs could be made; the last: {maker.failures[-1]}")
        rendered: dict[str, list[np.ndarray | None]] = {}
        for number, method in enumerate(methods):
            progress(number * pairs / len(methods), pairs, method.name)
            rendered[method.name], failures = render(method, drawn, rate, farm)
            for text in failures:
                warn(text)
    (folder / "audio").mkdir()
    tracks = [_tracks(pair, {name: made[k] for name, made in rendered.items()}, rate) for k, pair in enumerate(drawn)]
    for some in tracks:
        gain = np.float32(10 ** ((PEAK_DBFS - max(peak_dbfs(track.audio) for track in some)) / 20))
        for track in some:
            write_audio(folder / track.file, (track.audio * gain)[None], rate, subtype="PCM_16")
    progress(pairs, pairs, "writing")
    facts = {
        "protocol": protocol,
        "seed": seed,
        "command": command,
        "versions": versions(chains),
        "audio": {"folder": str(audio), "where": where, "split": "test"},
        "sample_rate": rate,
        "chains": {
            method.name: method.spec.label
            for method in methods
            if method.spec is not None and not isinstance(method, SelfRendering)
        },
        "pairs": [
            {
                "speaker": pair.speaker,
                "files": {track.name: {"file": track.file, "scores": track.scores} for track in some},
            }
            for pair, some in zip(drawn, tracks, strict=True)
        ],
    }
    (folder / "index.html").write_text(page(facts, tracks), encoding="utf-8")
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    (folder / "listen.json").write_text(text + "\n", encoding="utf-8")
    return facts


def _tracks(pair: Pair, results: dict[str, np.ndarray | None], rate: int) -> list[Track]:
    """Give the files of a pair, in the order of the page."""
    sounds = {"input": pair.source, "reference": pair.reference, "target": pair.target, **results}
    tracks = []
    for number, (name, audio) in enumerate(sounds.items()):
        if audio is None:
            continue
        scores = {} if name in ("reference", "target") else score_pair(pair.target, audio, rate, ALWAYS)
        file = f"audio/{pair.index + 1:02d}-{number}.flac"
        known = {metric: value for metric, value in scores.items() if np.isfinite(value)}
        tracks.append(Track(name=name, file=file, audio=audio, scores=known))
    return tracks
