"""A GGUF file as a Transformers model whose linear layers and embedding stay packed.

The model is built on the `meta` device, which allocates nothing, and each part is put in its place: matrices as views
of the memory-mapped file, norms as small tensors. Rows of q and k that llama.cpp stores in another order are not
moved; the matrix is read through an order (see `PackedMatrix.order`).
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from llmlora.errors import GgufError, UnsupportedTensorType
from llmlora.gguf.architectures import (
    OUTPUT,
    OUTPUT_NORM,
    ROPE_FREQUENCIES,
    TOKEN_EMBEDDING,
    Architecture,
    Linear,
    stored_rows,
)
from llmlora.gguf.reader import GgufFile
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.kernels.types import SUPPORTED
from llmlora.model import attention
from llmlora.model.config import architecture_of, config_of
from llmlora.model.packed import PackedEmbedding, PackedLinear

MODELS = {"llama": LlamaForCausalLM, "gemma3": Gemma3ForCausalLM}


def load_model(file: GgufFile, dtype: torch.dtype) -> PreTrainedModel:
    """The model of `file`, computing in `dtype` (float32 or bfloat16), every base weight frozen.

    The file must stay open as long as the model is used: its weights are the file's pages.

    Raises:
        GgufError: a tensor is missing or has another shape than the metadata says.
        UnsupportedArchitecture, UnsupportedTensorType, NotTrainable: the file cannot be trained.
    """
    architecture, config = architecture_of(file), config_of(file)
    attention.register()
    config._attn_implementation = attention.NAME
    with torch.device("meta"):
        model: PreTrainedModel = MODELS[architecture.name](config)
    reader = _Reader(file, config)
    _put_embeddings(model, reader, dtype)
    for layer in range(config.num_hidden_layers):
        for linear in architecture.linears:
            model.set_submodule(linear.module.format(layer), reader.linear(model, linear, layer), strict=True)
        for tensor, module in architecture.norms:
            _put_norm(model, module.format(layer), reader, tensor.format(layer) + ".weight", architecture, dtype)
    _put_norm(model, "model.norm", reader, OUTPUT_NORM, architecture, dtype)
    model.model.rotary_emb = _rotary(config, reader)
    model.config.dtype = dtype
    model.train(False)
    return model


def linear_targets(architecture: Architecture) -> list[str]:
    """The short names LoRA can be put on, in the order of a block."""
    return [linear.target for linear in architecture.linears]


class _Reader:
    """Reads tensors and holds them against the shapes the model expects."""

    def __init__(self, file: GgufFile, config: PreTrainedConfig) -> None:
        self.file, self.config = file, config

    def matrix(self, name: str, shape: tuple[int, int], order: np.ndarray | None = None) -> PackedMatrix:
        info = self.file.tensors.get(name)
        if info is None or info.shape != shape:
            found = "is missing" if info is None else f"has the shape {info.shape}"
            raise GgufError(self.file.path, f"tensor {name} {found}, {shape} is needed")
        if info.kind.name not in SUPPORTED:
            raise UnsupportedTensorType(name, info.kind.name, SUPPORTED)
        return PackedMatrix(self.file.packed(name), info.kind, order)

    def vector(self, name: str, size: int) -> Tensor:
        info = self.file.tensors.get(name)
        if info is None or info.shape != (size,):
            raise GgufError(self.file.path, f"tensor {name} of {size} numbers is missing")
        return PackedMatrix(self.file.packed(name), info.kind, None).dense(torch.float32)[0]

    def linear(self, model: nn.Module, linear: Linear, layer: int) -> PackedLinear:
        planned = cast(nn.Linear, model.get_submodule(linear.module.format(layer)))
        shape = (planned.out_features, planned.in_features)
        order = _row_order(linear, self.config)
        tensor = linear.tensor.format(layer)
        bias = None
        if f"{tensor}.bias" in self.file.tensors:
            bias = self.vector(f"{tensor}.bias", shape[0])
            bias = bias if order is None else bias[torch.from_numpy(order)]
        return PackedLinear(self.matrix(f"{tensor}.weight", shape, order), bias)


def _put_embeddings(model: PreTrainedModel, reader: _Reader, dtype: torch.dtype) -> None:
    shape = (model.config.vocab_size, model.config.hidden_size)
    embedding = reader.matrix(TOKEN_EMBEDDING, shape)
    scale = model.config.hidden_size**0.5 if isinstance(model, Gemma3ForCausalLM) else 1.0
    model.model.embed_tokens = PackedEmbedding(embedding, scale, dtype)
    untied = OUTPUT in reader.file.tensors
    model.lm_head = PackedLinear(reader.matrix(OUTPUT, shape) if untied else embedding)


def _put_norm(
    model: nn.Module, module: str, reader: _Reader, tensor: str, architecture: Architecture, dtype: torch.dtype
) -> None:
    norm = model.get_submodule(module)
    weight = reader.vector(tensor, cast(Tensor, norm.weight).numel()) - architecture.norm_offset
    norm.weight = nn.Parameter(weight.to(dtype), requires_grad=False)


def _rotary(config: PreTrainedConfig, reader: _Reader) -> nn.Module:
    if isinstance(config, Gemma3TextConfig):
        return Gemma3RotaryEmbedding(config)
    rotary = LlamaRotaryEmbedding(cast(LlamaConfig, config))
    if ROPE_FREQUENCIES in reader.file.tensors:
        # Llama 3.1 and later: the converter baked the per-frequency scaling into divisors
        rotary.inv_freq.div_(reader.vector(ROPE_FREQUENCIES, rotary.inv_freq.numel()))
    return rotary


def _row_order(linear: Linear, config: PreTrainedConfig) -> np.ndarray | None:
    if linear.row_order == "as stored":
        return None
    heads = config.num_attention_heads if linear.row_order == "interleaved q" else config.num_key_value_heads
    return stored_rows(heads, config.head_dim)
