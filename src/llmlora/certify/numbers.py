"""Our numbers beside an engine's.

Two models agree when, after each prefix of a text, they give the next tokens the same log probabilities. Tokens less
likely than e⁻⁶ are left out: nobody samples them, and their logarithms magnify rounding.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from llmlora.adapter import Adapter
from llmlora.export.quantise import Bytes, pack_as
from llmlora.ggml import BY_NAME
from llmlora.gguf.reader import GgufFile
from llmlora.gguf.writer import TensorPlan, copy_metadata, write_gguf
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.model.load import load_model
from llmlora.model.lora import add_lora, load_adapter_state
from llmlora.recipe import make_recipe

LIKELY = -6.0
Values = Mapping[int, float]  # token → log probability


@dataclass(frozen=True)
class Distance:
    """Difference of log probabilities, in nats, over the likely tokens of every position."""

    mean: float
    most: float
    compared: int


@torch.no_grad()
def log_probabilities(model: PreTrainedModel, ids: Sequence[int]) -> Tensor:
    """float32 [len(ids), vocabulary]: of the token after each prefix."""
    states = model.model(input_ids=torch.tensor([list(ids)]), use_cache=False).last_hidden_state[0]
    return torch.log_softmax(model.lm_head.logits(states), dim=-1)


def our_tables(
    path: Path,
    rows: Sequence[Sequence[int]],
    adapter: Adapter | None = None,
    dtype: torch.dtype = torch.float32,
    on_row: Callable[[], None] = lambda: None,
) -> list[Tensor]:
    """float32 [tokens of all rows, vocabulary], computed from the packed file: of the file, and with the adapter."""
    with GgufFile(path) as file:
        model = load_model(file, dtype)
        tables = [_table(model, rows, on_row)]
        if adapter:
            values = {name: getattr(adapter, name) for name in ("rank", "alpha", "rslora", "dora")}
            recipe = make_recipe({"model": "-", "data": "-", **values})
            adapted = add_lora(model, recipe, list(adapter.pairs))
            load_adapter_state(adapted, {name: torch.from_numpy(part) for name, part in adapter.state().items()})
            tables.append(_table(model.train(False), rows, on_row))
    return tables


def _table(model: PreTrainedModel, rows: Sequence[Sequence[int]], on_row: Callable[[], None]) -> Tensor:
    parts = []
    for row in rows:
        on_row()
        parts.append(log_probabilities(model, row))
    return torch.cat(parts)


def distance(ours: Tensor, engine: Sequence[Values], instead: Sequence[Values] | None = None) -> Distance:
    """How far the engine's log probabilities are from ours [positions, vocabulary], or, where `instead` has a token of
    ours, from its.
    """
    others = instead or [{}] * len(engine)
    differences = [
        abs(value - other.get(token, float(row[token])))
        for row, other, likely in zip(ours, others, engine, strict=True)
        for token, value in likely.items()
        if value > LIKELY
    ]
    if not differences:  # which proves nothing
        return Distance(math.nan, math.nan, 0)
    return Distance(sum(differences) / len(differences), max(differences), len(differences))


def dense_bytes(file: GgufFile) -> int:
    """How large its `float_copy` would be, about."""
    return 4 * sum(math.prod(info.shape) for info in file.tensors.values())


def float_copy(source: Path, target: Path) -> None:
    """Write a copy of a GGUF file whose every tensor is F32, so that an engine computes with exactly those weights."""
    with GgufFile(source) as file:
        plans = [
            TensorPlan(name, BY_NAME["F32"], info.shape, partial(_as_float, file, name))
            for name, info in file.tensors.items()
        ]
        write_gguf(target, copy_metadata(file), plans, alignment=file.alignment)


def _as_float(file: GgufFile, name: str) -> Bytes:
    matrix = PackedMatrix(file.packed(name), file.tensors[name].kind)
    return pack_as(matrix.dense(torch.float32), BY_NAME["F32"])
