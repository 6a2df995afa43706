"""The static curve of a compressor: how much a steady level is reduced."""

from __future__ import annotations

from torch import Tensor

_HARD_KNEE_DB = 1e-4


def gain_reduction_db(level_db: Tensor, threshold_db: Tensor, ratio: Tensor, knee_db: Tensor) -> Tensor:
    """Compute by how many dB a level is reduced.

    Zero below the knee, ``(1 - 1/R)(x - T + W/2)^2 / (2W)`` inside it, ``(1 - 1/R)(x - T)`` above.

    Parameters
    ----------
    level_db : Tensor [...]
    threshold_db, ratio, knee_db : Tensor
        Broadcast against the level; ratio >= 1, knee >= 0 (its whole width).

    Returns
    -------
    Tensor [...]
        dB, zero or above.

    Notes
    -----
    Continuous, with a continuous slope, for every width; a knee below 0.0001 dB counts as that, so that 0 is safe.
    The 2022 style-transfer code printed another formula, which jumps by up to several dB at the knee's upper end.

    References
    ----------
    Giannoulis, Massberg, Reiss, "Digital dynamic range compressor design", JAES 60(6), 2012, eq. 4.
    """
    knee = knee_db.clamp(min=_HARD_KNEE_DB)
    over = level_db - threshold_db
    # The part of the excess that lies inside the knee, 0 to W; what is above it goes up one for one.
    inside = (over + knee / 2.0).clamp(min=0.0).minimum(knee)
    above = (over - knee / 2.0).clamp(min=0.0)
    return (1.0 - 1.0 / ratio) * (inside.square() / (2.0 * knee) + above)
