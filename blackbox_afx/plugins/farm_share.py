"""Cut jobs into chunks that keep all workers busy to the end."""

from __future__ import annotations

from collections.abc import Sequence

SMALLEST_S = 0.01
"""Seconds a chunk holds at the least, where there are jobs enough: handing one out takes about half a millisecond."""
LARGEST_S = 1.0
"""Seconds above which results would come too seldom."""


def share(costs: Sequence[float], workers: int) -> list[range]:
    """Cut a row of jobs into chunks, in order: half of what is left, divided by the workers, at each turn.

    Parameters
    ----------
    costs : sequence of float > 0
        Seconds each.
    workers : int

    Returns
    -------
    list of range
        Places in `costs`. Together they are all of it, and none is empty.

    References
    ----------
    Polychronopoulos, Kuck: Guided self-scheduling, IEEE Transactions on Computers C-36 (1987), with half its chunks:
    a first chunk of a whole share would leave one worker waiting if another's core is slow.
    """
    chunks: list[range] = []
    left = sum(costs)
    start = 0
    while start < len(costs):
        size = min(max(left / (2 * workers), SMALLEST_S), LARGEST_S)
        end, taken = start, 0.0
        # A job belongs to the chunk in which most of it lies.
        while end < len(costs) and (end == start or taken + costs[end] / 2 <= size):
            taken += costs[end]
            end += 1
        chunks.append(range(start, end))
        left -= taken
        start = end
    return chunks
