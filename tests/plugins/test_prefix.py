"""The prefix cache gives what rendering in full gives, and renders no more than it must."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.plugins.prefix import PrefixCache

SLICES = (slice(0, 2), slice(2, 3), slice(3, 5))
POINT = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=5, max_size=5)


def in_full(audio, raw):
    for part in SLICES:
        audio = audio * 3 + raw[part].sum() + 0.25 * len(raw[part])
    return audio


@given(st.lists(POINT, min_size=1, max_size=12), st.none() | POINT, st.integers(0, 6))
def test_equal_to_rendering_in_full(points, base, keep):
    cache = PrefixCache(SLICES, None if base is None else np.array(base), keep=keep)
    audio = np.ones((1, 4))
    for raw in np.array(points):
        out = cache.run(audio, raw, lambda k, x, raw=raw: x * 3 + raw[SLICES[k]].sum() + 0.25 * len(raw[SLICES[k]]))
        np.testing.assert_array_equal(out, in_full(audio, raw))
        assert len(cache.kept) <= keep + 3


def test_the_base_prefix_is_rendered_once():
    base = np.zeros(5)
    cache, steps = PrefixCache(SLICES, base), []
    points = []
    for k in range(8):
        one = base.copy()
        one[4] = k + 1  # the last plugin only
        other = base.copy()
        other[0] = k + 1  # everything
        points += [one, other]
    for raw in points:
        cache.run(None, raw, lambda k, x: steps.append(k))
    assert steps == [0, 1, 2, 0, 1, 2] + [2, 0, 1, 2] * 7
