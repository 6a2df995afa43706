"""Which recordings are learned from, and which are held out.

Conventions: a group (speaker, song, file) is never on both sides. The choice depends on the seed and on the names
alone, so that it is the same on every machine, and adding a recording moves few others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

MIN_GROUPS = 5
"""With fewer sub-folders than this, one held out would be too much; files are held out instead."""


def _order(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()


def hold_out(groups: Sequence[str], seed: int, share: float = 0.1) -> set[str]:
    """Choose the groups that are held out for validation.

    Parameters
    ----------
    groups : sequence of str
        Their names; repetitions count once.
    seed : int
        Another one chooses others.
    share : float in (0, 1)
        The part of the groups to hold out: at least one, never all.

    Returns
    -------
    set of str
        Empty where there is a single group.
    """
    names = sorted(set(groups), key=lambda group: _order(seed, group))
    count = min(max(1, round(share * len(names))), len(names) - 1)
    return set(names[:count])


def group_of(relative: str, folders: int) -> str:
    """Name the group of a file: its top sub-folder, or the file itself where sub-folders are few.

    Parameters
    ----------
    relative : str
        Its path inside the folder, with forward slashes.
    folders : int
        How many top sub-folders there are.
    """
    top, slash, _ = relative.partition("/")
    return top if slash and folders >= MIN_GROUPS else relative


def deal_speakers(rows: Sequence[Mapping[str, str]]) -> tuple[list[str], int]:
    """Complete a corpus's splits so that nobody is heard on two sides.

    Parameters
    ----------
    rows : sequence of mapping
        With `split` (train, val, test or empty, which counts as train) and `speaker`.

    Returns
    -------
    splits : list of str
        Of each row; empty for one that is left out.
    left_out : int
        Rows whose speaker or artist is also in the corpus's own test or validation part.

    Notes
    -----
    What the corpus holds out stays held out. Where it has no test or no validation part, a twentieth of those who
    speak in the training part is held out for it, a tenth where they are fewer than a hundred. It is always the same
    twentieth, so that what one command learns from no other tests on.
    """
    given = [row.get("split", "") or "train" for row in rows]
    people = [row["speaker"] for row in rows]

    def heard(split: str) -> set[str]:
        return {who for who, part in zip(people, given, strict=True) if part == split}

    test = heard("test")
    learned = heard("train") - test
    if learned and not test:
        test = hold_out(sorted(learned), 0, _share(learned))
        given = ["test" if who in test else part for who, part in zip(people, given, strict=True)]
    val = heard("val") - test
    learned = heard("train") - test
    if learned and not val:
        val = hold_out(sorted(learned), 1, _share(learned))
        given = ["val" if who in val and part == "train" else part for who, part in zip(people, given, strict=True)]
    splits = [
        "" if (part != "test" and who in test) or (part == "train" and who in val) else part
        for who, part in zip(people, given, strict=True)
    ]
    return splits, splits.count("")


def _share(people: set[str]) -> float:
    return 0.05 if len(people) >= 100 else 0.1
