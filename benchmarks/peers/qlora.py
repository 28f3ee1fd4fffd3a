"""QLoRA on the CPU: the base in bitsandbytes' NF4, computing in bfloat16, rows padded to the longest, no recompute."""

from typing import Any

import torch
from common import Material, Watch, plain_trainer, run
from transformers import BitsAndBytesConfig, Trainer


def build(material: Material, arguments: dict[str, Any], watch: Watch) -> Trainer:
    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
    )
    model = material.model(torch.bfloat16, quantization_config=four_bits, device_map="cpu")
    return plain_trainer(model, material.rows, arguments, watch)


if __name__ == "__main__":
    run(build)
