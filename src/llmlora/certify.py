"""The proof that what was trained is what answers: our numbers beside the engine's.

Two models agree when, after each prefix of a text, they give the next tokens the same log probabilities. Tokens less
likely than e⁻⁶ are left out: nobody samples them, and their logarithms magnify rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from llmlora.export.quantise import Bytes, pack_as
from llmlora.ggml import BY_NAME
from llmlora.gguf.reader import GgufFile
from llmlora.gguf.writer import TensorPlan, copy_metadata, write_gguf
from llmlora.kernels.dequantise import PackedMatrix

LIKELY = -6.0


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


def distance(ours: Tensor, engine: Sequence[Mapping[int, float]]) -> Distance:
    """How far the engine's log probabilities (token → value, by position) are from ours [positions, vocabulary]."""
    differences = [
        abs(value - float(row[token]))
        for row, likely in zip(ours, engine, strict=True)
        for token, value in likely.items()
        if value > LIKELY
    ]
    return Distance(sum(differences) / len(differences), max(differences), len(differences))


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
