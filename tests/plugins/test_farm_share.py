"""How jobs are cut into chunks."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_afx.plugins.farm_share import LARGEST_S, SMALLEST_S, share


def finish(costs, chunks, workers, slow=1.0):
    """When the last worker is done, each taking the next chunk as it comes free; one is slower than the others."""
    free = np.zeros(workers)
    pace = np.ones(workers)
    pace[0] = slow
    for chunk in chunks:
        first = int(np.argmin(free))
        free[first] += pace[first] * sum(costs[k] for k in chunk)
    return free.max()


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 7, 16, 64, 500])
@pytest.mark.parametrize("cost", [1e-5, 8e-3, 0.03, 5.0])
def test_every_job_is_in_one_chunk_in_order(workers, count, cost):
    costs = list(cost * np.random.default_rng(count).uniform(0.5, 2, count))
    chunks = share(costs, workers)
    assert [place for chunk in chunks for place in chunk] == list(range(count))
    sizes = [sum(costs[place] for place in chunk) for chunk in chunks]
    assert all(len(chunk) == 1 or size <= 1.5 * LARGEST_S for chunk, size in zip(chunks, sizes, strict=True))
    assert len(chunks) <= 2 + sum(costs) / SMALLEST_S * 2


def test_no_worker_waits_longer_than_for_one_job_or_the_smallest_chunk():
    for cost in (0.002, 0.01, 0.03):
        for workers in (2, 4):
            costs = [cost] * 64
            ideal = sum(costs) / workers
            assert finish(costs, share(costs, workers), workers) <= ideal + max(cost, 2 * SMALLEST_S)


def test_a_slow_worker_is_given_less():
    costs = [0.01] * 64
    # Two workers at speeds 1 and 1/2 could be done in 2/3 of a single one's time.
    assert finish(costs, share(costs, 2), 2, slow=2.0) < 1.1 * (2 / 3 * sum(costs))
