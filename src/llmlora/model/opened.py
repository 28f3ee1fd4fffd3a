"""A base that is open: what training asks of a GGUF file or a Hugging Face directory, and the one place that tells
them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.gguf.reader import GgufFile
from llmlora.model.config import config_of
from llmlora.model.form import read_form
from llmlora.model.hf import HfDirectory, need_trainable
from llmlora.model.hf_load import hf_skeleton, load_hf
from llmlora.model.load import load_model
from llmlora.model.packed import sizes_of
from llmlora.model.source import Base
from llmlora.model.targets import in_blocks

DENSE_NORMS = 6  # as which Transformers' own two count: their operations keep more than ours, which are one each


@dataclass(frozen=True)
class OpenBase:
    """Either kind."""

    config: PreTrainedConfig
    context: int  # the most tokens a row may have
    linears: dict[str, tuple[int, int]]  # the layers LoRA can be put on, block by block: numbers out, numbers in
    parameters: int
    file_bytes: int
    dense_parameters: int  # that will lie in memory; 0 where the file is mapped
    norms: int  # of a block, over the hidden states
    head_norms: bool  # over those of q and k
    load: Callable[[torch.dtype], PreTrainedModel]  # the model, computing in this format, every weight frozen


def open_base(base: Base) -> OpenBase:
    """Open a base.

    Raises:
        GgufError, HfError: it is damaged.
        UnsupportedArchitecture, NotTrainable: it cannot be trained.
    """
    return _file(base.path) if base.is_gguf else _directory(base, need_trainable(base.path, base.name))


def _file(path: Path) -> OpenBase:
    """It stays open as long as the model is used: the weights are the file's pages."""
    file = GgufFile(path)
    form = read_form(file)
    architecture = form.architecture
    tensors = in_blocks([linear.tensor for linear in architecture.linears], form.layers)
    shapes = (file.tensors[f"{tensor}.weight"].shape for tensor in tensors)
    modules = in_blocks(architecture.modules, form.layers)
    wide = [tensor for tensor, _ in architecture.norms if not tensor.endswith(("_q_norm", "_k_norm"))]
    return OpenBase(
        config=config_of(form),
        context=form.context,
        linears={module: (rows, columns) for module, (rows, columns) in zip(modules, shapes, strict=True)},
        parameters=sum(prod(info.shape) for info in file.tensors.values()),
        file_bytes=path.stat().st_size,
        dense_parameters=0,
        norms=len(wide),
        head_norms=len(wide) < len(architecture.norms),
        load=partial(load_model, file),
    )


def _directory(base: Base, directory: HfDirectory) -> OpenBase:
    skeleton = hf_skeleton(directory)
    dense = sum(weight.numel() for weight in skeleton.parameters())
    modules = in_blocks(HF_ARCHITECTURES[directory.model_type].modules, skeleton.config.num_hidden_layers)
    return OpenBase(
        config=skeleton.config,
        context=directory.context or 0,
        linears={module: sizes_of(skeleton.get_submodule(module)) for module in modules},
        parameters=dense,
        file_bytes=base.size,
        dense_parameters=dense,
        norms=DENSE_NORMS,
        head_norms=False,
        load=partial(load_hf, directory),
    )
