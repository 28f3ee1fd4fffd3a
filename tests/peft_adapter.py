"""Adapters as PEFT writes them, with random weights: what people bring along."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.gguf.reader import GgufFile

CONFIG: dict[str, Any] = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "lora_alpha": 8, "bias": "none"}


def peft_adapter(
    directory: Path, base: Path, targets: Sequence[str] = ("q_proj", "down_proj"), rank: int = 4, **config: Any
) -> Path:
    """Write an adapter on these targets of every layer of a base; `config` is added to its configuration."""
    random, weights = np.random.default_rng(0), dict[str, np.ndarray]()
    with GgufFile(base) as file:
        architecture = ARCHITECTURES[str(file.metadata["general.architecture"])]
        for layer in range(file.metadata[f"{architecture.name}.block_count"]):
            for linear in architecture.linears:
                module = linear.module.format(layer)
                if module.rpartition(".")[2] in targets:
                    rows, columns = file.tensors[f"{linear.tensor.format(layer)}.weight"].shape
                    for half, shape in (("lora_A", (rank, columns)), ("lora_B", (rows, rank))):
                        values = 0.7 * random.standard_normal(shape) / np.sqrt(shape[1])
                        weights[f"base_model.model.{module}.{half}.weight"] = values.astype(np.float32)
    directory.mkdir()
    save_file(weights, directory / "adapter_model.safetensors", metadata={"format": "pt"})
    values = {**CONFIG, "r": rank, "target_modules": list(targets), **config}
    (directory / "adapter_config.json").write_text(json.dumps(values))
    return directory
