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
    guide : {"", "features", "tangent"}
        What guides the estimator: nothing, the warm start's feature proxy, a tangent proxy made for it.
    base_step : float
        Position step before the control's resolution and the plugin's repeatability are heeded.
    effect : str
        Name in `blackbox_afx.train.effects.EFFECTS`; empty for the warm start alone.
    renders_itself : bool
        What is heard in the end comes from the effect module, and not from the plugin.
    means_controls : bool
        Whether positions are the plugin's, so that they can be regressed, set on it and exported.
    stages : int
        TCNs in series, where the effect is one; 0: one a plugin.
    """

    about: str
    estimator: str = ""
    options: dict[str, Any] = {}
    guide: str = ""
    base_step: float = 5e-3
    effect: str = ""
    renders_itself: bool = False
    means_controls: bool = True
    stages: int = 0

    @property
    def has_audio_stage(self) -> bool:
        """Whether anything comes after the warm start."""
        return bool(self.effect or self.estimator)

    @property
    def effect_name(self) -> str:
        """Name in `EFFECTS`; an estimator goes with the real chain."""
        return self.effect or "black_box"


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
    "np": Method(
        about="through a frozen waveform proxy, whose audio is the result (NP)", effect="proxy", renders_itself=True
    ),
    "np_hh": Method(about="trained as np, the settings then rendered by the plugin (NP-HH)", effect="proxy"),
    "np_fh": Method(
        about="the plugin forward, the exact loss gradient there, a proxy's Jacobian backward (NP-FH)",
        effect="straight_through",
    ),
    "ad": Method(
        about="through a differentiable re-implementation of the chain, whose audio is the result (AD)",
        effect="autodiff",
        renders_itself=True,
    ),
    "ctcn1": Method(
        about="a TCN is the effect, trained with the controller; no plugin (cTCN 1)",
        effect="tcn",
        renders_itself=True,
        means_controls=False,
        stages=1,
    ),
    "ctcn2": Method(
        about="two TCNs in series are the effect, trained with the controller; no plugin (cTCN 2)",
        effect="tcn",
        renders_itself=True,
        means_controls=False,
    ),
    "guided": Method(
        about="warm start, then a tangent proxy's derivative, corrected by 4 calls where it errs most",
        estimator="guided",
        options={"calls": 4.0},
        guide="tangent",
    ),
    "features": Method(
        about="warm start, then the loss gradient at the plugin's own audio, carried on by feature proxy and impulses",
        estimator="guided",
        options={"calls": 2.0},
        guide="features",
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
