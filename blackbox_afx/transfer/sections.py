"""Cut a recording into sections that each sound alike: where level or tone change, and only there.

Conventions: N blocks in time order, D measurements each, in dB; a section is a run of blocks.
"""

from __future__ import annotations

import numpy as np

PENALTY = 2.0
"""How much of the misfit that chance would leave over a cut must explain to be made; 1 is Schwarz's criterion."""
SHORTEST = 4


def find_sections(
    blocks: np.ndarray, weights: np.ndarray | None = None, *, penalty: float = PENALTY, shortest: int = SHORTEST
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

    Returns
    -------
    int [sections + 1]
        Where sections begin, from 0, and N.

    Notes
    -----
    Optimal partitioning in O(N^2): each cut costs `penalty` times (D + 1) log N, against squared distances in units of
    the jitter, which is measured on neighbouring blocks so that steps do not count.

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
    scaled = blocks / np.maximum(jitter(heard), 0.5)
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
