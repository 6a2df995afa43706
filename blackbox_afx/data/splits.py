"""Which recordings are learned from, and which are held out.

Conventions: a group (speaker, song, file) is never on both sides. The choice depends on the seed and on the names
alone, so that it is the same on every machine, and adding a recording moves few others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

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
