"""A GGUF file as Transformers' own model with the dequantised weights: what ours is held against."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from llmlora.gguf.architectures import OUTPUT
from llmlora.gguf.reader import GgufFile
from llmlora.model.config import config_of, model_class
from llmlora.model.form import read_form
from llmlora.model.load import load_model
from llmlora.model.packed import PackedEmbedding, PackedLinear, PackedNorm


def dense_twin(file: GgufFile) -> nn.Module:
    """The model in float32. Of ours it has RoPE's angles, which have their own test."""
    form, packed = read_form(file), load_model(file, torch.float32)
    config = config_of(form)
    config._attn_implementation = "eager"
    config.tie_word_embeddings = False
    twin = model_class(form)(config)
    twin.model.rotary_emb = packed.model.rotary_emb
    twin.load_state_dict(dense_weights(packed, form.architecture.norm_offset, torch.float32), strict=True)
    return twin.train(False)


def write_twin(file: GgufFile, directory: Path) -> None:
    """The model in bfloat16, for files whose RoPE is plain: `config.json` and `model.safetensors`."""
    form, packed = read_form(file), load_model(file, torch.float32)
    weights = dense_weights(packed, form.architecture.norm_offset, torch.bfloat16)
    config = config_of(form)
    config.architectures, config.dtype = [model_class(form).__name__], torch.bfloat16
    config.tie_word_embeddings = OUTPUT not in file.tensors
    if config.tie_word_embeddings:
        del weights["lm_head.weight"]
    config.save_pretrained(directory)
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()},
        directory / "model.safetensors",
        {"format": "pt"},
    )


def dense_weights(packed: nn.Module, norm_offset: float, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights of a packed model by Transformers' names."""
    weights = {name: weight.detach() for name, weight in packed.named_parameters()}
    for path, module in packed.named_modules():
        name = path.replace("lm_head.linear", "lm_head")
        if isinstance(module, PackedNorm):
            weights[f"{name}.weight"] = module.weight.detach() - norm_offset
        if isinstance(module, PackedLinear | PackedEmbedding):
            weights[f"{name}.weight"] = module.matrix.dense(dtype)
        if isinstance(module, PackedLinear) and module.bias is not None:
            weights[f"{name}.bias"] = module.bias
    return {name: weight.to(dtype) for name, weight in weights.items()}
