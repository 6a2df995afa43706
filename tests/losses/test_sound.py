"""The sound distance: zero for the same, growing with the error, smooth enough to descend."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_afx.features.statistics import DIMENSION, LAYOUT, statistics
from blackbox_afx.losses.sound import TYPICAL, SoundDistance

RATE = 24000


def heard(gain_db: float = 0.0, seed: int = 0) -> torch.Tensor:
    audio = 0.05 * np.random.default_rng(seed).normal(size=RATE)
    return torch.from_numpy(statistics((audio * 10 ** (gain_db / 20)).astype(np.float32), RATE))[None]


def test_nothing_between_a_recording_and_itself():
    both = torch.cat([heard(), heard(seed=1)])
    assert torch.equal(SoundDistance()(both, both), torch.zeros(2))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0.5, 18), min_size=2, max_size=6, unique=True), st.sampled_from([-1, 1]))
def test_it_grows_with_a_gain(gains, sign):
    gains = sorted(gains)
    distance = SoundDistance()
    found = [float(distance(heard(sign * gain), heard())) for gain in gains]
    assert all(second > first for first, second in pairwise(found) if second != first)
    assert found[0] > 0
    assert found[-1] == max(found)


@pytest.mark.parametrize("gain_db", [3.0, -8.0])
def test_a_plain_gain_is_measured_in_its_decibels(gain_db):
    parts = SoundDistance().parts(heard(gain_db), heard())
    for name in ("stft", "mel", "rms", "loudness", "levels"):
        assert float(parts[name]) == pytest.approx(abs(gain_db), abs=0.01), name
    assert float(parts["centroid"]) < 1e-3
    assert parts.keys() == TYPICAL.keys()


def test_linear_amplitudes_also_count_as_a_share_of_what_is_there():
    distance = SoundDistance()
    loud = distance.parts(heard(6.0), heard(0.0))
    quiet = distance.parts(heard(-34.0), heard(-40.0))
    # 2 (g - 1) / (g + 1) for an amplitude ratio g, however loud both are.
    ratio = 10 ** (6 / 20)
    assert float(loud["share"]) == pytest.approx(2 * (ratio - 1) / (ratio + 1), abs=1e-3)
    assert float(quiet["share"]) == pytest.approx(float(loud["share"]), rel=0.02)
    assert float(quiet["linear"]) < 0.02 * float(loud["linear"])
    without = SoundDistance(shares=False)(heard(6.0), heard())
    assert float(distance(heard(6.0), heard()) - without) == pytest.approx(
        float(loud["share"]) / TYPICAL["share"], rel=1e-5
    )


def test_it_is_symmetric_and_one_row_a_pair():
    a, b = torch.cat([heard(), heard(6)]), torch.cat([heard(seed=2), heard(-3)])
    distance = SoundDistance()
    assert torch.allclose(distance(a, b), distance(b, a))
    assert distance(a, b).shape == (2,)
    assert torch.allclose(distance(a, b)[1:], distance(a[1:], b[1:]))


def test_its_gradient_is_right():
    distance = SoundDistance().double()
    rng = np.random.default_rng(0)
    estimate = torch.from_numpy(rng.normal(-40, 10, (2, DIMENSION))).requires_grad_()
    target = torch.from_numpy(rng.normal(-40, 10, (2, DIMENSION)))
    assert torch.autograd.gradcheck(lambda x: distance(x, target), (estimate,), eps=1e-5, fast_mode=True)


def test_absurd_levels_do_not_overflow():
    wild = heard()
    wild[:, LAYOUT["mean_power"]] = 1e4
    wild.requires_grad_()
    loss = SoundDistance()(wild, heard())
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(wild.grad).all()
