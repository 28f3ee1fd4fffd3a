"""Trainer and PEFT as one would set them up with care: bfloat16, padded to the longest row of a step, no recompute."""

from typing import Any

import torch
from common import Material, Watch, padded, run
from transformers import Trainer, TrainingArguments


def build(material: Material, arguments: dict[str, Any], watch: Watch) -> Trainer:
    return Trainer(
        material.model(torch.bfloat16),
        TrainingArguments(**arguments),
        data_collator=padded,
        train_dataset=material.rows,
        callbacks=[watch],
    )


if __name__ == "__main__":
    run(build)
