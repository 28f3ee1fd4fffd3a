"""TRL as it comes: float32 weights under autocast to bfloat16, rows padded to the longest, activations recomputed."""

from typing import Any

import torch
from common import Material, Watch, run
from datasets import Dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer


def build(material: Material, arguments: dict[str, Any], watch: Watch) -> SFTTrainer:
    return SFTTrainer(
        material.model(torch.float32),
        SFTConfig(**arguments, dataset_kwargs={"skip_prepare_dataset": True}),
        train_dataset=Dataset.from_list(material.rows),
        processing_class=AutoTokenizer.from_pretrained(material.directory / "twin"),
        callbacks=[watch],
    )


if __name__ == "__main__":
    run(build)
