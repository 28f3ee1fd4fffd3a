"""The design that llmlora replaces: Trainer and PEFT in float32, rows padded to the most, loss on every token."""

from functools import partial
from typing import Any

import torch
from common import LONGEST, Material, Watch, padded, run
from transformers import Trainer, TrainingArguments


def build(material: Material, arguments: dict[str, Any], watch: Watch) -> Trainer:
    rows = [{**row, "labels": row["input_ids"]} for row in material.rows]
    return Trainer(
        material.model(torch.float32),
        TrainingArguments(**arguments),
        data_collator=partial(padded, length=LONGEST),
        train_dataset=rows,
        callbacks=[watch],
    )


if __name__ == "__main__":
    run(build)
