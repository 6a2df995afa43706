"""Colour and content told apart: against scipy's normal densities, a filter that is known, and mean spectra."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from scipy import signal
from scipy.special import softmax
from scipy.stats import multivariate_normal

from blackbox_afx import shelf
from blackbox_afx.audio import read_audio
from blackbox_afx.features.hearing import FEATURES, hear, heard_shape
from blackbox_afx.features.mixture import (
    ACTIVE_DB,
    DEEPEST_DB,
    FILE,
    OCCUPANCY_SCALE,
    TEMPER,
    TURNS,
    active_shapes,
    coloured_dimension,
    coloured_statistics,
    shipped_mixture,
)
from blackbox_afx.features.statistics import BANDS, DIMENSION, band_centres, spectra, statistics

RATE, STRETCH = 24000, 65536


def voices() -> list[np.ndarray]:
    """Stretches of the demo's recordings, at 24 kHz."""
    found = []
    for path in sorted(shelf.demo_audio().rglob("*.flac")):
        audio, _ = read_audio(path, sample_rate=RATE, mono=True)
        found += [audio[0, k : k + STRETCH] for k in range(0, audio.shape[1] - STRETCH + 1, STRETCH)][:2]
    return found


def colour(audio: np.ndarray) -> np.ndarray:
    return shipped_mixture().separate(active_shapes(spectra(audio, RATE).decibels))[0]


def mean_shape(audio: np.ndarray) -> np.ndarray:
    return active_shapes(spectra(audio, RATE).decibels).mean(0)


def shelving() -> tuple[np.ndarray, np.ndarray]:
    """A high-pass filter of the first order at 1.5 kHz, and its response in the bands, in dB of mean 0."""
    sections = signal.butter(1, 1500, "high", fs=RATE, output="sos")
    response = 20 * np.log10(np.abs(signal.sosfreqz(sections, band_centres(), fs=RATE)[1]))
    return sections, response - response.mean()


def test_the_mixture_is_the_one_that_controllers_were_learned_on():
    """Another mixture, or other constants, would make every controller hear something else: it needs another name."""
    mixture = shipped_mixture()
    parts = [getattr(mixture, name).tobytes() for name in ("means", "deviation", "log_prior", "typical")]
    constants = repr((TEMPER, TURNS, ACTIVE_DB, DEEPEST_DB, OCCUPANCY_SCALE)).encode()
    assert hashlib.sha256(b"".join([*parts, constants])).hexdigest()[:16] == "bf7855373953433a"


def test_the_mixture_says_where_it_comes_from():
    with np.load(FILE) as file:
        about = json.loads(str(file["about"]))
    assert {"command", "seed", "minutes", "sources", "versions"} <= set(about)


def test_classes_are_told_as_normal_densities_do():
    mixture = shipped_mixture()
    shapes = active_shapes(spectra(voices()[0], RATE).decibels)[:20]
    filtered = np.linspace(-3, 3, BANDS).astype(np.float32)
    densities = np.stack(
        [
            multivariate_normal(mean, np.diag(mixture.deviation.astype(float) ** 2)).logpdf(shapes - filtered)
            for mean in mixture.means.astype(float)
        ],
        axis=1,
    )
    expected = softmax(TEMPER * densities + mixture.log_prior, axis=1).mean(0)
    found = mixture.occupancy(mixture.votes(shapes), filtered)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert found.sum() == pytest.approx(1, abs=1e-4)


def test_a_filter_is_found_and_a_gain_is_not_heard():
    sections, response = shelving()
    gaps, moved = [], []
    for audio in voices():
        filtered = signal.sosfilt(sections, audio).astype(np.float32)
        gaps.append(np.abs(colour(filtered) - colour(audio) - response).mean())
        moved.append(np.abs(colour(0.5 * audio) - colour(audio)).mean())
    assert np.abs(response).mean() > 5
    assert np.mean(gaps) < 1.5
    # Quiet bands lie at the floor of decibels and don't move with the gain.
    assert np.mean(moved) < 0.5


def test_styles_of_different_words_differ_as_filters_do_better_than_mean_spectra_say():
    """One half of a recording is filtered and the other is not: content is in the way of mean spectra."""
    sections, response = shelving()
    by_colour, by_mean = [], []
    for path in sorted(shelf.demo_audio().rglob("*.flac")):
        audio, _ = read_audio(path, sample_rate=RATE, mono=True)
        first, second = audio[0, :STRETCH], signal.sosfilt(sections, audio[0, STRETCH : 2 * STRETCH])
        second = second.astype(np.float32)
        if len(second) < STRETCH:
            continue
        for how, gaps in ((colour, by_colour), (mean_shape, by_mean)):
            gaps.append(np.abs(how(second) - how(first) - response).mean())
    assert len(by_mean) >= 3
    assert np.mean(by_colour) < 0.9 * np.mean(by_mean)


def test_the_statistics_come_first_and_everything_is_finite():
    rng = np.random.default_rng(0)
    sounds = [
        voices()[0],
        np.zeros(1000, np.float32),
        np.full(5, np.nan, np.float32),
        (1e6 * rng.standard_normal(30000)).astype(np.float32),
        np.eye(1, 30000, 100, dtype=np.float32)[0],
    ]
    for audio in sounds:
        found = coloured_statistics(audio, RATE)
        assert found.shape == (coloured_dimension(),)
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found[:DIMENSION], statistics(audio, RATE))


def test_a_voice_and_a_hiss_are_of_different_classes():
    rng = np.random.default_rng(0)
    shares = [
        coloured_statistics(audio, RATE)[DIMENSION + BANDS :]
        for audio in (voices()[0], (0.1 * rng.standard_normal(STRETCH)).astype(np.float32))
    ]
    shares = [share / share.sum() for share in shares]
    assert np.minimum(*shares).sum() < 0.4


@pytest.mark.parametrize("hears", ["audio", *FEATURES])
def test_what_is_heard_has_the_shape_that_is_said(hears):
    audio = np.arange(5000, dtype=np.float32) / 5000
    found = hear(hears, audio, RATE, 8000)
    assert found.shape == heard_shape(hears, 8000)
    assert found.dtype == np.float32
    if hears == "audio":
        np.testing.assert_array_equal(found[5000:], audio[:3000])
