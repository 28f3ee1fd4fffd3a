"""QLoRA on the CPU: the base in bitsandbytes' NF4, computing in bfloat16, rows padded to the longest, no recompute."""

from typing import Any

import torch
from common import Material, Watch, padded, run
from transformers import BitsAndBytesConfig, Trainer, TrainingArguments


def build(material: Material, arguments: dict[str, Any], watch: Watch) -> Trainer:
    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
    )
    return Trainer(
        material.model(torch.bfloat16, quantization_config=four_bits, device_map="cpu"),
        TrainingArguments(**arguments),
        data_collator=padded,
        train_dataset=material.rows,
        callbacks=[watch],
    )


if __name__ == "__main__":
    run(build)
