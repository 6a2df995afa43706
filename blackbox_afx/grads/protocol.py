"""What an estimator is: a pure ask/tell pair that turns a few renders into the derivative of a black box.

Conventions
-----------
`B` examples, `P` controls, `M` points an example.
Positions are float64 in [0, 1].  A *response* is the scalar <dL/dy, y(point)>: the exact loss gradient at the
audio, multiplied with the audio rendered at that point.  Estimators see nothing else of the sound, so they
are numpy only.
*Calls* are renders beyond the forward one: `M` an example.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64

Batch = Float64[np.ndarray, "batch controls"]
"""One row of positions, or of a gradient, an example."""

Steps = Float64[np.ndarray, "controls"]
"""How far each control is moved; not finite: not differentiated."""

Points = Float64[np.ndarray, "batch points controls"]
"""Positions to render at."""

Responses = Float64[np.ndarray, "batch points"]
"""<dL/dy, y(point)>; NaN for a render that failed."""

Base = Float64[np.ndarray, "batch"]
"""<dL/dy, y> at the forward positions."""

Mask = Bool[np.ndarray, "batch"]
"""True for examples that came out well."""


class ProbeState(NamedTuple):
    """What the estimators of this package carry from `ask` to `tell` and out of it.

    None of it is memory between training steps: each `ask` starts a new one.
    """

    positions: np.ndarray  # shape=(B, P), the forward positions
    active: np.ndarray  # shape=(P,), bool: controls that are differentiated
    valid: Mask | None = None  # after tell: rows where enough renders came back


@runtime_checkable
class Estimator(Protocol):
    """A rule that chooses where to render and makes a gradient of what came back.

    Both methods are pure but for the generator, which `ask` advances; neither changes an argument.  Rows are
    independent of each other.  The first `ask` is given ``state=None``.
    """

    def ask(
        self, positions: Batch, steps: Steps, guide: Batch | None, rng: np.random.Generator, state: Any
    ) -> tuple[Points, Any]:
        """Choose the points to render.

        Parameters
        ----------
        positions : array [shape=(B, P)], 0 <= positions <= 1
            Where the forward render was made.
        steps : array [shape=(P,)]
            From `blackbox_afx.grads.steps.step_sizes`.  Not finite: the control (a toggle, a choice) is never
            moved.
        guide : array [shape=(B, P)] or None
            A direction that is thought to be near the gradient, from a proxy for instance.
        rng : numpy.random.Generator
            Where random directions come from.
        state : any
            What the last `tell` returned, or None.

        Returns
        -------
        points : array [shape=(B, M, P)]
            Inside [0, 1]; M may be 0.
        state : any
            For `tell`.
        """
        ...

    def tell(
        self, points: Points, responses: Responses, base: Base, guide: Batch | None, state: Any
    ) -> tuple[Batch, Any]:
        """Make the gradient of what came back.

        Parameters
        ----------
        points : array [shape=(B, M, P)]
            The points that were *really* rendered, in the order of `ask`.  The caller may have moved them
            onto the grid of a control; what is divided by is the difference between these, never the step.
        responses : array [shape=(B, M)]
            One scalar a point, NaN where the render failed.
        base : array [shape=(B,)]
            The same scalar at the forward positions.
        guide : array [shape=(B, P)] or None
            As given to `ask`.
        state : any
            From `ask`.

        Returns
        -------
        gradient : array [shape=(B, P)]
            Finite; 0 for controls that were not moved and for rows without a usable response.
        state : any
            For the next `ask`; where it has a field `valid` [shape=(B,)], that tells the rows which are
            estimates.
        """
        ...
