"""The layer before the vocabulary."""

from typing import Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from llmlora.model.packed import PackedLinear


class Head(nn.Module):
    """A linear layer, packed or dense, and what an architecture does to its values.

    Transformers' models scale and cap what it gives; whoever calls the layer alone asks for `logits`.
    """

    def __init__(self, linear: PackedLinear | nn.Linear, multiplier: float = 1.0, cap: float | None = None) -> None:
        super().__init__()
        self.linear, self.multiplier, self.cap = linear, multiplier, cap
        self.outfeatures = linear.outfeatures if isinstance(linear, PackedLinear) else linear.out_features

    @classmethod
    def of(cls, linear: PackedLinear | nn.Linear, config: PreTrainedConfig) -> Self:
        """The head of the model that `config` describes."""
        multiplier = getattr(config, "logit_scale", 1.0) / getattr(config, "logits_scaling", 1.0)
        return cls(linear, multiplier, getattr(config, "final_logit_softcapping", None))

    @property
    def weight(self) -> Tensor:
        """What Transformers and PEFT look for, to see whether it is the embedding's; a packed one has none."""
        return self.linear.weight  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        """x [..., hidden] → [..., vocabulary], in x's dtype."""
        values: Tensor = self.linear(x)
        return values

    def logits(self, states: Tensor) -> Tensor:
        """states [..., hidden] → float32 [..., vocabulary], scaled and softly capped as the architecture has it."""
        values = self(states).float()
        if self.multiplier != 1.0:
            values = values * self.multiplier
        return values if self.cap is None else self.cap * torch.tanh(values / self.cap)
