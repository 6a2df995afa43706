"""The numpy distance is the torch one, to rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_afx.features.distance import TYPICAL, band_weights, sound_distance, sound_parts
from blackbox_afx.features.statistics import DIMENSION, LAYOUT
from blackbox_afx.losses.sound import SoundDistance


def test_it_is_what_torch_trains_with():
    rng = np.random.default_rng(0)
    estimate, target = rng.normal(-40, 15, (2, 5, DIMENSION))
    estimate[0, LAYOUT["mean_power"]] = 1e3
    torches = SoundDistance().double()
    expected = torches(torch.from_numpy(estimate), torch.from_numpy(target)).numpy()
    # The torch weights are stored as float32.
    np.testing.assert_allclose(sound_distance(estimate, target), expected, rtol=1e-6)
    np.testing.assert_allclose(sound_distance(estimate[2], target[2]), expected[2], rtol=1e-6)
    parts = torches.parts(torch.from_numpy(estimate), torch.from_numpy(target))
    assert parts.keys() == sound_parts(estimate, target).keys() == TYPICAL.keys()
    for name, part in sound_parts(estimate, target).items():
        np.testing.assert_allclose(part, parts[name].numpy(), rtol=1e-6, err_msg=name)


def test_weights_share_out_both_axes():
    for weights in band_weights():
        assert weights.sum() == pytest.approx(1.0)
        assert (weights > 0).all()
