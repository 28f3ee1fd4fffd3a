"""A GGUF file as a Transformers model whose linear layers and embedding stay packed.

The model is built on the `meta` device, which allocates nothing, and each part is put in its place: matrices as views
of the memory-mapped file, norms as small tensors. Rows of q and k that llama.cpp stores in another order are not
moved; the matrix is read through an order (see `PackedMatrix.order`).
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from llmlora.errors import GgufError, UnsupportedTensorType
from llmlora.gguf.architectures import OUTPUT, OUTPUT_NORM, TOKEN_EMBEDDING, Linear, stored_rows
from llmlora.gguf.reader import GgufFile
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.kernels.types import SUPPORTED
from llmlora.model import attention
from llmlora.model.config import config_of, model_class
from llmlora.model.form import Form, read_form
from llmlora.model.head import Head
from llmlora.model.packed import PackedEmbedding, PackedLinear, PackedNorm
from llmlora.model.rotary import put_rotary


def load_model(file: GgufFile, dtype: torch.dtype) -> PreTrainedModel:
    """The model of `file`, computing in `dtype` (float32 or bfloat16), every base weight frozen.

    The file must stay open as long as the model is used: its weights are the file's pages.

    Raises:
        GgufError: a tensor is missing or has another shape than the metadata says.
        UnsupportedArchitecture, UnsupportedTensorType, NotTrainable: the file cannot be trained.
    """
    form = read_form(file)
    architecture, config = form.architecture, config_of(form)
    attention.register()
    config._attn_implementation = attention.NAME
    with torch.device("meta"):
        model: PreTrainedModel = model_class(form)(config)
    model.config.dtype = dtype
    reader = _Reader(file, config)
    _put_embeddings(model, reader, dtype)
    for layer in range(form.layers):
        for linear in architecture.linears:
            model.set_submodule(linear.module.format(layer), reader.linear(model, linear, layer), strict=True)
        for tensor, module in architecture.norms:
            _put_norm(model, module.format(layer), reader, tensor.format(layer), form)
    _put_norm(model, "model.norm", reader, OUTPUT_NORM.removesuffix(".weight"), form)
    put_rotary(model, form, _divisors(form, reader))
    model.train(False)
    return model


def unpack(model: nn.Module, dtype: torch.dtype) -> None:
    """Dequantise every matrix that products are taken with, once; a tied head is not the embedding's any more."""
    for module in model.modules():
        if isinstance(module, PackedLinear):
            module.matrix = module.matrix.with_numbers(dtype)


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
    config = model.config
    shape = (config.vocab_size, config.hidden_size)
    embedding = reader.matrix(TOKEN_EMBEDDING, shape)
    # Gemma's embedding scales what it gives; others are scaled by the model, or not at all
    scale = getattr(model.model.embed_tokens, "scalar_embed_scale", 1.0)
    model.model.embed_tokens = PackedEmbedding(embedding, scale, dtype)
    matrix = reader.matrix(OUTPUT, shape) if OUTPUT in reader.file.tensors else embedding
    model.lm_head = Head.of(PackedLinear(matrix), config)


def _put_norm(model: PreTrainedModel, path: str, reader: _Reader, tensor: str, form: Form) -> None:
    planned = model.get_submodule(path)
    weight = reader.vector(f"{tensor}.weight", cast(Tensor, planned.weight).numel())
    if form.architecture.norm_epsilon.field == "rms_norm_eps":
        epsilon = float(getattr(model.config, form.architecture.norm_epsilon.field))
        model.set_submodule(path, PackedNorm(weight, epsilon), strict=True)
        return
    dtype = model.config.dtype
    planned.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    if form.architecture.norm_bias:
        bias = reader.vector(f"{tensor}.bias", len(weight))
        planned.bias = nn.Parameter(bias.to(dtype), requires_grad=False)


def _divisors(form: Form, reader: _Reader) -> Tensor | None:
    name = form.architecture.rope_factors
    return reader.vector(name, form.rotated // 2) if name in reader.file.tensors else None


def _row_order(linear: Linear, config: PreTrainedConfig) -> np.ndarray | None:
    if linear.row_order == "as stored":
        return None
    heads = config.num_attention_heads if linear.row_order == "interleaved q" else config.num_key_value_heads
    return stored_rows(heads, config.head_dim)
