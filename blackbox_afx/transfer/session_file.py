"""`NAME.session.json`: what was rendered, as every DAW export is written from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.audio import read_audio
from blackbox_afx.export.build import ChainFacts, build_session, chain_facts
from blackbox_afx.export.thin import ThinLanes, thinning_error_db
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.trajectory import Trajectory
from blackbox_afx.session import encode_session, move_session
from blackbox_afx.transfer.render_file import render_file

COMPARED_S = 30.0
"""How much of a recording tells what thinning does to the sound."""


def ask_chain(
    worker: Any,
    spec: ChainSpec,
    raw: np.ndarray,
    sample_rate: int,
    channels: int,
    thinned: tuple[str, float, Trajectory, Trajectory] | None = None,
) -> tuple[ChainFacts, float | None]:
    """Ask loaded plugins for what a session says of them; runs in a farm worker.

    Parameters
    ----------
    worker : farm worker
    spec : ChainSpec
    raw : float64 [controls]
        Raw values at time 0.
    sample_rate, channels : int
        Of the recording.
    thinned : (path, trim_db, before, after), optional
        Also measure what thinning the lanes does to the sound of the recording's first seconds.

    Returns
    -------
    ChainFacts
    float or None
        dB, as `thinning_error_db`.
    """
    chain = worker.chain(spec)
    error = None
    if thinned is not None:
        path, trim_db, before, after = thinned
        audio, _ = read_audio(path, frames=round(COMPARED_S * sample_rate))
        gain = np.float32(10 ** (trim_db / 20))
        error = float(np.clip(thinning_error_db(chain, audio * gain, before, after, sample_rate), -300.0, 300.0))
    return chain_facts(chain, raw, sample_rate, channels), error


def render_and_ask(
    worker: Any, render: tuple[Any, ...], ask: tuple[Any, ...]
) -> tuple[dict[str, Any], tuple[ChainFacts, float | None]]:
    """Do both in one worker, so that no other has to load the plugins; arguments as of `render_file`, `ask_chain`."""
    return render_file(worker, *render), ask_chain(worker, *ask)


def session_bytes(
    spec: ChainSpec,
    lanes: ThinLanes | np.ndarray,
    facts: ChainFacts,
    *,
    source: Path,
    staged: Path,
    out: Path,
    trim_db: float,
    error_db: float | None,
    warnings: Sequence[str],
) -> bytes:
    """Word a session whose render lies at `staged` now and will lie at `out`, beside the session.

    Parameters
    ----------
    spec, lanes, facts, source, trim_db, error_db, warnings
        As for `build_session`.
    staged, out : Path
    """
    session = build_session(
        spec,
        lanes,
        facts,
        source=source,
        render=staged,
        trim_db=trim_db,
        thinning_error_db=error_db,
        warnings=warnings,
    )
    tracks = tuple(
        msgspec.structs.replace(
            track,
            clips=tuple(msgspec.structs.replace(clip, path=str(out.resolve())) for clip in track.clips),
        )
        if track.role == "render"
        else track
        for track in session.tracks
    )
    return encode_session(move_session(msgspec.structs.replace(session, tracks=tracks), out.parent))
