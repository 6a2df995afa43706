"""Thin the lanes of a session further: fewer points to edit, for a larger error."""

from __future__ import annotations

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.export.thin import EPS, line_points
from blackbox_afx.session import Lane, Session, Thinning


def rethin_session(session: Session, eps: float) -> tuple[Session, list[str]]:
    """Thin every lane that is not held, to a larger error than it was thinned with.

    Parameters
    ----------
    session : Session
    eps : float, 0 to 1
        Largest error, raw, against the session's lanes.

    Returns
    -------
    session : Session
    notes : list of str
        What it did, in words; that a smaller `eps` than the session's changes nothing.

    Raises
    ------
    UsageError
        `eps` is no such number.
    """
    if not 0 <= eps < 1:
        raise UsageError(f"eps = {eps:g}; expected the largest error of a lane, 0 to 1, for example {EPS:g}")
    lanes = [lane for track in session.tracks for plugin in track.plugins for lane in plugin.lanes]
    known = session.thinning
    if not lanes:
        return session, []
    if known is not None and eps <= known.eps:
        note = f"the lanes are those of a thinning with eps {known.eps:g}, finer than {eps:g} they can't get"
        return session, [note] if eps < known.eps else []
    tracks = []
    for track in session.tracks:
        plugins = [
            msgspec.structs.replace(plugin, lanes=tuple(_thin(lane, eps) for lane in plugin.lanes))
            for plugin in track.plugins
        ]
        tracks.append(msgspec.structs.replace(track, plugins=tuple(plugins)))
    before = sum(len(lane.times) for lane in lanes)
    after = sum(len(lane.times) for track in tracks for plugin in track.plugins for lane in plugin.lanes)
    if after == before:
        return session, []
    thinning = Thinning(
        eps=eps + (known.eps if known else 0.0),
        points_before=known.points_before if known else before,
        points_after=after,
    )
    notes = [f"thinned {before} points to {after}, at most {eps:g} of each control's range off the session's lanes"]
    if any(track.role == "render" for track in session.tracks):
        notes.append("the muted render is of the session's own lanes: it no longer cancels what the DAW plays")
    return msgspec.structs.replace(session, tracks=tuple(tracks), thinning=thinning), notes


def _thin(lane: Lane, eps: float) -> Lane:
    if lane.hold or len(lane.times) < 3:
        return lane
    keep = line_points(np.asarray(lane.times), np.asarray(lane.raw), eps)
    return msgspec.structs.replace(
        lane, **{name: tuple(np.asarray(getattr(lane, name))[keep].tolist()) for name in ("times", "raw", "plain")}
    )
