"""Measure what is usual within a take of one voice, on which cutting and telling voices apart rest.

    python scripts/calibrate_sections.py recordings/ [type=speech]

reads the split `train`, and prints SPREAD of `transfer/sections.py`, and FINE_BY_CHANCE, MOVES_BY_CHANCE and ODDS of
`transfer/voices.py`; of `val` it prints how often they err, which they were not fitted to.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from blackbox_afx.audio import normalise_peak
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.data.equaliser import equalise, section
from blackbox_afx.transfer import voices
from blackbox_afx.transfer.sections import TONES, find_changes
from blackbox_afx.transfer.windows import Course, follow_blocks

RATE, BLOCK = 24000, 16384
LENGTHS = (3, 4, 5, 7, 10)
"""Blocks of the passages that are compared."""


def course_of(audio: np.ndarray) -> Course:
    """Measure a recording in memory."""
    mono = np.ascontiguousarray(audio, np.float32)
    return follow_blocks((mono[at : at + BLOCK] for at in range(0, len(mono), BLOCK)), RATE, BLOCK)


def load(folder: Path, where: str, split: str) -> list[dict[str, Course]]:
    """Measure each speaker's longest clip: as it is, through two shelves, and with the shelves from the middle on."""
    longest: dict[str, np.ndarray] = {}
    found = find_audio(folder, where=where, purpose="benchmark", seed=0)
    for clip in load_clips(found, split, sample_rate=RATE).clips:
        if len(clip.audio) > len(longest.get(clip.speaker, ())):
            longest[clip.speaker] = clip.audio
    rng, measured = np.random.default_rng(1), []
    for audio in (normalise_peak(longest[name], -12.0)[0] for name in sorted(longest)):
        gain = 10.0 * float(rng.choice([-1.0, 1.0]))
        shelves = [section("low_shelf", gain, 400.0, 0.707, RATE), section("high_shelf", -gain, 2500.0, 0.707, RATE)]
        before, after = np.array_split(audio, 2)
        measured.append(
            {
                "steady": course_of(audio),
                "shelved": course_of(equalise(audio, shelves)),
                "changed": course_of(np.concatenate([before, equalise(after, shelves)])),
            }
        )
    return measured


def spread(takes: list[dict[str, Course]]) -> np.ndarray:
    """Pool the covariance of blocks within takes."""
    found = []
    for course in (take["steady"] for take in takes):
        weights = course.heard / course.heard.max()
        if np.count_nonzero(weights) < 6:
            continue
        apart = course.shapes - np.average(course.shapes, axis=0, weights=weights)
        share = 1 - np.sum(weights**2) / weights.sum() ** 2
        found.append((apart * weights[:, None]).T @ apart / weights.sum() / share)
    return np.mean(found, axis=0)[: 1 + TONES, : 1 + TONES]


def pairs(takes: list[dict[str, Course]]) -> dict[str, np.ndarray]:
    """Compare passages: of one take, of one take and through shelves, of two voices; rows as `row` makes them."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[list[float]]] = {"steady": [], "shelved": [], "voice": []}
    for k, take in enumerate(takes):
        for length in np.repeat(LENGTHS, 2):
            other = takes[(k + rng.integers(1, len(takes))) % len(takes)]["steady"].prints
            if min(len(take["steady"].prints), 2 * len(other)) < 2 * length:
                continue
            start = rng.integers(0, len(take["steady"].prints) - 2 * length + 1)
            there = rng.integers(0, len(other) - length + 1)
            one = voices.pool(take["steady"].prints[start : start + length])
            for kind in ("steady", "shelved"):
                rows[kind] += row(one, voices.pool(take[kind].prints[start + length : start + 2 * length]))
            rows["voice"] += row(one, voices.pool(other[there : there + length]))
    return {kind: np.array(found) for kind, found in rows.items()}


def row(one: voices.Print, other: voices.Print) -> list[list[float]]:
    """Give both distances as they are, and what they hang on by chance; nothing where too little is heard."""
    found = voices.compare(one, other)
    if found is None:
        return []
    frames, steps = 1 / one.frames + 1 / other.frames, 1 / one.steps + 1 / other.steps
    fine, moves = voices.FINE_BY_CHANCE, voices.MOVES_BY_CHANCE
    return [[found[0] * (fine[0] + fine[1] * frames), found[1] * (moves[0] + moves[1] * steps), frames, steps]]


def by_chance(distance: np.ndarray, over: np.ndarray) -> np.ndarray:
    """Fit distance = a + b * over, by the mean absolute error of its logarithm."""

    def misfit(logs: np.ndarray) -> float:
        return float(np.mean(np.abs(np.log(distance) - np.log(np.exp(logs[0]) + np.exp(logs[1]) * over))))

    return np.exp(minimize(misfit, [-1.0, 4.0], method="Nelder-Mead", options={"maxiter": 4000}).x)


def main() -> None:
    """Print the constants and what they are worth."""
    folder, where = Path(sys.argv[1]), (sys.argv[2:] or ["type=speech"])[0]
    train = load(folder, where, "train")
    print("SPREAD\n", spread(train).round(1))
    found = pairs(train)
    same = np.concatenate([found["steady"], found["shelved"]])
    fine, moves = by_chance(same[:, 0], same[:, 2]), by_chance(same[:, 1], same[:, 3])
    print("FINE_BY_CHANCE", fine.round(3), "MOVES_BY_CHANCE", moves.round(4))

    def logs(rows: np.ndarray) -> np.ndarray:
        usual = [fine[0] + fine[1] * rows[:, 2], moves[0] + moves[1] * rows[:, 3]]
        return np.stack([np.ones(len(rows)), np.log(rows[:, 0] / usual[0]), np.log(rows[:, 1] / usual[1])], axis=1)

    def loss(odds: np.ndarray) -> float:
        other, one = logs(found["voice"]) @ odds, logs(same) @ odds
        return float(np.mean(np.logaddexp(0, -other)) + np.mean(np.logaddexp(0, one)))

    odds = minimize(loss, np.zeros(3)).x
    print("ODDS", odds.round(2))
    held_out = load(folder, where, "val")
    for name, takes in (("train", train), ("val", held_out)):
        for kind, rows in pairs(takes).items():
            print(f"{name}: {kind}: taken for another voice {np.mean(logs(rows) @ odds > 0):.2f} of {len(rows)}")
        for kind in ("steady", "changed"):
            edges = [find_changes(take[kind].shapes, take[kind].heard) for take in takes]
            print(f"{name}: {kind}: cut {np.mean([len(list(pairwise(one))) > 1 for one in edges]):.2f} of {len(edges)}")


if __name__ == "__main__":
    main()
