"""The layers that keep a base model in its blocks: a linear layer, an embedding, and LoRA on a linear layer."""

from typing import Any, cast

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import LoraVariant
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from llmlora.kernels.dequantise import PackedMatrix
from llmlora.kernels.linear import packed_linear, packed_lora_linear
from llmlora.kernels.norm import rms_norm
from llmlora.model.dora import Magnitude


class PackedLinear(nn.Module):
    """y = x Wᵀ + b with W in GGML blocks. W and b are frozen: they are not parameters at all."""

    def __init__(self, matrix: PackedMatrix, bias: Tensor | None = None) -> None:
        super().__init__()
        self.matrix = matrix
        self.bias = bias
        # what PEFT asks of a quantised layer: its sizes by these names, and a `qweight` that knows its device
        self.outfeatures, self.infeatures = matrix.shape
        self.qweight = torch.empty(0, dtype=torch.uint8)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., infeatures] → [..., outfeatures], in x's dtype."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return packed_linear(x, self.matrix, bias)


class PackedEmbedding(nn.Module):
    """Rows of a packed matrix by token id, times `scale` in float32, rounded once to `dtype`."""

    def __init__(self, matrix: PackedMatrix, scale: float, dtype: torch.dtype) -> None:
        super().__init__()
        self.matrix, self.scale, self.dtype = matrix, scale, dtype

    def forward(self, ids: Tensor) -> Tensor:
        """ids int64 [...] → [..., columns]."""
        rows = self.matrix.gather(ids.reshape(-1), torch.float32)
        return (rows * self.scale).to(self.dtype).reshape(*ids.shape, -1)


class PackedNorm(nn.Module):
    """RMSNorm with its weight as the file has it: what llama.cpp multiplies with, Gemma's one included."""

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """x [..., n] → [..., n], in x's dtype."""
        return rms_norm(x, self.weight, self.epsilon)


class PackedLoraLinear(nn.Module, LoraLayer):
    """A linear layer with LoRA, packed or dense (`nn.Linear`, `Conv1D`).

    y = base(x) + scaling · B(A(dropout(x))), each row then rescaled where it is DoRA.

    A and B are kept in float32 and rounded to x's dtype in each pass: a cast of the two thin matrices is cheap where
    PEFT's own layer would cast the activations, which are not.
    """

    def __init__(
        self,
        base_layer: nn.Module,
        adapter_name: str,
        config: LoraConfig,
        r: int,
        lora_alpha: int,
        **_: Any,
    ) -> None:
        super().__init__()
        LoraLayer.__init__(self, base_layer)
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, r, lora_alpha=lora_alpha, config=config)

    @property
    def lora_variants(self) -> dict[tuple[str, ...], Any]:
        """What PEFT makes of the flags of a configuration."""
        return {(): None, ("use_dora",): Dora}

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in] → [..., out]."""
        base = self.base_layer
        if isinstance(base, PackedLinear) and (name := self._fused()):
            return packed_lora_linear(x, base.matrix, base.bias, *self._halves(name), self.scaling[name])
        y: Tensor = base(x)
        if self.disable_adapters:
            return y
        for name in self.active_adapters:
            a, b = self._halves(name)
            thin = F.linear(self.lora_dropout[name](x), a.to(x.dtype))
            y = torch.add(y, F.linear(thin, b.to(x.dtype)), alpha=self.scaling[name])
            if name in self.lora_magnitude_vector:
                magnitude = cast(Magnitude, self.lora_magnitude_vector[name])
                y = magnitude(y, base.bias, a, b, self.scaling[name])
        return y

    def _halves(self, name: str) -> tuple[Tensor, Tensor]:
        """A [rank, in] and B [out, rank]."""
        return cast(Tensor, self.lora_A[name].weight), cast(Tensor, self.lora_B[name].weight)

    def _fused(self) -> str | None:
        """The adapter, where it is the only one and has neither dropout nor magnitudes."""
        names = () if self.disable_adapters else tuple(self.active_adapters)
        plain = len(names) == 1 and isinstance(self.lora_dropout[names[0]], nn.Identity)
        return names[0] if plain and names[0] not in self.lora_magnitude_vector else None


class Dora(LoraVariant):
    """What PEFT calls to make a LoRA layer of ours one of DoRA; the layer's own forward does the rest."""

    @staticmethod
    def init(module: Any, adapter_name: str, **_: Any) -> None:
        """Give the layer its magnitudes."""
        module.lora_magnitude_vector[adapter_name] = magnitude_of(module.get_base_layer())


def magnitude_of(layer: nn.Module) -> Magnitude:
    """The lengths of the rows of a linear layer, packed or dense, as they are."""
    matrix = _matrix_of(layer)
    device = matrix.device if isinstance(matrix, Tensor) else cast(Tensor, layer.qweight).device
    return Magnitude(matrix, device)


def sizes_of(layer: nn.Module) -> tuple[int, int]:
    """Numbers out and numbers in of a linear layer, packed or dense."""
    rows, columns = _matrix_of(layer).shape
    return rows, columns


def _matrix_of(layer: nn.Module) -> PackedMatrix | Tensor:
    """W [out, in]; GPT-2's layers keep it transposed."""
    if isinstance(layer, PackedLinear):
        return layer.matrix
    weight = cast(nn.Linear | Conv1D, layer).weight.detach()  # to be no parameter of whoever holds it
    return weight.T if isinstance(layer, Conv1D) else weight
