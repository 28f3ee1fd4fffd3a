"""Packed attention against the dense, padded kind."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface
from transformers.models.gemma2.modeling_gemma2 import eager_attention_forward

from llmlora.model.attention import NAME, packed_attention, register

HEADS, KV_HEADS, WIDTH = 6, 2, 16
LENGTHS = (5, 1, 12, 4, 7)
BOUNDARIES = (0, 5, 6, 18, 22, 29)
SCALING = 0.3
TOLERANCE = 1e-5


def states(queries: int, keys: int, kv_heads: int = KV_HEADS) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (HEADS, queries), (kv_heads, keys), (kv_heads, keys)
    return tuple(torch.randn(1, *shape, WIDTH, generator=generator).requires_grad_() for shape in shapes)


def padded_attention(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
    """The rows as a batch, padded at the end; an explicit mask for each; heads repeated by hand. [T, heads, d]"""
    longest = max(LENGTHS)
    batch = []
    for part in (query, key, value):
        heads = part[0].repeat_interleave(HEADS // part.shape[1], dim=0)
        rows = [F.pad(heads[:, a:b], (0, 0, 0, longest - (b - a))) for a, b in pairwise(BOUNDARIES)]
        batch.append(torch.stack(rows))
    mask = torch.zeros(len(LENGTHS), 1, longest, longest, dtype=torch.bool)
    for row, length in enumerate(LENGTHS):
        for i in range(longest):
            for j in range(i + 1):
                mask[row, 0, i, j] = i >= length or (window is None or i - j < window)
    out = F.scaled_dot_product_attention(*batch, attn_mask=mask, scale=SCALING)
    return torch.cat([out[row, :, :length] for row, length in enumerate(LENGTHS)], dim=1).transpose(0, 1)


@pytest.mark.parametrize("window", [None, 1, 4, 12, 100])
@pytest.mark.parametrize("kv_heads", [1, KV_HEADS, HEADS])
def test_packed_rows_attend_as_padded_rows_do(kv_heads: int, window: int | None):
    inputs = states(BOUNDARIES[-1], BOUNDARIES[-1], kv_heads)
    expected = padded_attention(*inputs, window)

    found, weights = packed_attention(
        nn.Identity(), *inputs, None, SCALING, sliding_window=window, boundaries=BOUNDARIES, unknown=True
    )

    assert weights is None
    torch.testing.assert_close(found[0], expected, atol=TOLERANCE, rtol=TOLERANCE)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad(found, inputs, upstream)
    expected_gradients = torch.autograd.grad(expected, inputs, upstream[0])
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, wanted, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("window", [None, 4, 100])
@pytest.mark.parametrize(("queries", "keys"), [(9, 9), (3, 10), (1, 10)])
def test_a_row_with_a_cache_sees_the_keys_before_its_queries(queries: int, keys: int, window: int | None):
    query, key, value = states(queries, keys)
    seen = torch.zeros(queries, keys, dtype=torch.bool)
    for i in range(queries):
        here = keys - queries + i
        seen[i, 0 if window is None else max(0, here - window + 1) : here + 1] = True
    repeated = [part.repeat_interleave(HEADS // KV_HEADS, dim=1) for part in (key, value)]
    expected = F.scaled_dot_product_attention(query, *repeated, attn_mask=seen, scale=SCALING)

    found, _ = packed_attention(nn.Identity(), query, key, value, None, SCALING, sliding_window=window)

    torch.testing.assert_close(found, expected.transpose(1, 2), atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("window", [None, 4])
def test_capped_scores_are_those_of_gemma2_in_transformers(window: int | None):
    query, key, value = states(12, 12)
    seen = torch.ones(12, 12, dtype=torch.bool).tril()
    seen = seen if window is None else seen.triu(1 - window)
    layer = nn.Identity().train(False)
    layer.num_key_value_groups = HEADS // KV_HEADS
    mask = torch.zeros(12, 12).masked_fill(~seen, -torch.inf)
    expected, _ = eager_attention_forward(layer, query, key, value, mask, scaling=SCALING, softcap=0.5)

    found, _ = packed_attention(layer, query, key, value, None, SCALING, sliding_window=window, softcap=0.5)

    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=TOLERANCE)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    for gradient, wanted in zip(
        torch.autograd.grad(found, (query, key, value), upstream),
        torch.autograd.grad(expected, (query, key, value), upstream),
        strict=True,
    ):
        torch.testing.assert_close(gradient, wanted, atol=TOLERANCE, rtol=TOLERANCE)


def test_no_row_sees_another():
    inputs = states(BOUNDARIES[-1], BOUNDARIES[-1])
    found, _ = packed_attention(nn.Identity(), *inputs, None, SCALING, boundaries=BOUNDARIES)

    (gradient,) = torch.autograd.grad(found[0, 6:18].sum(), inputs[2])

    outside = torch.cat([gradient[:, :, :6], gradient[:, :, 18:]], dim=2)
    assert not outside.any()
    assert gradient[:, :, 6:18].any()


def test_transformers_knows_the_attention_by_its_name():
    register()
    register()

    assert AttentionInterface()[NAME] is packed_attention
