"""RoPE for Transformers' model code, with the frequencies of `model.rope`."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from llmlora.model.form import FULL, Form


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
        self.pairs = form.architecture.rope_layout == "pairs"

    def forward(self, x: Tensor, position_ids: Tensor, layer_type: str = FULL) -> tuple[Tensor, Tensor]:
        """position_ids int64 [batch, T] → cos and sin [batch, T, rotated], in x's dtype."""
        angles = position_ids[..., None].float() * self.frequencies[layer_type]
        angles = angles.repeat_interleave(2, dim=-1) if self.pairs else torch.cat((angles, angles), dim=-1)
        magnitude = self.magnitudes[layer_type]
        return (angles.cos() * magnitude).to(x.dtype), (angles.sin() * magnitude).to(x.dtype)
