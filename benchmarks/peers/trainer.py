"""Trainer and PEFT as one would set them up with care: bfloat16, padded to the longest row of a step, no recompute."""

from typing import Any

import torch
from common import Material, Watch, plain_trainer, run
from transformers import Trainer


def build(material: Material, arguments: dict[str, Any], watch: Watch) -> Trainer:
    return plain_trainer(material.model(torch.bfloat16), material.rows, arguments, watch)


if __name__ == "__main__":
    run(build)
