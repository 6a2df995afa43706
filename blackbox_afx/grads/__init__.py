"""Derivatives of a black box from a few of its renders: one estimator a file, one protocol (`protocol.py`).

Numpy only; the torch side is `blackbox_afx.grads.bridge`, which is imported by its own name.
"""

from __future__ import annotations

from typing import Any

import msgspec

from blackbox_afx.errors import UsageError, nearest
from blackbox_afx.grads.differences import Differences
from blackbox_afx.grads.guided import Guided
from blackbox_afx.grads.orthogonal import Orthogonal
from blackbox_afx.grads.protocol import Estimator, ProbeState
from blackbox_afx.grads.spsa import SPSA
from blackbox_afx.grads.steps import step_sizes

__all__ = [
    "ESTIMATORS",
    "SPSA",
    "Differences",
    "Estimator",
    "Guided",
    "Orthogonal",
    "ProbeState",
    "make_estimator",
    "step_sizes",
]

ESTIMATORS: dict[str, type] = {
    "spsa": SPSA,  # directions=1 as published, more for the average
    "orthogonal": Orthogonal,
    "differences": Differences,
    "guided": Guided,  # with a proxy's direction, or the last step's
}


def make_estimator(name: str, **options: Any) -> Estimator:
    """Make an estimator by its name, as a recipe gives it.

    Parameters
    ----------
    name : str
        A key of `ESTIMATORS`.
    **options
        Fields of that class, for example ``directions=16``.

    Returns
    -------
    Estimator

    Raises
    ------
    UsageError
        If there is no such estimator, no such option, or an option's value is of the wrong kind or out of
        range.
    """
    if name not in ESTIMATORS:
        raise UsageError(
            f"no estimator '{name}': {nearest(name, list(ESTIMATORS))} (estimators: {', '.join(ESTIMATORS)})"
        )
    kind = ESTIMATORS[name]
    fields = kind.__struct_fields__
    for option in options:
        if option not in fields:
            raise UsageError(f"estimator '{name}' has no option '{option}', expected one of: {', '.join(fields)}")
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"estimator '{name}': {error}") from None
