"""The packed product against the dense one."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from tests.kernels.blocks import ordinary
from torch import Tensor
from torch.nn import functional as F

from llmlora.ggml import BY_NAME
from llmlora.kernels import linear, reference
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.kernels.linear import describe_dispatch, packed_linear, packed_lora_linear, tile_rows
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
@pytest.mark.parametrize("biased", [True, False])
def test_an_adapter_gets_the_gradients_of_the_dense_formula(biased: bool, dtype: torch.dtype):
    matrix, rank, scaling = ordinary("Q4_0", ROWS, COLUMNS), 4, 0.5
    x, dy = numbers(3, 5, COLUMNS, dtype=dtype).requires_grad_(), numbers(3, 5, ROWS, dtype=dtype, seed=1)
    bias = numbers(ROWS, seed=2).to(dtype) if biased else None
    a, b = numbers(rank, COLUMNS, seed=3).requires_grad_(), numbers(ROWS, rank, seed=4).requires_grad_()

    y = packed_lora_linear(x, matrix, bias, a, b, scaling)

    thin = F.linear(x, a.to(dtype))
    expected = F.linear(x, matrix.dense(dtype), bias) + scaling * F.linear(thin, b.to(dtype))
    assert_near(y.detach(), expected.detach())
    for found, wanted in zip(
        torch.autograd.grad(y, (x, a, b), dy), torch.autograd.grad(expected, (x, a, b), dy), strict=True
    ):
        assert found.dtype == wanted.dtype
        assert (found - wanted).norm() < 2 * TOLERANCE[dtype] * wanted.norm()


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


@pytest.mark.parametrize("step", [1, 7, ROWS, ROWS + 1])
def test_a_caller_may_choose_the_rows_of_a_tile(step: int, monkeypatch: pytest.MonkeyPatch):
    matrix, x, seen, tile = ordinary("Q4_K", ROWS, COLUMNS), numbers(2, COLUMNS), [], linear._tile
    monkeypatch.setattr(
        linear, "_tile", lambda w, start, stop, like: seen.append(stop - start) or tile(w, start, stop, like)
    )

    dy = numbers(2, ROWS, seed=1)
    y, dx = both_ways(x, dy, lambda x: packed_linear(x, matrix, tile_rows=step))

    expected_y, expected_dx = both_ways(x, dy, lambda x: F.linear(x, matrix.dense(torch.float32)))
    assert_near(y, expected_y)
    assert_near(dx, expected_dx)
    assert max(seen) == min(step, ROWS)
    assert sum(seen) == 2 * ROWS  # forward and backward


@pytest.mark.parametrize("shape", [(COLUMNS,), (0, COLUMNS), (2, 0, COLUMNS)])
def test_inputs_of_any_number_of_positions_are_taken(shape: tuple[int, ...]):
    assert packed_linear(torch.zeros(shape), ordinary("Q4_K", ROWS, COLUMNS)).shape == (*shape[:-1], ROWS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_tile_of_other_devices_has_the_same_bits(dtype: torch.dtype):
    stored, like = ordinary("Q5_K", ROWS, COLUMNS), torch.empty(0, dtype=dtype)
    stored.blocks.flags.writeable = False  # as a mapped file
    matrix = PackedMatrix(stored.blocks, stored.kind, np.random.default_rng(6).permutation(ROWS))

    assert torch.equal(linear._tile_by_reference(matrix, 3, 40, like), matrix.rows(3, 40, dtype))


@pytest.mark.usefixtures("_tiles")
def test_on_another_device_the_reference_is_asked_and_results_stay_there(monkeypatch: pytest.MonkeyPatch):
    matrix, x, calls, asked = (
        ordinary("Q6_K", ROWS, COLUMNS),
        torch.empty(2, 3, COLUMNS, device="meta"),
        [],
        reference.dequantise,
    )
    monkeypatch.setattr(
        reference, "dequantise", lambda blocks, kind: calls.append(blocks.device.type) or asked(blocks, kind)
    )

    y, dx = both_ways(x, torch.empty(2, 3, ROWS, device="meta"), lambda x: packed_linear(x, matrix))

    assert (y.device.type, y.shape) == ("meta", (2, 3, ROWS))
    assert (dx.device.type, dx.shape) == ("meta", x.shape)
    assert set(calls) == {"meta"}


def test_the_dispatch_says_which_path_and_why():
    kind = BY_NAME["Q4_K"]

    assert describe_dispatch(kind, torch.device("cpu")) == "Q4_K on cpu: compiled kernels, the fast path of CPUs"
    elsewhere = describe_dispatch(kind, torch.device("cuda:0"))
    assert elsewhere == "Q4_K on cuda: the reference in torch, because the compiled kernels are for CPUs alone"


@pytest.mark.usefixtures("_tiles")
def test_nothing_is_kept_for_the_backward_pass():
    matrix, x, kept = ordinary("Q4_K", ROWS, COLUMNS), numbers(2, COLUMNS).requires_grad_(), []

    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda tensor: tensor):
        y = packed_linear(x, matrix)

    function = y.grad_fn.next_functions[0][0]
    assert kept == []
    assert set(vars(function)) == {"weight", "step"}


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
