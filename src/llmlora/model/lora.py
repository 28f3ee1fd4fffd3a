"""Put LoRA on a packed or a dense model, through PEFT. The one place that uses PEFT's experimental registration."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from llmlora.model.hf_hub import HubName
from llmlora.model.packed import PackedEmbedding, PackedLinear, PackedLoraLinear
from llmlora.recipe import Recipe


def add_lora(model: PreTrainedModel, recipe: Recipe, targets: list[str]) -> PeftModel:
    """The model with a fresh adapter: A random by the recipe's seed, B zero, both float32, all else frozen.

    `targets` are the modules that get one, by names that PEFT compares with the end of a module's name.
    """
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.scale_alpha,  # type: ignore[arg-type]  # PEFT computes with floats and annotates int
        lora_dropout=recipe.dropout,
        target_modules=targets,
        use_rslora=recipe.rslora,
        use_dora=recipe.dora,
        task_type="CAUSAL_LM",
        # how PEFT is told that the base's matrices lie [in, out]; those of the adapter do not depend on it
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    config._register_custom_module(dict.fromkeys((PackedLinear, nn.Linear, Conv1D), PackedLoraLinear))
    model.name_or_path, config.revision = named_for_others(recipe.model)  # what PEFT writes down as the base
    torch.manual_seed(recipe.seed)
    with warnings.catch_warnings():
        # PEFT 0.21 asks Transformers 5.24 by a name that the latter has renamed
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        adapted = get_peft_model(model, config)
    config.target_modules = list(targets)  # PEFT shortens a long list to odd ends of names
    return adapted


def named_for_others(model: str) -> tuple[str, str | None]:
    """A base as PEFT and the hub name it, and its commit: `hf:org/name@commit` is `org/name` to them."""
    name = HubName.parse(model.removeprefix("hf:")) if model.startswith("hf:") else None
    return (name.repo, name.revision) if name else (model.removeprefix("hf:"), None)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The adapter's parameters by name, in a fixed order."""
    return {name: weight for name, weight in sorted(model.named_parameters()) if weight.requires_grad}


def total_parameters(model: nn.Module) -> int:
    """Weights of the base, packed or dense, and the adapter; a tied head counts once."""
    matrices = {
        id(module.matrix.blocks): module.matrix.shape
        for module in model.modules()
        if isinstance(module, PackedLinear | PackedEmbedding)
    }
    packed = sum(rows * columns for rows, columns in matrices.values())
    return packed + sum(weight.numel() for weight in model.parameters())


def adapter_state(model: PeftModel) -> dict[str, Tensor]:
    """The adapter under PEFT's names, as `adapter_model.safetensors` holds it."""
    state: dict[str, Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().contiguous() for name, tensor in sorted(state.items())}


def load_adapter_state(model: PeftModel, state: dict[str, Tensor]) -> None:
    """Copy saved adapter weights into the model."""
    set_peft_model_state_dict(model, state)


def save_adapter(model: PeftModel, directory: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json` into an existing directory."""
    save_file(adapter_state(model), directory / "adapter_model.safetensors", metadata={"format": "pt"})
    # PEFT's own writer leaves the targets in the order of a set, which changes from process to process
    config: dict[str, Any] = {**model.peft_config["default"].to_dict(), "inference_mode": True}
    config["target_modules"] = sorted(config["target_modules"])
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")
