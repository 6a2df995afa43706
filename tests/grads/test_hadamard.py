"""Hadamard matrices against their definition and scipy's."""

import numpy as np
import pytest
import scipy.linalg

from blackbox_afx.grads.hadamard import hadamard


@pytest.mark.parametrize("columns", range(1, 100))
def test_rows_are_orthogonal_signs(columns):
    matrix = hadamard(columns)
    order = len(matrix)
    assert order >= columns
    assert set(np.unique(matrix)) <= {-1.0, 1.0}
    np.testing.assert_array_equal(matrix @ matrix.T, order * np.eye(order))


@pytest.mark.parametrize("order", [1, 2, 4, 8, 16, 32, 64])
def test_powers_of_two_agree_with_scipy(order):
    np.testing.assert_array_equal(hadamard(order), scipy.linalg.hadamard(order))


@pytest.mark.parametrize(("columns", "order"), [(3, 4), (9, 12), (17, 20), (23, 24), (25, 28), (33, 36), (52, 56)])
def test_orders_are_close_to_what_is_needed(columns, order):
    """28 and 36 need Paley's second construction; 52, by neither, is stepped over."""
    assert len(hadamard(columns)) == order


def test_matrices_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        hadamard(4)[0, 0] = 3.0
