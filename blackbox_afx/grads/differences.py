"""Finite differences: one control moved at a time."""

from __future__ import annotations

import msgspec
import numpy as np

from blackbox_afx.grads.pairs import (
    TINY,
    active_controls,
    mean_of_quotients,
    pair_differences,
    place_pairs,
    valid_rows,
)
from blackbox_afx.grads.protocol import Base, Batch, Points, ProbeState, Responses, Steps


class Differences(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Central differences of every control, or one-sided ones from the forward render.

    Central, for control i at ``position +- step_i``::

        gradient_i = (r(p+) - r(p-)) / (p+_i - p-_i)

    second order in the step; cost 2 P calls an example (P the controls that are differentiated).

    One-sided::

        gradient_i = (r(p') - base) / (p'_i - position_i)

    first order in the step; cost P calls.  p' lies above the position, below it where a wall is nearer than
    the step.

    Parameters
    ----------
    one_sided : bool
        Use the forward render as one end of every difference.

    Notes
    -----
    Deterministic: the generator is not used.  Exact on linear functions, and the reference for the other
    estimators.
    One-sided differences need the forward positions to be those that were really applied: a caller who moves
    points onto a control's grid must move the positions there before `ask`.
    At a wall the central pair shifts inward and is then the derivative at its own centre, at the most a step
    away.
    Not to be confused with the complex-step derivative, which no plugin can take.

    References
    ----------
    J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd ed., section 8.1, Springer 2006.
    """

    one_sided: bool = False

    def ask(
        self,
        positions: Batch,
        steps: Steps,
        guide: Batch | None,
        rng: np.random.Generator,
        state: ProbeState | None,
    ) -> tuple[Points, ProbeState]:
        """Choose P or 2 P points an example; see `blackbox_afx.grads.protocol.Estimator.ask`."""
        active = active_controls(steps, positions.shape[1])
        one_each = np.diag(np.where(active, steps, 0.0))[active]  # [D, P]
        asked = ProbeState(positions.copy(), active)
        if self.one_sided:
            return self._beside(positions, one_each), asked
        return place_pairs(positions, np.broadcast_to(one_each, (len(positions), *one_each.shape))), asked

    def tell(
        self, points: Points, responses: Responses, base: Base, guide: Batch | None, state: ProbeState
    ) -> tuple[Batch, ProbeState]:
        """Divide each difference by what was applied; see `blackbox_afx.grads.protocol.Estimator.tell`."""
        if not self.one_sided:
            applied, change, kept = pair_differences(points, responses)
            return mean_of_quotients(applied, change), state._replace(valid=valid_rows(kept))
        moved = np.flatnonzero(state.active)
        applied = points[:, np.arange(len(moved)), moved] - state.positions[:, moved]  # [B, D]
        with np.errstate(invalid="ignore"):  # inf - inf, where both renders blew up
            change = responses - base[:, None]
        kept = np.isfinite(change)
        gradient = np.zeros_like(state.positions)
        gradient[:, moved] = np.divide(
            change, applied, out=np.zeros_like(applied), where=kept & (np.abs(applied) > TINY)
        )
        return gradient, state._replace(valid=valid_rows(kept))

    @staticmethod
    def _beside(positions: np.ndarray, one_each: np.ndarray) -> np.ndarray:
        """Put one point a control a step above; below where that leaves the box and there is more room."""
        here = positions[:, None, :]
        above, below = here + one_each, here - one_each
        chosen = np.where((above <= 1.0) | (here <= 0.5), above, below)
        return np.clip(chosen, 0.0, 1.0)
