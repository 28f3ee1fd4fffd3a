"""The design that llmlora replaces: Trainer and PEFT in float32, rows padded to the most, loss on every token."""

from typing import Any

import torch
from common import LONGEST, Material, Watch, plain_trainer, run
from transformers import Trainer


def build(material: Material, arguments: dict[str, Any], watch: Watch) -> Trainer:
    rows = [{**row, "labels": row["input_ids"]} for row in material.rows]
    return plain_trainer(material.model(torch.float32), rows, arguments, watch, length=LONGEST)


if __name__ == "__main__":
    run(build)
