"""Hadamard matrices of many orders, so that a block of orthogonal directions is no larger than it must be.

Sylvester's doubling alone gives powers of two: 23 controls would need 32 directions.  With Paley's two
constructions there is one of order 24, and up to 88 no multiple of four but 52 is missing.

References
----------
R. E. A. C. Paley, "On orthogonal matrices", J. Mathematics and Physics 12, 1933.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def hadamard(at_least: int) -> np.ndarray:
    """Build the smallest Hadamard matrix known here that has a number of columns.

    Parameters
    ----------
    at_least : int >= 1
        Columns needed.

    Returns
    -------
    array [shape=(N, N)] of +-1.0, read-only
        Rows and columns are orthogonal: ``H @ H.T == N * eye(N)``; N >= `at_least`.
    """
    order = at_least
    while (matrix := _of_order(order)) is None:
        order += 1
    return matrix


@lru_cache(maxsize=256)
def _of_order(order: int) -> np.ndarray | None:
    """Build a Hadamard matrix of exactly one order, or None where no construction fits."""
    if order == 1:
        matrix = np.ones((1, 1))
    elif order == 2:
        matrix = np.array([[1.0, 1.0], [1.0, -1.0]])
    elif order % 4:
        return None
    elif (half := _of_order(order // 2)) is not None:
        matrix = np.kron(np.array([[1.0, 1.0], [1.0, -1.0]]), half)
    elif _is_prime(order - 1):  # order - 1 = 3 modulo 4: Paley's first
        border = _bordered(order - 1)
        border[1:, 0] = -1.0
        matrix = border + np.eye(order)
    elif order // 2 % 4 == 2 and _is_prime(order // 2 - 1):  # 1 modulo 4: Paley's second
        border = _bordered(order // 2 - 1)
        matrix = np.kron(border, np.array([[1.0, 1.0], [1.0, -1.0]]))
        matrix += np.kron(np.eye(order // 2), np.array([[1.0, -1.0], [-1.0, -1.0]]))
    else:
        return None
    matrix.setflags(write=False)
    return matrix


def _bordered(prime: int) -> np.ndarray:
    """Border the matrix of quadratic residues, ``Q[i, j] = (i - j is a square modulo prime)``, with ones."""
    character = -np.ones(prime)
    character[np.arange(1, prime) ** 2 % prime] = 1.0
    character[0] = 0.0
    index = np.arange(prime)
    border = np.ones((prime + 1, prime + 1))
    border[0, 0] = 0.0
    border[1:, 1:] = character[(index[:, None] - index[None, :]) % prime]
    return border


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
