"""Norms, losses and the exponential they share, against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlora.kernels.compiled import compiled
from llmlora.kernels.cross_entropy import cross_entropy_, cross_entropy_by_reference_
from llmlora.kernels.lines import exp, read, write
from llmlora.kernels.norm import rms_norm, rms_norm_by_reference
from llmlora.kernels.threads import as_array
from llmlora.kernels.vectors import LANES, load, store


@compiled
def _exp(x):
    for j in range(0, x.size, LANES):
        store(exp(load(x, j)), x, j)


def exponentials(x: np.ndarray) -> np.ndarray:
    filled = np.zeros(48, np.float32)
    filled[: len(x)] = x
    _exp(filled)
    return filled[: len(x)]


DTYPES = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.floats(-87, 0, width=32), min_size=1, max_size=40))
def test_the_exponential_is_exact_to_21_bits(values: list[float]):
    x = np.array(values, np.float32)
    exact = np.exp(x.astype(np.float64))

    x = exponentials(x)

    assert np.abs(x / exact - 1).max() < 2**-21


def test_what_is_too_small_for_a_float_is_as_good_as_nothing_and_a_nan_is_seen():
    x = np.array([-88, -1e30, -np.inf, np.nan], np.float32)

    x = exponentials(x)

    assert (x[:3] < 2e-38).all()
    assert np.isnan(x[3])


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
def test_bfloat16_is_rounded_as_torch_rounds(values: list[float]):
    wanted = torch.tensor(values, dtype=torch.float32)
    out, line = torch.empty(len(values), dtype=torch.bfloat16), np.empty(len(values), np.float32)

    write(wanted.numpy().copy(), as_array(out))
    read(as_array(out), line)

    torch.testing.assert_close(out, wanted.to(torch.bfloat16), rtol=0, atol=0, equal_nan=True)
    np.testing.assert_array_equal(line, out.float().numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 64), (1, 3, 5, 16), (400, 640)])
def test_a_norm_and_its_gradient_are_those_of_torch(shape: tuple[int, ...], dtype: torch.dtype):
    x = (torch.randn(shape) * 3).to(dtype).requires_grad_()
    weight, upstream = torch.rand(shape[-1]) + 0.5, torch.randn(shape).to(dtype)

    found, wanted = rms_norm(x, weight, 1e-5), rms_norm_by_reference(x, weight, 1e-5)

    tolerance = DTYPES[dtype]
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)
    gradients = (torch.autograd.grad(one, x, upstream)[0] for one in (found, wanted))
    torch.testing.assert_close(*gradients, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("multiplier", "cap"), [(1.0, None), (0.25, None), (1.0, 30.0), (0.5, 5.0)])
def test_a_loss_and_its_gradient_are_those_of_torch(multiplier: float, cap: float | None, dtype: torch.dtype):
    logits, labels = (torch.randn(9, 20_000) * 5).to(dtype), torch.randint(0, 20_000, (9,))
    others = logits.clone()

    found = cross_entropy_(logits, labels, multiplier, cap)

    torch.testing.assert_close(found, cross_entropy_by_reference_(others, labels, multiplier, cap))
    torch.testing.assert_close(logits, others, rtol=DTYPES[dtype], atol=1e-6)


def test_a_logit_that_is_no_number_makes_the_loss_none():
    logits = torch.zeros(2, 50)
    logits[1, 7] = torch.nan

    assert not torch.isfinite(cross_entropy_(logits, torch.tensor([3, 4])))
