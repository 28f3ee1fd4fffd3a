"""Attention over rows packed end to end: each row attends to itself alone, causally.

Registered with Transformers under `NAME`, which asks for no mask; the borders of the rows travel as the keyword
`boundaries` of the model's forward. A loop over rows costs no padding and no [tokens × tokens] mask. On CPUs the rows
go to `kernels.attention`; what stands here is for other devices, and for answers, whose queries come one at a time.
"""

from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface

from llmlora.kernels.attention import Form, attend

NAME = "llmlora_packed"


def register() -> None:
    """Make the name known to Transformers; doing it twice is harmless."""
    AttentionInterface.register(NAME, packed_attention)


def packed_attention(  # noqa: PLR0913, PLR0917 - Transformers' signature
    module: nn.Module,  # noqa: ARG001
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001
    scaling: float,
    sliding_window: int | None = None,
    softcap: float | None = None,
    boundaries: tuple[int, ...] | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """query [1, heads, T, d], key and value [1, kv_heads, S, d] → [1, T, heads, d].

    `boundaries` (0, …, T) are the borders of the packed rows; without them there is one row, whose keys may begin
    before its queries (a cache). Scores are scaled by `scaling`; a `sliding_window` lets a token see itself and the
    `sliding_window - 1` before it; `softcap` c bends scores s to c · tanh(s / c).
    """
    if boundaries is not None and query.device.type == "cpu":
        form = Form(scaling, sliding_window or 0, softcap or 0.0)
        return attend(query[0], key[0], value[0], boundaries, form).transpose(0, 1)[None], None
    one_row = partial(_one_row, scaling=scaling, window=sliding_window)
    if softcap is not None:
        one_row = partial(_recomputed, scaling=scaling, window=sliding_window, cap=softcap)
    if boundaries is None:
        return one_row(query, key, value).transpose(1, 2), None
    rows = [one_row(query[:, :, a:b], key[:, :, a:b], value[:, :, a:b]) for a, b in pairwise(boundaries)]
    return torch.cat(rows, dim=2).transpose(1, 2), None


def _one_row(query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None) -> Tensor:
    queries, keys = query.shape[2], key.shape[2]
    if queries == keys and (window is None or keys <= window):
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=True)
    seen = _seen(queries, keys, window)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=scaling, enable_gqa=True)


def _recomputed(query: Tensor, key: Tensor, value: Tensor, **how: Any) -> Tensor:
    """Nothing of a row's scores is kept for the backward pass: they grow with the square of its length."""
    row: Tensor = checkpoint(_one_capped_row, query, key, value, use_reentrant=False, preserve_rng_state=False, **how)
    return row


def _one_capped_row(
    query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None, cap: float
) -> Tensor:
    """torch's own attention cannot cap; here the scores [heads, T, S] of a row exist, in float32."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scores = cap * torch.tanh((query @ key.transpose(2, 3)).float() * (scaling / cap))
    scores = scores.masked_fill(~_seen(query.shape[2], key.shape[2], window), -torch.inf)
    return torch.softmax(scores, dim=-1).to(value.dtype) @ value


def _seen(queries: int, keys: int, window: int | None) -> Tensor:
    """bool [queries, keys]: which keys each query sees."""
    distance = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)[None, :]
    return distance >= 0 if window is None else (distance >= 0) & (distance < window)
