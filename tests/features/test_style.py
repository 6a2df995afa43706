"""The style distance: what a gain must do to it, and that production counts for more than content."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from scipy import signal

from blackbox_afx.features.statistics import DIMENSION, statistics
from blackbox_afx.features.style import PARTS, style_distance, style_of, style_of_gain, style_parts, style_weights

RATE = 24000


def noise(seed: int = 0, gain_db: float = 0.0) -> np.ndarray:
    audio = 0.05 * np.random.default_rng(seed).standard_normal(4 * RATE)
    return (audio * 10 ** (gain_db / 20)).astype(np.float32)


def style(audio: np.ndarray) -> np.ndarray:
    return style_of(statistics(audio, RATE))


def test_parts_fill_the_vector_and_weights_are_as_stated():
    weights, parts = style_weights(), style_parts()
    assert weights.sum() == pytest.approx(1.0)
    assert parts.keys() == PARTS.keys()
    assert sorted(k for part in parts.values() for k in range(part.start, part.stop)) == list(range(len(weights)))
    total = sum(part.weight for part in PARTS.values())
    for name, part in PARTS.items():
        assert weights[parts[name]].sum() == pytest.approx(part.weight / total)
    assert style_of(np.zeros((3, DIMENSION))).shape == (3, len(weights))


def test_a_heavier_spectrum_leaves_the_rest_in_proportion():
    usual, heavy, place = style_weights(), style_weights(3.0), style_parts()["spectrum"]
    rest = np.delete(np.arange(len(usual)), place)
    assert heavy.sum() == pytest.approx(1.0)
    share = usual[place].sum()
    assert heavy[place].sum() == pytest.approx(3 * share / (1 + 2 * share))
    np.testing.assert_allclose(heavy[rest] / heavy[rest].sum(), usual[rest] / usual[rest].sum())
    gap = np.zeros(len(usual))
    gap[place] = 2.0
    assert style_distance(gap, 0 * gap, 3.0) > style_distance(gap, 0 * gap)


@pytest.mark.parametrize("gain_db", [4.0, -9.0])
def test_a_gain_moves_tone_and_loudness_by_its_decibels_and_no_dynamics(gain_db):
    gap = style(noise(gain_db=gain_db)) - style(noise())
    for name in ("spectrum", "body", "loud", "loudness"):
        np.testing.assert_allclose(gap[style_parts()[name]] * PARTS[name].noise, gain_db, atol=0.02, err_msg=name)
    for name in ("spread", "centroid", "crest", "dynamics", "steps"):
        np.testing.assert_allclose(gap[style_parts()[name]], 0.0, atol=0.02, err_msg=name)
    np.testing.assert_allclose(gap, gain_db * style_of_gain(), atol=0.02)


def test_distance_is_zero_at_home_symmetric_and_grows():
    here = style(noise())
    assert style_distance(here, here) == 0
    far = [style(noise(gain_db=gain)) for gain in (1.0, 3.0, 9.0)]
    distances = [float(style_distance(one, here)) for one in far]
    assert distances == sorted(distances)
    assert style_distance(far[0], here) == pytest.approx(style_distance(here, far[0]))


def test_two_stretches_of_one_voice_are_nearer_than_one_stretch_processed(demo_audio):
    """Real voices: other words in the same production against the same words, equalised or compressed."""
    numerator, denominator = signal.butter(1, 1500, "high", fs=RATE)
    for path in sorted((demo_audio / "train").glob("*.flac"))[:4]:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = audio.mean(1)
        half = len(mono) // 2
        first, second = (style_of(statistics(part, rate)) for part in (mono[:half], mono[half:]))
        thinned = signal.lfilter(numerator, denominator, mono[:half]).astype(np.float32)
        squashed = np.tanh(20 * mono[:half]).astype(np.float32)
        for changed in (thinned, squashed):
            assert style_distance(first, second) < style_distance(first, style_of(statistics(changed, rate)))
