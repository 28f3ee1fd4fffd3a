"""What every peer does: read the material, put the same adapter on the same weights, time each step, print one line.

This runs in a peer's own environment, which has no llmlora. The material is made by `material.py`:

    rows.json   {"rows": [{"input_ids": […], "labels": […]}], "packs": [[row, …], …], "learning_rate": …, "threads": …}
    twin/       the dequantised base as a Hugging Face directory, bfloat16
    start/      the adapter as PEFT has it: the one llmlora begins with
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging

ROWS_A_STEP, PACKS_A_STEP, LONGEST = 8, 2, 512
LEFT_OUT = 2
MASKED = -100
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Material:
    directory: Path
    rows: list[dict[str, list[int]]]
    packs: list[list[int]]
    learning_rate: float
    threads: int

    @classmethod
    def read(cls, directory: Path) -> "Material":
        return cls(directory, **json.loads((directory / "rows.json").read_text("utf-8")))

    def packed(self) -> list[dict[str, list[int]]]:
        """A pack as one row, and where its rows end, by TRL's names."""
        joined = []
        for pack in self.packs:
            rows = [self.rows[row] for row in pack]
            one = {name: [token for row in rows for token in row[name]] for name in ("input_ids", "labels")}
            joined.append({**one, "seq_lengths": [len(row["input_ids"]) for row in rows]})
        return joined

    def model(self, dtype: torch.dtype, **options: Any) -> PeftModel:
        """The twin in a number format, with the adapter to train."""
        base = AutoModelForCausalLM.from_pretrained(self.directory / "twin", dtype=dtype, **options)
        return PeftModel.from_pretrained(base, self.directory / "start", is_trainable=True)


def padded(rows: Sequence[dict[str, list[int]]], length: int | None = None) -> dict[str, torch.Tensor]:
    """Rows as a batch, padded to `length` or to the longest."""
    length = length or max(len(row["input_ids"]) for row in rows)
    fillings = {"input_ids": 0, "labels": MASKED}
    batch = {
        name: torch.tensor([row[name] + [filling] * (length - len(row[name])) for row in rows])
        for name, filling in fillings.items()
    }
    sizes = torch.tensor([len(row["input_ids"]) for row in rows])
    return {**batch, "attention_mask": (torch.arange(length) < sizes[:, None]).long()}


def plain_trainer(
    model: PeftModel, rows: Sequence[Any], arguments: dict[str, Any], watch: "Watch", length: int | None = None
) -> Trainer:
    """Hugging Face's Trainer on rows padded as `padded` does."""
    return Trainer(
        model,
        TrainingArguments(**arguments),
        data_collator=partial(padded, length=length),
        train_dataset=rows,
        callbacks=[watch],
    )


class Watch(TrainerCallback):
    """Seconds and loss of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.perf_counter() - self.began)
        print(f"  step {len(self.seconds)}: {self.seconds[-1]:.1f} s", file=sys.stderr, flush=True)

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])


def run(build: Callable[[Material, dict[str, Any], Watch], Any], a_step: int = ROWS_A_STEP) -> None:
    """`PEER.py MATERIAL STEPS`: train with what `build` makes of material and common arguments, and print one line.

    `a_step` items of the data are a step: rows, or packs where it is PACKS_A_STEP.
    """
    material, steps, watch = Material.read(Path(sys.argv[1])), int(sys.argv[2]), Watch()
    logging.set_verbosity_error()
    torch.set_num_threads(material.threads)
    with tempfile.TemporaryDirectory() as directory:
        arguments = {
            "output_dir": directory,
            "max_steps": steps,
            "per_device_train_batch_size": a_step,
            "learning_rate": material.learning_rate,
            "lr_scheduler_type": "constant",
            "train_sampling_strategy": "sequential",
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
        }
        build(material, arguments, watch).train()
    items = material.packed() if a_step == PACKS_A_STEP else material.rows
    print(json.dumps(figures(items, a_step, watch)))


def figures(items: Sequence[dict[str, list[int]]], a_step: int, watch: Watch) -> dict[str, Any]:
    """What a peer prints; padding counts nowhere."""
    steps = [items[start : start + a_step] for start in range(0, a_step * len(watch.seconds), a_step)]
    tokens = [sum(len(item["input_ids"]) for item in step) for step in steps]
    supervised = [sum(label != MASKED for item in step for label in item["labels"]) for step in steps]
    return {
        "tokens_per_second": _rate(tokens, watch.seconds),
        "supervised_tokens_per_second": _rate(supervised, watch.seconds),
        "peak_memory": int(STATUS.read_text().split("VmHWM:")[1].split()[0]) * 1024,
        "seconds": watch.seconds,
        "losses": watch.losses,
    }


def _rate(amounts: Sequence[int], seconds: Sequence[float]) -> float:
    return median(amount / took for amount, took in list(zip(amounts, seconds, strict=True))[LEFT_OUT:])
