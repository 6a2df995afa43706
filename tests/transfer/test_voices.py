"""Changes of tone told from changes of voice, on real clips with changes that we made: the truth is known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from blackbox_afx.audio import normalise_peak, read_audio
from blackbox_afx.data.equaliser import equalise, section
from blackbox_afx.transfer.automate import produced
from blackbox_afx.transfer.sections import PENALTY, find_changes
from blackbox_afx.transfer.voices import group_voices, other_voice, pool
from blackbox_afx.transfer.windows import Course, follow_blocks

RATE, BLOCK = 24000, 16384
CLIPS = ("test/darkman", "test/lili", "val/pim")


def clip(folder: Path, name: str) -> np.ndarray:
    audio, _ = read_audio(folder / f"{name}.flac", sample_rate=RATE)
    return normalise_peak(audio.mean(axis=0), -12.0)[0].astype(np.float32)


def through_shelves(audio: np.ndarray, gain_db: float = 10.0) -> np.ndarray:
    shelves = [
        section("low_shelf", gain_db, 400.0, 0.707, RATE),
        section("high_shelf", -gain_db, 2500.0, 0.707, RATE),
    ]
    return equalise(audio, shelves).astype(np.float32)


def course_of(*parts: np.ndarray) -> Course:
    audio = np.concatenate(parts)
    return follow_blocks((audio[at : at + BLOCK] for at in range(0, len(audio), BLOCK)), RATE, BLOCK)


def sections_of(course: Course, penalty: float = PENALTY) -> tuple[np.ndarray, list[int]]:
    edges = find_changes(course.shapes, course.heard, penalty=penalty)
    return edges, group_voices([pool(course.prints[a:b]) for a, b in pairwise(edges)])


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("gain_db", [-10.0, 10.0])
@pytest.mark.parametrize("again", [False, True])
def test_a_shelf_half_way_is_a_change_of_tone_there(demo_audio, name, gain_db, again):
    """Whether the words come again or not."""
    audio = clip(demo_audio, name)
    before, after = (audio, audio) if again else np.array_split(audio, 2)
    course = course_of(before, through_shelves(after, gain_db))
    # By Schwarz's own criterion: the default leaves some changes in clips as short as these alone.
    edges, voices = sections_of(course, penalty=1.0)
    assert len(edges) == 3
    assert abs(edges[1] - len(before) / BLOCK) <= 1
    assert voices == [0, 0]
    first, second = produced(course, edges)
    # The low shelf up and the high one down: the first coefficient of tone is a slope.
    assert np.sign(second[1] - first[1]) == np.sign(gain_db)
    assert abs(second[1] - first[1]) > 4


@pytest.mark.parametrize("name", CLIPS)
def test_a_steady_clip_is_one_section(demo_audio, name):
    audio = clip(demo_audio, name)
    assert len(sections_of(course_of(audio))[0]) == 2
    assert len(sections_of(course_of(audio, audio))[0]) == 2


def test_voices_in_turn_are_not_produced_differently(demo_audio):
    one, other = clip(demo_audio, "test/darkman"), clip(demo_audio, "test/lili")
    course = course_of(one, other, one, other)
    edges, voices = sections_of(course)
    assert voices == [0, 1, 0, 1]
    turns = np.cumsum([0, len(one), len(other), len(one), len(other)]) / BLOCK
    np.testing.assert_allclose(edges, turns, atol=1.0)
    assert np.linalg.norm(produced(course, edges)[:, 1:], axis=1).max() < 1.0


def test_a_quiet_voice_is_brought_up_and_a_soft_one_is_not(demo_audio):
    one, other = clip(demo_audio, "test/darkman"), clip(demo_audio, "test/lili")
    for step_db, least, most in ((0.0, 0.0, 0.5), (-20.0, 12.0, 20.0)):
        course = course_of(one, other * np.float32(10 ** (step_db / 20)))
        edges, voices = sections_of(course)
        assert voices == [0, 1]
        states = produced(course, edges)
        assert least <= states[0, 0] - states[1, 0] <= most


def test_filters_and_gains_leave_a_voice_what_it_is(demo_audio):
    one, other = clip(demo_audio, "test/darkman"), clip(demo_audio, "test/lili")
    prints = [
        pool(course_of(audio).prints)
        for audio in (one, one * np.float32(0.05), through_shelves(one), through_shelves(one, -10.0), other)
    ]
    odds = [other_voice(prints[0], each) for each in prints]
    assert max(odds[:4]) < -1
    assert odds[4] > 1
    assert odds[4] == pytest.approx(other_voice(prints[4], prints[0]))


def test_what_is_too_short_to_tell_is_not_taken_for_the_same_voice(demo_audio):
    course = course_of(clip(demo_audio, "test/darkman"))
    some = course.prints[0]
    assert other_voice(pool([]), some) == float("inf")
    assert group_voices([pool([]), some, pool([])])[0] == 0
    assert group_voices([]) == []
