"""SPSA: all controls moved at once, by random signs."""

from __future__ import annotations

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.grads.pairs import (
    active_controls,
    mean_of_quotients,
    pair_differences,
    place_pairs,
    valid_rows,
)
from blackbox_afx.grads.protocol import Base, Batch, Points, ProbeState, Responses, Steps


class SPSA(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Simultaneous perturbation with independent Rademacher directions, averaged.

    For each of K directions of random signs d_k, with the points p+ and p- at ``position +- step * d_k``::

        gradient_i = mean over k of (r(p+_k) - r(p-_k)) / (p+_ki - p-_ki)

    Unbiased up to second order in the step (the pair is central).
    Cost: 2 K calls an example, however many controls.
    On a linear function the squared cosine with the true gradient is 1 / P for one direction and about
    K / (K + P - 1) for K of them.

    Parameters
    ----------
    directions : int >= 1
        K.  1 is the method as published, both by Spall and for audio effects.

    Notes
    -----
    Differs from the audio paper at the walls of the box: there p+ and p- are clipped but still divided by the
    whole ``2 eps``, which halves gradients at 0 and 1; here the pair shifts inward and is divided by what was
    applied.

    Not to be confused with Gaussian smoothing or evolution strategies, which multiply with the direction and
    divide by one variance (for signs of equal steps the two agree), nor with SPSA on the *loss*: here a
    response is linear in the audio and the loss is never evaluated away from the forward point.

    Where steps differ between controls, the change that a control with a large step makes is divided by the
    small step of another: the crosstalk grows by the ratio.  Orthogonal directions cancel it once there are
    enough of them.

    References
    ----------
    J. C. Spall, "Multivariate stochastic approximation using a simultaneous perturbation gradient
    approximation", IEEE Trans. Automatic Control 37(3), 1992.
    C. J. Steinmetz, N. J. Bryan, J. D. Reiss, "Style transfer of audio effects with differentiable signal
    processing", J. Audio Eng. Soc. 70(9), 2022: one direction, step 5e-4.
    """

    directions: int = 1

    def __post_init__(self) -> None:
        if self.directions < 1:
            raise UsageError(f"directions is {self.directions}, expected 1 or more")

    def ask(
        self,
        positions: Batch,
        steps: Steps,
        guide: Batch | None,
        rng: np.random.Generator,
        state: ProbeState | None,
    ) -> tuple[Points, ProbeState]:
        """Choose 2 `directions` points an example; see `blackbox_afx.grads.protocol.Estimator.ask`."""
        batch, controls = positions.shape
        active = active_controls(steps, controls)
        pairs = self.directions if active.any() else 0
        signs = 2.0 * rng.integers(0, 2, size=(batch, pairs, controls)) - 1.0
        offsets = signs * np.where(active, steps, 0.0)
        return place_pairs(positions, offsets), ProbeState(positions.copy(), active)

    def tell(
        self, points: Points, responses: Responses, base: Base, guide: Batch | None, state: ProbeState
    ) -> tuple[Batch, ProbeState]:
        """Average the quotients; see `blackbox_afx.grads.protocol.Estimator.tell`."""
        applied, change, kept = pair_differences(points, responses)
        return mean_of_quotients(applied, change), state._replace(valid=valid_rows(kept))
