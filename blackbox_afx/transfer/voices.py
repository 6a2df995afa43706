"""Tell a change of what is heard from a change of how it was produced.

An equaliser, a gain or another distance to the microphone adds a smooth curve to the spectrum of every frame. It leaves
alone what is fine in the mean spectrum, and how spectra change from frame to frame. Another speaker or instrument moves
both.

Conventions: B bands; cepstra are cosine coefficients of a spectrum in dB, scaled so that their root sum of squares is
the RMS over bands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from scipy import fft, linalg

SMOOTH = 6
"""Cepstra below this are what an equaliser may move."""
FINE = 20
"""Cepstra from here on are left out: they hang on single harmonics."""
MOVES = 14
"""Cepstra whose changes from frame to frame are compared."""
FLOOR = 0.05
"""Added to variances of changes, dB^2: where nothing changes at all, nothing is told by that."""
LEAST = 20.0
"""Frames that a voice is known by at least."""
FINE_BY_CHANCE = (0.95, 87.7)
MOVES_BY_CHANCE = (0.0105, 21.8)
ODDS = (-3.65, 2.54, 4.21)


class Print(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold sums over frames that tell who or what is heard; prints of longer passages are sums of these.

    Parameters
    ----------
    frames : float
        In which something is heard.
    cepstra : float64 [FINE]
        Summed over those.
    steps : float
        From a frame to the next.
    moves : float64 [MOVES, MOVES]
        Products of the cepstra's changes, summed over those.
    """

    frames: float
    cepstra: np.ndarray
    steps: float
    moves: np.ndarray


def take_print(bands: np.ndarray, counts: np.ndarray, moving: np.ndarray) -> Print:
    """Sum up frames.

    Parameters
    ----------
    bands : float [frames, B]
        Levels, dB.
    counts, moving : bool [frames]
        Which are heard; between which changes count.
    """
    cepstra = fft.dct(bands.astype(np.float64), axis=1, norm="ortho")[:, :FINE] / np.sqrt(bands.shape[1])
    change = np.diff(cepstra[:, :MOVES], axis=0)[moving[1:] & moving[:-1]]
    return Print(
        frames=float(np.sum(counts)),
        cepstra=cepstra[counts].sum(axis=0),
        steps=float(len(change)),
        moves=change.T @ change,
    )


def pool(prints: Iterable[Print]) -> Print:
    """Add prints up; of none, an empty one."""
    many = list(prints)
    return Print(
        frames=sum(one.frames for one in many),
        cepstra=sum((one.cepstra for one in many), np.zeros(FINE)),
        steps=sum(one.steps for one in many),
        moves=sum((one.moves for one in many), np.zeros((MOVES, MOVES))),
    )


def compare(one: Print, other: Print) -> tuple[float, float] | None:
    """Measure how different two passages are in what no smooth filter changes.

    Parameters
    ----------
    one, other : Print

    Returns
    -------
    float
        Squared difference of fine cepstra, dB^2, over what is usual within one take of a speaker; about 1 for the same.
    float
        Sphericity of the changes of one against the other, over what is usual; about 1 for the same.
    None
        Where too little is heard to tell.

    References
    ----------
    Bimbot, Magrin-Chagnolleau and Mathan, "Second-order statistical measures for text-independent speaker
    identification", Speech Communication 17(1-2), 1995: the arithmetic-harmonic sphericity, here of changes.
    """
    if min(one.frames, other.frames, one.steps, other.steps) < LEAST:
        return None
    fine = (one.cepstra / one.frames - other.cepstra / other.frames)[SMOOTH:]
    floor = FLOOR * np.eye(MOVES)
    mine, theirs = one.moves / one.steps + floor, other.moves / other.steps + floor
    ratios = np.asarray(linalg.eigh(mine, theirs, eigvals_only=True))
    sphericity = np.log(np.mean(ratios) * np.mean(1.0 / ratios))
    frames, steps = 1 / one.frames + 1 / other.frames, 1 / one.steps + 1 / other.steps
    return (
        float(fine @ fine / (FINE_BY_CHANCE[0] + FINE_BY_CHANCE[1] * frames)),
        float(sphericity / (MOVES_BY_CHANCE[0] + MOVES_BY_CHANCE[1] * steps)),
    )


def other_voice(one: Print, other: Print) -> float:
    """Give the log odds that another voice is heard, and not the same one produced differently.

    Returns
    -------
    float
        Above 0: another voice. Infinite where too little is heard to tell: what is not known to be the same voice must
        not be taken for a change of tone.
    """
    found = compare(one, other)
    if found is None:
        return float("inf")
    return ODDS[0] + float(np.dot(ODDS[1:], np.log(np.maximum(found, 1e-9))))


def group_voices(prints: Sequence[Print]) -> list[int]:
    """Say which passages are of one voice.

    Parameters
    ----------
    prints : sequence of Print
        Of passages in the order of time.

    Returns
    -------
    list of int
        Voices, numbered as they come in: a passage is of the voice so far that it is most like, or of a new one.
    """
    voices: list[Print] = []
    found = []
    for one in prints:
        odds = [other_voice(voice, one) for voice in voices]
        best = int(np.argmin(odds)) if odds else 0
        if odds and odds[best] < 0:
            voices[best] = pool([voices[best], one])
        else:
            best = len(voices)
            voices.append(one)
        found.append(best)
    return found
