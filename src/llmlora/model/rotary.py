"""RoPE for Transformers' model code, with the frequencies of `model.rope`, in one pass over each head.

An architecture's module has a function that turns heads by cos and sin. Where it turns halves, `put_rotary` has ours
take its place, which is given cos and sin in float32, as llama.cpp has them.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from llmlora.kernels.rope import rotate
from llmlora.model.form import FULL, Form

TURNING = "apply_rotary_pos_emb"  # what Transformers calls the function


def put_rotary(model: PreTrainedModel, form: Form, divisors: Tensor | None) -> None:
    """Have `model` turn its heads as `form` says; `divisors` as for `Rotary`."""
    model.model.rotary_emb = Rotary(form, divisors)
    module = sys.modules[type(model).__module__]
    theirs = getattr(module, TURNING)
    if form.architecture.rope_layout == "halves" and not isinstance(theirs, _TurnHalves):
        setattr(module, TURNING, _TurnHalves(theirs))


@dataclass(frozen=True)
class _TurnHalves:
    """In place of Transformers' own function, which it calls for what is no packed row."""

    theirs: Callable[..., tuple[Tensor, Tensor]]

    def __call__(self, query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, **how: Any) -> tuple[Tensor, Tensor]:
        """query [batch, heads, T, d], key [batch, key heads, T, d], cos and sin [batch, T, n]."""
        if len(query) > 1 or how:
            return self.theirs(query, key, cos, sin, **how)
        return rotate(query[0], cos[0], sin[0])[None], rotate(key[0], cos[0], sin[0])[None]


class Rotary(nn.Module):
    """cos and sin of every position. Takes the place of the architecture's own rotary module."""

    def __init__(self, form: Form, divisors: Tensor | None) -> None:
        """`divisors` [rotated / 2]: what the file divides each frequency by."""
        super().__init__()
        shares = None if divisors is None else divisors.double().numpy()
        self.frequencies: Mapping[str, Tensor] = {
            name: torch.from_numpy(one.frequencies(shares).astype(np.float32)) for name, one in form.rotations.items()
        }
        self.magnitudes = {name: one.magnitude() for name, one in form.rotations.items()}
        self.layout = form.architecture.rope_layout

    def forward(self, x: Tensor, position_ids: Tensor, layer_type: str = FULL) -> tuple[Tensor, Tensor]:
        """position_ids int64 [batch, T] → cos and sin [batch, T, rotated], float32 for halves, else in x's dtype."""
        angles = position_ids[..., None].float() * self.frequencies[layer_type]
        angles = angles.repeat_interleave(2, dim=-1) if self.layout == "pairs" else torch.cat((angles, angles), dim=-1)
        magnitude = self.magnitudes[layer_type]
        dtype = torch.float32 if self.layout == "halves" else x.dtype
        return (angles.cos() * magnitude).to(dtype), (angles.sin() * magnitude).to(dtype)
