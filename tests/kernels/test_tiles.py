"""Products within compiled loops, against numpy."""

import numpy as np
import pytest

from llmlora.kernels.tiles import COLUMNS, ROWS, multiply, padded, take, take_panels, take_transposed

SIZES = [(ROWS, 5, COLUMNS), (ROWS + 3, 1, COLUMNS + 1), (2 * ROWS, 40, 3 * COLUMNS - 7)]


def panels_of(right: np.ndarray) -> np.ndarray:
    """As `multiply` takes it, by the kernel that makes them of rows."""
    depth, columns = right.shape
    panels = np.zeros(depth * padded(columns), np.float32)
    take_panels(right.ravel(), 0, columns, depth, columns, panels, depth)
    return panels


@pytest.mark.parametrize(("rows", "depth", "columns"), SIZES)
@pytest.mark.parametrize("adds", [False, True])
def test_a_product_is_what_numpy_says(rows: int, depth: int, columns: int, adds: bool):
    random = np.random.default_rng(0)
    left, right = (random.standard_normal(shape, np.float32) for shape in ((rows, depth), (depth, columns)))
    width, high = padded(columns), -(-rows // ROWS) * ROWS
    given, out = np.zeros((high, depth), np.float32), np.ones((high, width), np.float32)
    given[:rows] = left

    multiply(
        given.ravel(),
        0,
        depth,
        1,
        panels_of(right),
        0,
        depth * COLUMNS,
        out.ravel(),
        0,
        width,
        rows,
        depth,
        columns,
        adds,
    )

    np.testing.assert_allclose(out[:rows, :columns], left @ right + adds, rtol=1e-5, atol=1e-5)


def test_a_left_side_may_lie_transposed():
    random = np.random.default_rng(0)
    left, right = random.standard_normal((6, ROWS), np.float32), random.standard_normal((6, COLUMNS), np.float32)
    out = np.zeros((ROWS, COLUMNS), np.float32)

    multiply(
        left.ravel(), 0, 1, ROWS, panels_of(right), 0, 6 * COLUMNS, out.ravel(), 0, COLUMNS, ROWS, 6, COLUMNS, False
    )

    np.testing.assert_allclose(out, left.T @ right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [5, 16, 40])
def test_rows_come_as_they_are_and_across(size: int):
    numbers = np.random.default_rng(0).standard_normal(7 * 64).astype(np.float32)
    rows, across = np.zeros(3 * size, np.float32), np.ones(size * padded(3), np.float32)

    take(numbers, 2, 64, 3, size, rows)
    take_transposed(numbers, 2, 64, 3, size, across)

    wanted = np.stack([numbers[2 + 64 * row : 2 + 64 * row + size] for row in range(3)])
    np.testing.assert_array_equal(rows.reshape(3, size), wanted)
    np.testing.assert_array_equal(across.reshape(-1, COLUMNS)[:, :3], wanted.T)
    assert not across.reshape(-1, COLUMNS)[:, 3:].any()
