"""Cut a recording into sections that each sound alike: where level or tone change, and only there.

Conventions: N blocks in time order, D measurements each, in dB; a section is a run of blocks.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

PENALTY = 1.25
"""How much of the misfit that chance would leave over a cut must explain to be made; 1 is Schwarz's criterion."""
SHORTEST = 4
TONES = 3
"""Coefficients of tone that are looked at for cuts; the finer ones tell more of words than of tone."""
SPREAD = np.array(
    [
        [12.5, -1.4, -4.2, -0.3],
        [-1.4, 6.2, -0.5, -2.4],
        [-4.2, -0.5, 3.8, 1.1],
        [-0.3, -2.4, 1.1, 3.5],
    ]
)
"""Covariance of a block's level and tone [1 + TONES] within a take of speech, dB^2."""


def find_changes(shapes: np.ndarray, heard: np.ndarray, *, penalty: float = PENALTY) -> np.ndarray:
    """Cut where the tone changes, and what lies between where the level does.

    Parameters
    ----------
    shapes : float64 [N, SHAPES]
        As `windows.Course`.
    heard : float64 [N]
        How much a block counts; 0 for pauses.
    penalty : float >= 0

    Returns
    -------
    int [sections + 1]
        Where sections begin, from 0, and N.
    """
    tone, level = slice(1, 1 + TONES), slice(0, 1)
    edges = [0]
    for start, end in pairwise(find_sections(shapes[:, tone], heard, penalty=penalty, spread=SPREAD[tone, tone])):
        inside = find_sections(
            shapes[start:end, level], heard[start:end], penalty=2.0 * penalty, spread=SPREAD[level, level]
        )
        edges += (start + inside[1:]).tolist()
    return np.array(edges)


def find_sections(
    blocks: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    penalty: float = PENALTY,
    shortest: int = SHORTEST,
    spread: np.ndarray | None = None,
) -> np.ndarray:
    """Fit a piecewise constant with as few pieces as the jitter allows.

    Parameters
    ----------
    blocks : float64 [N, D]
    weights : float64 [N], optional
        How much a block counts; 0 for pauses.
    penalty : float >= 0
    shortest : int >= 1
        Blocks of a section at least.
    spread : float64 [D, D], optional
        Covariance of blocks by chance; by default measured on neighbouring blocks, so that steps do not count.

    Returns
    -------
    int [sections + 1]
        Where sections begin, from 0, and N.

    Notes
    -----
    Optimal partitioning in O(N^2): each cut costs `penalty` times (D + 1) log N, against squared distances in units of
    the spread.

    References
    ----------
    Jackson et al., "An algorithm for optimal partitioning of data on an interval", IEEE Signal Processing Letters
    12(2), 2005. Schwarz, "Estimating the dimension of a model", Annals of Statistics 6(2), 1978.
    """
    count, width = blocks.shape
    weights = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    heard = blocks[weights > 0]
    if len(heard) < 2 * shortest:
        return np.array([0, count])
    weights = weights / weights.max()
    if spread is None:
        scaled = blocks / np.maximum(jitter(heard), 0.5)
    else:
        scaled = np.linalg.solve(np.linalg.cholesky(spread), blocks.T).T
    cost = penalty * (width + 1) * np.log(len(heard))
    # Sums from the start, so that any section's misfit is a difference.
    total = np.concatenate([[0.0], np.cumsum(weights)])
    first = np.concatenate([np.zeros((1, width)), np.cumsum(weights[:, None] * scaled, axis=0)])
    second = np.concatenate([[0.0], np.cumsum(weights * np.sum(scaled**2, axis=1))])
    best = np.full(count + 1, np.inf)
    best[0] = -cost
    begins = np.zeros(count + 1, int)
    for end in range(1, count + 1):
        starts = np.arange(0, max(end - shortest, 0) + 1)
        starts = starts[(starts == 0) | (starts >= shortest)]
        mass = np.maximum(total[end] - total[starts], 1e-9)
        misfit = second[end] - second[starts] - np.sum((first[end] - first[starts]) ** 2, axis=1) / mass
        tried = best[starts] + np.maximum(misfit, 0.0) + cost
        # A start that no allowed section reaches has an infinite best.
        choice = int(np.argmin(tried))
        best[end], begins[end] = tried[choice], starts[choice]
    edges = [count]
    while edges[-1]:
        edges.append(int(begins[edges[-1]]))
    return np.array(edges[::-1])


def jitter(blocks: np.ndarray) -> np.ndarray:
    """Estimate the standard deviation by chance of each measurement, from blocks [N, D].

    Returns
    -------
    float64 [D]
        From the median difference of neighbours, so that steps and slow changes do not count.
    """
    if len(blocks) < 2:
        return np.zeros(blocks.shape[1])
    return np.median(np.abs(np.diff(blocks, axis=0)), axis=0) / (0.6745 * np.sqrt(2.0))
