"""DoRA on a packed and a dense layer: the formula, biases and rows of zeros included, and no norm made twice."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from llmlora.ggml import BY_NAME
from llmlora.kernels import linear
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.kernels.linear import squared_row_norms
from llmlora.model import dora
from llmlora.model.dora import Magnitude
from tests.kernels.blocks import ordinary

ROWS, COLUMNS, RANK, SCALING = 45, 256, 3, 1.5


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ordered() -> PackedMatrix:
    stored = ordinary("Q4_K", ROWS, COLUMNS)
    return PackedMatrix(stored.blocks, stored.kind, np.random.default_rng(1).permutation(ROWS))


@pytest.mark.parametrize("tile", [1, 7 * COLUMNS, 2**22])
def test_squared_norms_are_those_of_the_dense_rows(monkeypatch: pytest.MonkeyPatch, tile: int):
    monkeypatch.setattr(linear, "TILE_WEIGHTS", tile)
    matrix = ordered()

    found = squared_row_norms(matrix, torch.device("cpu"))

    torch.testing.assert_close(found, matrix.dense(torch.float32).square().sum(dim=1))


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_rows_are_rescaled_to_their_magnitudes(
    dense: bool, biased: bool, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dora, "TILE_WEIGHTS", 7 * COLUMNS)
    matrix, a, b, x = ordered(), numbers(RANK, COLUMNS), numbers(ROWS, RANK, seed=1), numbers(5, COLUMNS, seed=2)
    bias = numbers(ROWS, seed=3) if biased else None
    magnitude = Magnitude(matrix.dense(torch.float32) if dense else matrix, torch.device("cpu"))
    magnitude.weight.data = numbers(ROWS, seed=4).abs()
    tuned = matrix.dense(torch.float32) + SCALING * b @ a

    found = magnitude(F.linear(x, tuned, bias).to(dtype), bias, a, b, SCALING)

    lengths = magnitude.weight.detach()[:, None]
    wanted = F.linear(x, lengths * tuned / tuned.norm(dim=1, keepdim=True), bias)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), wanted, rtol=tolerance, atol=tolerance * float(wanted.abs().max()))


def test_a_fresh_layer_computes_what_its_base_does():
    matrix, y = ordered(), numbers(5, ROWS)

    found = Magnitude(matrix, torch.device("cpu"))(y, None, numbers(RANK, COLUMNS), torch.zeros(ROWS, RANK), SCALING)

    torch.testing.assert_close(found, y)


def test_a_row_of_zeros_has_no_direction_and_stays_finite():
    matrix = PackedMatrix(np.zeros((2, COLUMNS), np.float32).view(np.uint8), BY_NAME["F32"])
    a, b = numbers(RANK, COLUMNS), torch.zeros(2, RANK, requires_grad=True)
    magnitude = Magnitude(matrix, torch.device("cpu"))

    y = magnitude(F.linear(numbers(5, COLUMNS), b @ a), None, a, b, SCALING)
    y.sum().backward()

    assert all(tensor.isfinite().all() for tensor in (y, b.grad, magnitude.weight.grad))


def test_norms_are_made_again_only_when_the_adapter_changed(monkeypatch: pytest.MonkeyPatch):
    a, b, calls, asked = numbers(RANK, COLUMNS), numbers(ROWS, RANK), [], dora.packed_linear
    monkeypatch.setattr(dora, "packed_linear", lambda *x: calls.append(1) or asked(*x))
    magnitude = Magnitude(ordered(), torch.device("cpu"))

    def norms() -> torch.Tensor:
        return magnitude._norms(a, b, SCALING)

    first = norms()
    assert norms() is first
    optimiser = torch.optim.AdamW([b.requires_grad_()], lr=0.1, fused=True)
    b.grad = torch.ones_like(b)
    optimiser.step()  # which leaves b._version as it was
    assert not torch.equal(norms(), first)
    assert len(calls) == 2
