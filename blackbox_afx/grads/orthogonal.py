"""SPSA along orthogonal directions: rows of a shuffled Hadamard matrix."""

from __future__ import annotations

import msgspec
import numpy as np

from blackbox_afx.errors import UsageError
from blackbox_afx.grads.hadamard import hadamard
from blackbox_afx.grads.pairs import active_controls, pair_differences, place_pairs, valid_rows
from blackbox_afx.grads.protocol import Base, Batch, Points, ProbeState, Responses, Steps

WEAKEST = 1e-3
"""Singular values below this part of the largest are dropped: they would amplify noise a thousandfold."""

REDRAWS = 64
"""How often a row's directions are drawn anew while they are linearly dependent.  Only as many directions as
controls can be: up to three draws in four then (up to 96 controls, simulated), so 64 draws suffice."""


class Orthogonal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Simultaneous perturbation along K mutually orthogonal sign vectors, solved by least squares.

    The directions are K rows of a Hadamard matrix with its rows drawn, columns shuffled and column signs
    flipped at random.  Column i of the applied differences A is measured in its own root mean square c_i, so
    with U = A / c and v = c * gradient, the changes of the responses are U v, and::

        gradient = (D / rank U) * pinv(U) (r(p+) - r(p-)) / c

    with D the controls that were moved.  K >= D directions: rank U = D, and linear functions are recovered
    exactly.
    K < D: pinv gives the projection of v onto the K directions, the smallest v that explains what was
    measured.  By the random signs and shuffling a projection keeps rank / D of v on average, and the factor
    undoes that: the estimate is **unbiased** (and, for stepping as far as the measured part allows and no
    further, D / K too long).

    Second order in the step.  Cost: 2 K calls an example.
    On a linear function the mean squared cosine with the true gradient is K / D, against K / (K + D - 1) for
    independent directions (`SPSA`).

    Parameters
    ----------
    directions : int >= 1, or None
        K.  None is a full block: the order of the smallest Hadamard matrix with D columns (24 for 23
        controls), best conditioned and exact.  More than a block adds independent blocks.

    Notes
    -----
    Not to be confused with coordinate differences (`Differences`), which cost the same for K = D but move one
    control a render and so change the sound less; nor with random orthogonal (Haar) directions: those of a
    Hadamard matrix move every control by exactly its step.  Where D is no order of a Hadamard matrix, columns
    are left out and the rows are only nearly orthogonal, which least squares takes account of and averaging
    would not.

    References
    ----------
    K. Choromanski, M. Rowland, V. Sindhwani, R. E. Turner, A. Weller, "Structured evolution with compact
    architectures for scalable policy optimization", ICML 2018.
    S. Bhatnagar, M. C. Fu, S. I. Marcus, I.-J. Wang, "Two-timescale simultaneous perturbation stochastic
    approximation using deterministic perturbation sequences", ACM TOMACS 13(2), 2003: Hadamard rows in SPSA.
    """

    directions: int | None = 8

    def __post_init__(self) -> None:
        if self.directions is not None and self.directions < 1:
            raise UsageError(f"directions is {self.directions}, expected 1 or more, or None for a full block")

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
        moved = int(active.sum())
        signs = draw_directions(rng, batch, self.directions, moved)
        offsets = np.zeros((batch, signs.shape[1], controls))
        offsets[:, :, active] = signs * steps[active]
        return place_pairs(positions, offsets), ProbeState(positions.copy(), active)

    def tell(
        self, points: Points, responses: Responses, base: Base, guide: Batch | None, state: ProbeState
    ) -> tuple[Batch, ProbeState]:
        """Solve for the gradient; see `blackbox_afx.grads.protocol.Estimator.tell`."""
        applied, change, kept = pair_differences(points, responses)
        return least_squares(applied, change), state._replace(valid=valid_rows(kept))


def draw_directions(rng: np.random.Generator, batch: int, directions: int | None, controls: int) -> np.ndarray:
    """Draw orthogonal (or, with columns left out, nearly orthogonal) sign vectors for each example.

    Parameters
    ----------
    rng : numpy.random.Generator
    batch : int
    directions : int >= 1, or None
        None for a full block.
    controls : int >= 0

    Returns
    -------
    array [shape=(batch, directions, controls)] of +-1.0
        Of rank ``min(directions, controls)``; no directions where there are no controls.
    """
    if controls == 0:
        return np.zeros((batch, 0, 0))
    matrix = hadamard(controls)
    order = len(matrix)
    directions = order if directions is None else directions
    whole, rest = divmod(directions, order)
    blocks = [_shuffled(rng, matrix, batch, order, controls) for _ in range(whole)]
    if rest:
        last = _shuffled(rng, matrix, batch, rest, controls)
        for _ in range(REDRAWS):
            # A whole block has full rank already; without one, the rows must be independent themselves.
            poor = np.flatnonzero(np.linalg.matrix_rank(last) < min(rest, controls)) if not whole else []
            if len(poor) == 0:
                break
            last[poor] = _shuffled(rng, matrix, len(poor), rest, controls)
        blocks.append(last)
    return np.concatenate(blocks, axis=1)


def _shuffled(rng: np.random.Generator, matrix: np.ndarray, batch: int, rows: int, columns: int) -> np.ndarray:
    """Take rows and columns of a matrix at random, without replacement, and flip the signs of columns."""
    index = np.broadcast_to(np.arange(len(matrix)), (batch, len(matrix)))
    row = rng.permuted(index, axis=1)[:, :rows]
    column = rng.permuted(index, axis=1)[:, :columns]
    signs = 2.0 * rng.integers(0, 2, size=(batch, 1, columns)) - 1.0
    return matrix[row[:, :, None], column[:, None, :]] * signs


def least_squares(applied: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Solve ``applied @ gradient = change`` for the unbiased multiple of the smallest solution.

    Parameters
    ----------
    applied : array [shape=(B, K, P)]
        Rows of 0 where a pair was dropped, columns of 0 where a control was not moved.
    change : array [shape=(B, K)]

    Returns
    -------
    array [shape=(B, P)]
        0 in columns of 0.
    """
    pairs = applied.any(axis=2).sum(axis=1)
    scale = np.sqrt(np.square(applied).sum(axis=1) / np.maximum(pairs, 1)[:, None])  # [B, P]
    moved = scale > 0.0
    divisor = np.where(moved, scale, 1.0)
    left, strength, right = np.linalg.svd(applied / divisor[:, None, :], full_matrices=False)
    strong = strength > WEAKEST * strength.max(axis=1, keepdims=True, initial=0.0)
    inverse = np.divide(1.0, strength, out=np.zeros_like(strength), where=strong)
    smallest = np.einsum("bkp,bk,bjk,bj->bp", right, inverse, left, change)
    length = moved.sum(axis=1) / np.maximum(strong.sum(axis=1), 1)
    return np.where(moved, smallest * length[:, None] / divisor, 0.0)
