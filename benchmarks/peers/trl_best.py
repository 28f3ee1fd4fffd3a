"""TRL at its best on a CPU: bfloat16 weights, packed rows without padding, no recompute, torch's own attention.

One pack a pass: its mask is dense, so that two together take longer (seen: 4 %) and more memory.
"""

from typing import Any

import torch
from common import LONGEST, PACKS_A_STEP, Material, Watch, run
from datasets import Dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer


def build(material: Material, arguments: dict[str, Any], watch: Watch) -> SFTTrainer:
    packing = {"packing": True, "max_length": LONGEST, "dataset_kwargs": {"skip_prepare_dataset": True}}
    passes = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": PACKS_A_STEP}
    return SFTTrainer(
        material.model(torch.bfloat16, attn_implementation="sdpa"),
        SFTConfig(**{**arguments, **packing, **passes}, bf16=False, gradient_checkpointing=False),
        train_dataset=Dataset.from_list(material.packed()),
        processing_class=AutoTokenizer.from_pretrained(material.directory / "twin"),
        callbacks=[watch],
    )


if __name__ == "__main__":
    run(build, PACKS_A_STEP)
