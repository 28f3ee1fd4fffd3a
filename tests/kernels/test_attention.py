"""Attention in products and compiled loops, against torch's own in float64."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from llmlora.kernels.attention import Form, attend
from llmlora.kernels.attention_loops import QUERIES

HEADS, KEY_HEADS, WIDTH = 6, 2, 16
SHORT, LONG = (0, 5, 6, 18, 29), (0, 3, 3 + 2 * QUERIES + 7, 5 + 2 * QUERIES + 7)
FORMS = [Form(0.3), Form(0.3, window=4), Form(0.3, window=QUERIES + 9), Form(2.0, cap=5.0), Form(2.0, 7, 5.0)]


def inputs(tokens: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(heads, tokens, WIDTH) for heads in (HEADS, KEY_HEADS, KEY_HEADS)]
    return tuple(torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes)


def in_double(given: tuple[Tensor, ...], boundaries: tuple[int, ...], form: Form) -> Tensor:
    """Every score of every row, written out."""
    query, key, value = given[0], *(part.repeat_interleave(HEADS // KEY_HEADS, dim=0) for part in given[1:])
    rows = []
    for a, b in pairwise(boundaries):
        scores = query[:, a:b] @ key[:, a:b].transpose(1, 2) * form.scale
        scores = form.cap * torch.tanh(scores / form.cap) if form.cap else scores
        distance = torch.arange(b - a)[:, None] - torch.arange(b - a)
        seen = (distance >= 0) & (distance < (form.window or b))
        rows.append(torch.softmax(scores.masked_fill(~seen, -torch.inf), -1) @ value[:, a:b])
    return torch.cat(rows, dim=1)


def results(of, given: tuple[Tensor, ...]) -> list[Tensor]:
    out = of(*given)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, given, upstream)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("boundaries", [SHORT, LONG])
def test_float32_is_what_the_formulas_say(boundaries: tuple[int, ...], form: Form):
    given = inputs(boundaries[-1], torch.float32)
    twins = tuple(part.detach().double().requires_grad_() for part in given)
    exact = results(lambda *parts: in_double(parts, boundaries, form), twins)

    found = results(lambda *parts: attend(*parts, boundaries, form), given)

    for part, wanted in zip(found, exact, strict=True):
        torch.testing.assert_close(part.double(), wanted, rtol=2e-5, atol=2e-5)


def test_bfloat16_is_no_less_exact_than_torchs_own():
    given = inputs(LONG[-1], torch.bfloat16)
    given[0].data *= 4  # scores of tens, which bfloat16 could not hold
    twins = tuple(part.detach().double().requires_grad_() for part in given)
    exact = results(lambda *parts: in_double(parts, LONG, Form(1.0)), twins)

    def by_torch(*parts: Tensor) -> Tensor:
        rows = [
            F.scaled_dot_product_attention(
                *(one[None, :, a:b] for one in parts), is_causal=True, scale=1.0, enable_gqa=True
            )
            for a, b in pairwise(LONG)
        ]
        return torch.cat(rows, dim=2)[0]

    ours = results(lambda *parts: attend(*parts, LONG, Form(1.0)), given)
    theirs = results(by_torch, given)

    def error(part: Tensor, wanted: Tensor) -> float:
        return float((part.double() - wanted).norm() / wanted.norm())

    for part, other, wanted in zip(ours, theirs, exact, strict=True):
        assert error(part, wanted) < max(0.004, error(other, wanted))


def test_threads_change_no_bit():
    given = inputs(LONG[-1], torch.bfloat16)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(results(lambda *parts: attend(*parts, LONG, Form(0.3)), given))
    finally:
        torch.set_num_threads(before)

    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
