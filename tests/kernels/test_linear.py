"""The packed product against the dense one."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from blocks import ordinary
from torch import Tensor
from torch.nn import functional as F

from llmlora.ggml import BY_NAME
from llmlora.kernels import linear
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.kernels.linear import packed_linear, tile_rows
from llmlora.kernels.types import SUPPORTED

ROWS, COLUMNS = 45, 512
# of the largest value: sums of float32 in another order; bfloat16 has 8 bits, and both sides round results to them
TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 2**-7}


@pytest.fixture(params=["one tile", "many tiles"])
def _tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many tiles":
        monkeypatch.setattr(linear, "TILE_WEIGHTS", 7 * COLUMNS + 5)


def numbers(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def both_ways(x: Tensor, dy: Tensor, product) -> tuple[Tensor, Tensor]:
    """y and dx."""
    x = x.clone().requires_grad_()
    y = product(x)
    (dx,) = torch.autograd.grad(y, x, dy)
    return y.detach(), dx


def assert_near(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    error = (found.float() - expected.float()).abs().max()
    assert error <= TOLERANCE[expected.dtype] * expected.float().abs().max()


@pytest.mark.usefixtures("_tiles")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", SUPPORTED)
def test_both_passes_agree_with_the_dense_product(name: str, dtype: torch.dtype):
    matrix = ordinary(name, ROWS, COLUMNS)
    x, dy, bias = numbers(3, 5, COLUMNS, dtype=dtype), numbers(3, 5, ROWS, dtype=dtype, seed=1), numbers(ROWS, seed=2)
    bias = bias.to(dtype)

    y, dx = both_ways(x, dy, lambda x: packed_linear(x, matrix, bias))

    expected_y, expected_dx = both_ways(x, dy, lambda x: F.linear(x, matrix.dense(dtype), bias))
    assert_near(y, expected_y)
    assert_near(dx, expected_dx)


def test_a_matrix_larger_than_a_tile_is_cut_along_its_rows():
    matrix = ordinary("Q8_0", 4100, 1056)
    x, dy = numbers(2, 1056), numbers(2, 4100, seed=1)
    assert tile_rows(matrix) < 4100

    y, dx = both_ways(x, dy, lambda x: packed_linear(x, matrix))

    expected_y, expected_dx = both_ways(x, dy, lambda x: F.linear(x, matrix.dense(torch.float32)))
    assert_near(y, expected_y)
    assert_near(dx, expected_dx)


def test_a_row_longer_than_a_tile_is_a_tile_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(linear, "TILE_WEIGHTS", 100)
    matrix = ordinary("Q4_0", 3, 128)
    x = numbers(2, 128)

    assert_near(packed_linear(x, matrix), F.linear(x, matrix.dense(torch.float32)))


def test_the_shares_of_the_tiles_are_summed_in_float32(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(linear, "TILE_WEIGHTS", 1)
    ones = PackedMatrix(np.ones((1024, 1), np.float32).view(np.uint8), BY_NAME["F32"])
    x, dy = (torch.ones(1, width, dtype=torch.bfloat16) for width in (1, 1024))

    _, dx = both_ways(x, dy, lambda x: packed_linear(x, ones))

    assert dx.item() == 1024  # a sum in bfloat16 stands still at 256


@pytest.mark.usefixtures("_tiles")
def test_nothing_is_kept_for_the_backward_pass():
    matrix, x, kept = ordinary("Q4_K", ROWS, COLUMNS), numbers(2, COLUMNS).requires_grad_(), []

    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda tensor: tensor):
        y = packed_linear(x, matrix)

    function = y.grad_fn.next_functions[0][0]
    assert kept == []
    assert list(vars(function).values()) == [matrix]


@pytest.mark.usefixtures("_tiles")
def test_an_input_without_gradient_gets_none():
    matrix = ordinary("Q4_K", ROWS, COLUMNS)

    assert not packed_linear(numbers(2, COLUMNS), matrix).requires_grad


def test_a_gradient_of_the_gradient_is_refused():
    x = numbers(2, COLUMNS).requires_grad_()
    (dx,) = torch.autograd.grad(packed_linear(x, ordinary("Q4_K", ROWS, COLUMNS)).square().sum(), x, create_graph=True)

    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()


@pytest.mark.usefixtures("_tiles")
def test_threads_of_python_do_not_disturb_each_other():
    jobs = [
        (ordinary(name, ROWS, COLUMNS), numbers(4, COLUMNS, seed=seed)) for seed, name in enumerate(("Q4_K", "Q8_0"))
    ]
    dy, together = numbers(4, ROWS, seed=9), Barrier(2)
    alone = [both_ways(x, dy, lambda x, matrix=matrix: packed_linear(x, matrix)) for matrix, x in jobs]

    def work(job: tuple[PackedMatrix, Tensor]) -> list[tuple[Tensor, Tensor]]:
        matrix, x = job
        together.wait()
        return [both_ways(x, dy, lambda x: packed_linear(x, matrix)) for _ in range(50)]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, jobs))

    for passes, (y, dx) in zip(found, alone, strict=True):
        assert all(torch.equal(one, y) and torch.equal(other, dx) for one, other in passes)


def test_half_precision_is_refused():
    with pytest.raises(TypeError, match=r"float32 or bfloat16, not torch\.float16"):
        packed_linear(numbers(2, COLUMNS, dtype=torch.float16), ordinary("Q4_K", ROWS, COLUMNS))
