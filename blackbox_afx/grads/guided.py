"""Probe where a guide is most likely wrong, and correct it by what is measured."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.grads.pairs import TINY, active_controls, place_pairs
from blackbox_afx.grads.posterior import best_direction, plan, update
from blackbox_afx.grads.protocol import Base, Batch, Mask, Points, Responses, Steps

TRUST = 0.5
"""Length of a guide's error, as a share of its own, where nothing is known of it; half of it along the guide."""


class GuidedState(NamedTuple):
    """What `Guided` carries from `ask` to `tell`, and on to the next step."""

    positions: np.ndarray  # shape=(B, P)
    active: np.ndarray  # shape=(P,), bool
    mean: np.ndarray  # shape=(B, P), the expected gradient
    scale: np.ndarray  # shape=(B,), its length: the unit of the covariance
    prior: np.ndarray  # shape=(B, P, P), covariance of its error in that unit
    gradient: np.ndarray | None = None  # shape=(B, P), the latest estimate
    valid: Mask | None = None  # after tell: rows where enough renders came back


class Guided(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a guide as the expectation of a Gaussian, and measure the directions of its greatest variance.

    With m the guide (times `slope`), C the covariance of its error, and a direction a that was applied for each change
    r of the response::

        gradient = m + C A' (A C A' + R)^-1 (r - A m)

    which of all linear estimates has the least expected squared error.  Directions are chosen one after the other,
    each the one that takes away most of the variance that those before it left, for what it costs: a direction that
    moves only late plugins renders only those.  Where nothing is known of the error it is taken to be equally large
    in all directions, and larger along the guide: the first probe then measures the guide's length, the others are
    random and orthogonal to it.

    Parameters
    ----------
    calls : float >= 0
        Budget an example, in renders of the whole chain.  0 takes the guide as it is.
    one_sided : bool
        One render a direction, compared with the forward one; else two, around it.
    costs : tuple of float, or empty
        Calls of a render in which this control moves (`blackbox_afx.grads.posterior.suffix_costs`); 1 each by default.
    slope : tuple of float, or empty
        By which each of the guide's numbers is multiplied; 1 by default.
    covariance : tuple of tuple of float, or empty
        C in units of the guide's squared length; see `blackbox_afx.grads.posterior.error_of`.
    gain : int
        Control that is a gain in dB at the very end of the chain, whose derivative is known: ``base * gain_slope``.
        -1: none.
    gain_slope : float
        ``ln 10 / 20`` times the dB of its whole travel.
    noise : float >= 0
        Error of a measured change, relative to that of the gradient's whole length along it: curvature and
        repeatability.
    clip : float >= 0
        Deviations from what is expected at which a measured change is cut; 0 for none. See
        `blackbox_afx.grads.posterior.update`.

    Notes
    -----
    Biased towards the guide, by design.  Without a guide the last step's gradient takes its place, if there were as
    many examples (past directions); without either it expects nothing, and what is left is the smallest gradient that
    explains the probes.
    Not to be confused with a control variate, which is unbiased and pays for that with variance.

    References
    ----------
    N. Maheswaranathan, L. Metz, G. Tucker, D. Choi, J. Sohl-Dickstein, "Guided evolutionary strategies", ICML 2019:
    random directions from a guide's subspace.
    F. Meier, A. Mujika, M. M. Gauy, A. Steger, "Improving gradient estimation in evolutionary strategies with past
    descent directions", 2019.
    R. E. Kalman, "A new approach to linear filtering and prediction problems", J. Basic Engineering 82, 1960.
    """

    calls: float = 4.0
    one_sided: bool = True
    costs: tuple[float, ...] = ()
    slope: tuple[float, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()
    gain: int = -1
    gain_slope: float = 0.0
    noise: float = 0.01
    clip: float = 0.0

    def __post_init__(self) -> None:
        if not self.calls >= 0.0:
            raise UsageError(f"calls is {self.calls:g}, expected 0 or more")
        if not self.noise >= 0.0:
            raise UsageError(f"noise is {self.noise:g}, expected 0 or more")

    def ask(
        self,
        positions: Batch,
        steps: Steps,
        guide: Batch | None,
        rng: np.random.Generator,
        state: GuidedState | None,
    ) -> tuple[Points, GuidedState]:
        """Choose the points; see `blackbox_afx.grads.protocol.Estimator.ask`."""
        batch, controls = positions.shape
        active = active_controls(steps, controls)
        state = self._prior(positions, active, guide, rng, state)
        costs = np.asarray(self.costs, np.float64) if self.costs else np.ones(controls)
        if costs.shape != (controls,):
            raise UsageError(f"costs has {len(costs)} numbers, expected {controls}: one a control")
        renders = 1 if self.one_sided else 2
        known = self._known(np.zeros((controls, controls)) + state.prior.mean(0), active)
        moved = np.where(active, costs, np.inf)
        budget = self.calls if active.any() else 0.0
        chosen = plan(known, moved, budget, renders) if batch else []
        # All rows share the plan, so that they have as many points; each has its own directions.
        directions = np.zeros((batch, len(chosen), controls))
        for row in range(batch):
            covariance = self._known(state.prior[row], active)
            for k, cost in enumerate(chosen):
                direction, _ = best_direction(covariance, moved <= cost + 1e-12)
                directions[row, k] = direction
                _, covariance = update(np.zeros(controls), covariance, direction[None], np.zeros(1), np.zeros(1))
        reach = np.abs(directions) / np.where(active, steps, np.inf)
        offsets = directions / np.maximum(reach.max(axis=2, keepdims=True, initial=0.0), 1e-300)
        if not self.one_sided:
            return place_pairs(positions, offsets), state
        return self._beside(positions, offsets), state

    def tell(
        self, points: Points, responses: Responses, base: Base, guide: Batch | None, state: GuidedState
    ) -> tuple[Batch, GuidedState]:
        """Correct the guide; see `blackbox_afx.grads.protocol.Estimator.tell`."""
        batch, controls = state.positions.shape
        with np.errstate(invalid="ignore"):
            if self.one_sided:
                applied, change = points - state.positions[:, None, :], responses - base[:, None]
            else:
                applied, change = points[:, 0::2] - points[:, 1::2], responses[:, 0::2] - responses[:, 1::2]
        kept = np.isfinite(change)
        applied = np.where(kept[:, :, None] & (np.abs(applied) > TINY), applied, 0.0)
        change = np.where(kept, change, 0.0)
        valid = kept.any(axis=1) | (points.shape[1] == 0)
        gradient = np.zeros((batch, controls))
        exact = 0 <= self.gain < controls and bool(state.active[self.gain])
        for row in np.flatnonzero(valid):
            rows, seen = applied[row], change[row]
            spread = np.square(self.noise * np.linalg.norm(rows, axis=1))
            if exact and np.isfinite(base[row]):
                rows = np.vstack([rows, np.eye(controls)[self.gain]])
                seen = np.append(seen, base[row] * self.gain_slope)
                spread = np.append(spread, 0.0)
            scale = state.scale[row]
            mean, _ = update(state.mean[row] / scale, state.prior[row], rows, seen / scale, spread, self.clip)
            gradient[row] = np.where(state.active, mean * scale, 0.0)
        return gradient, state._replace(gradient=gradient, valid=valid)

    def _prior(
        self,
        positions: np.ndarray,
        active: np.ndarray,
        guide: np.ndarray | None,
        rng: np.random.Generator,
        state: GuidedState | None,
    ) -> GuidedState:
        """Say what gradient is expected of each row, and how wrong that may be."""
        batch, controls = positions.shape
        if guide is None and state is not None and state.gradient is not None and len(state.gradient) == batch:
            guide = state.gradient
        mean = np.zeros_like(positions)
        if guide is not None:
            mean = np.where(active & np.isfinite(guide), guide, 0.0)
            if self.slope:
                mean = mean * self._sized(np.asarray(self.slope), (controls,), "slope")
        length = np.linalg.norm(mean, axis=1)
        scale = np.where(length > 0.0, length, 1.0)
        unit = mean / scale[:, None]
        if self.covariance:
            covariance = self._sized(np.asarray(self.covariance), (controls, controls), "covariance")
            prior = np.broadcast_to(covariance, (batch, controls, controls)).copy()
        else:
            # Nearly equal variances: which directions come out is left to chance.
            turn = rng.normal(size=(batch, controls, controls))
            blurred = np.eye(controls) + 1e-4 * turn @ turn.transpose(0, 2, 1) / max(controls, 1)
            prior = TRUST**2 / 2 * (blurred / max(controls, 1) + unit[:, :, None] * unit[:, None, :])
        prior *= active[:, None] & active[None, :]
        return GuidedState(positions.copy(), active, mean, scale, prior)

    def _known(self, covariance: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Take away what the exactly known gain explains."""
        if not (0 <= self.gain < len(active) and active[self.gain]):
            return covariance
        row = np.eye(len(active))[self.gain][None]
        return update(np.zeros(len(active)), covariance, row, np.zeros(1), np.zeros(1))[1]

    @staticmethod
    def _sized(array: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
        if array.shape != shape:
            raise UsageError(f"{name} has shape {list(array.shape)}, expected {list(shape)}: one number a control")
        return array

    @staticmethod
    def _beside(positions: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Put one point a direction, on the side where walls cut less of it off."""
        here = positions[:, None, :]
        above, below = (np.clip(here + sign * offsets, 0.0, 1.0) for sign in (1.0, -1.0))
        lost = [np.square(point - here).sum(2) for point in (above, below)]
        return np.where((lost[0] >= lost[1])[:, :, None], above, below)
