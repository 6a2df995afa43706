"""What each method name assembles."""

from __future__ import annotations

from typing import Any

import msgspec

from blackbox_afx.errors import UsageError, nearest


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """Say what stands between the loss and the controls.

    Parameters
    ----------
    about : str
        One line for `afx list methods`.
    estimator : str
        Name in `ESTIMATORS`; empty where the plugin is not asked for a derivative.
    options : dict
        The estimator's.
    guide : bool
        Whether a tangent proxy of the chain is made to guide the estimator.
    base_step : float
        Position step before the control's resolution and the plugin's repeatability are heeded.
    """

    about: str
    estimator: str = ""
    options: dict[str, Any] = {}
    guide: bool = False
    base_step: float = 5e-3


METHODS: dict[str, Method] = {
    "regression": Method(about="warm start only: regress known controls, heard through a feature proxy"),
    "spsa": Method(
        about="warm start, then the 2022 paper's SPSA: one Rademacher direction, step 5e-4",
        estimator="spsa",
        options={"directions": 1},
        base_step=5e-4,
    ),
    "spsa_averaged": Method(
        about="warm start, then SPSA averaged over 8 directions", estimator="spsa", options={"directions": 8}
    ),
    "orthogonal": Method(
        about="warm start, then SPSA on 8 orthogonal (Hadamard) directions",
        estimator="orthogonal",
        options={"directions": 8},
    ),
    "differences": Method(about="warm start, then central differences of every control", estimator="differences"),
    "guided": Method(
        about="warm start, then a tangent proxy's derivative, corrected by 4 calls where it errs most",
        estimator="guided",
        options={"calls": 4.0},
        guide=True,
    ),
}


def find_method(name: str) -> Method:
    """Find a method by name.

    Raises
    ------
    UsageError
        When no method is called that.
    """
    if name not in METHODS:
        raise UsageError(f"no method is called '{name}'; {nearest(name, list(METHODS))}")
    return METHODS[name]
