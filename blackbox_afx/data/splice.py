"""Put a recording together anew from its pieces: a short one then gives more than one pair of halves to learn from."""

from __future__ import annotations

import numpy as np

PIECE_S, QUIET_S, FADE_S = (0.4, 1.2), 0.2, 0.02
"""Shortest and longest piece that is asked for, how far a cut moves on to where it is quiet, and how long one piece
fades into the next, seconds; the last piece is up to half a second longer."""
PIECES = 5
"""A clip that is too short for pieces of that length is cut into about so many shorter ones."""


def splice(rng: np.random.Generator, audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """Cut a recording where it is quiet, and put the pieces together in another order.

    Parameters
    ----------
    rng : np.random.Generator
    audio : float32 [samples]
        Mono.
    sample_rate : float
        Hertz.

    Returns
    -------
    float32 [samples]
        As long as it came. A recording of less than a second is given as it is.

    Notes
    -----
    Spectra and levels over the whole stay as they are, and so does what is said within a piece; what spans more than a
    second, such as a phrase or a pump of a slow compressor, does not. Pieces fade into one another at equal power, as
    strangers do; two that are neighbours again meet as they did.
    """
    fade = max(2, round(FADE_S * sample_rate))
    shortest, longest, reach = (
        round(min(seconds * sample_rate, len(audio) * seconds / PIECE_S[1] / PIECES)) for seconds in (*PIECE_S, QUIET_S)
    )
    if shortest < 2 * fade or reach < 1:
        return audio
    # The last piece has nothing behind it to fade out with.
    ringing = np.pad(audio, (0, fade), mode="reflect")
    power = np.concatenate([[0.0], np.cumsum(np.square(ringing, dtype=np.float64))])
    cuts = [0]
    while len(audio) - cuts[-1] > longest + shortest + reach:
        wanted = cuts[-1] + int(rng.integers(shortest, longest + 1))
        # Both sides of a seam are heard for as long as a fade.
        heard = power[wanted + fade : wanted + fade + reach] - power[wanted : wanted + reach]
        cuts.append(wanted + int(np.argmin(heard)))
    ends = [*cuts[1:], len(audio)]
    order = rng.permutation(len(cuts))
    while len(order) > 1 and np.all(np.diff(order) == 1):
        order = rng.permutation(len(cuts))
    # Of each place, and one more for the end: whether the piece there follows its neighbour of the recording.
    follows = [False, *(np.diff(order) == 1), False]
    rise = np.sin(np.linspace(0.0, np.pi / 2, fade, dtype=np.float32))
    joined, at = np.zeros(len(ringing), np.float32), 0
    for place, piece in enumerate(order):
        part = ringing[cuts[piece] : ends[piece] + (0 if follows[place + 1] else fade)].copy()
        if place and not follows[place]:
            part[:fade] *= rise
        if not follows[place + 1]:
            part[-fade:] *= rise[::-1]
        joined[at : at + len(part)] += part
        at += ends[piece] - cuts[piece]
    return joined[:at]
