"""A small run on a tiny model, the same in every test that trains."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmlora.estimate import MB, Machine
from llmlora.model.device import usable_cores
from llmlora.paths import Home
from llmlora.recipe import Recipe, make_recipe
from tests.tiny import tiny_gguf

EXACT = Machine(threads=1, free_memory=8_000 * MB, float32_flops=1e11, bfloat16_flops=1e10)
ROUNDED = Machine(threads=usable_cores(), free_memory=8_000 * MB, float32_flops=1e10, bfloat16_flops=1e11)
ROWS = 13


def rows_file(path: Path, rows: int = ROWS) -> Path:
    """Rows of different lengths; some have two exchanges."""
    lines: list[dict[str, Any]] = []
    for number in range(rows):
        question, answer = f"What is {number} plus {number}?", f"It is {number + number}, " + "surely " * (number % 4)
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        lines.append({"messages": messages * (1 + number % 2)})
    path.write_text("\n".join(json.dumps(line) for line in lines), "utf-8")
    return path


def small_recipe(directory: Path, **values: Any) -> Recipe:
    """A recipe for a tiny model and rows made in `directory`."""
    directory.mkdir(exist_ok=True)
    model = directory / "tiny.gguf"
    if not model.exists():
        tiny_gguf(model, values.pop("architecture", "llama"))
    values.pop("architecture", None)
    settings = {
        "model": f"gguf:{model}",
        "data": str(rows_file(directory / "rows.jsonl")),
        "rank": 4,
        "steps": 6,
        "batch_size": 2,
        "gradient_accumulation": 2,
        "max_length": 128,
        "learning_rate": 1e-3,
        "eval_split": 0.2,
        "eval_every": 2,
        "save_every": 2,
        "dropout": 0.1,
        **values,
    }
    return make_recipe(settings)


def home(directory: Path) -> Home:
    return Home(directory / "home")


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "events.jsonl").read_text("utf-8").splitlines()]


def adapter_bytes(out: Path) -> bytes:
    return (out / "final_model" / "adapter_model.safetensors").read_bytes()


def on_machine(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    """Plan for this machine instead of the one at hand."""
    monkeypatch.setattr("llmlora.train.prepare.probe_machine", lambda: machine)
