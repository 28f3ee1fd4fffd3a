"""Each architecture computes here what llama.cpp computes: plain, with the exported adapter, and merged.

The models are small, random and of mixed quantisation; rank and targets are drawn at random. The engine runs a float32
copy of the same weights with a float32 cache, so that nothing but the way of computing can differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch

import gguf
from llmlora.certify.numbers import distance, float_copy, log_probabilities
from llmlora.chat.engine import Engine, EngineOptions
from llmlora.export.adapter import export_adapter
from llmlora.export.merged import export_merged
from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.gguf.reader import GgufFile
from llmlora.model.form import read_form
from llmlora.model.load import load_model
from llmlora.model.lora import add_lora, save_adapter, trainable
from llmlora.model.source import Base
from llmlora.recipe import make_recipe
from tests.tiny import ALL, tiny_gguf

LIMIT = 0.02  # nats
TOKENS = 90
TYPES = [gguf.GGMLQuantizationType[name] for name in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_0")]
EXACT = EngineOptions(context=256, threads=1, exact=True)
YARN = {
    "rope.scaling.type": "yarn",
    "rope.scaling.factor": 4.0,
    "rope.scaling.original_context_length": 32,
}


@dataclass(frozen=True)
class Case:
    """One way a file of an architecture may be."""

    architecture: str
    name: str = "plain"
    keys: dict[str, Any] = field(default_factory=dict)
    file: dict[str, Any] = field(default_factory=dict)
    matters: bool = True

    def __str__(self) -> str:
        return f"{self.architecture}-{self.name}"

    def write(self, path: Path) -> Path:
        return tiny_gguf(path, self.architecture, TYPES, seed=crc32(str(self).encode()), keys=self.keys, **self.file)


CASES = [
    *(Case(name) for name in ARCHITECTURES),
    Case("llama", "divided frequencies, untied", file={"rope_factors": True, "tied": False}),
    Case("llama", "linear", {"rope.scaling.factor": 4.0}),
    Case("llama", "scaling none", {"rope.scaling.type": "none", "rope.scaling.factor": 4.0}, matters=False),
    Case("llama", "yarn", YARN | {"rope.scaling.attn_factor": 1.2}),
    Case("llama", "biases", file={"biases": ALL}),
    Case("llama", "a window that is ignored", {"attention.sliding_window": 8}, matters=False),
    Case(
        "mistral3",
        "yarn of its own, warmer beyond",
        YARN
        | {"attention.temperature_scale": 0.5, "rope.scaling.yarn_log_multiplier": 0.5}
        | {"rope.scaling.yarn_beta_fast": 2.0, "rope.scaling.yarn_beta_slow": 0.1}
        | {"rope.scaling.original_context_length": 64},
    ),
    Case("qwen2", "yarn", YARN),
    Case("qwen3", "wide heads", {"rope.freq_base": 1e6}),
    Case("gemma2", "a pattern of layers", {"attention.sliding_window_pattern": [False, True]}),
    Case(
        "gemma3",
        "two bases",
        {"attention.sliding_window_pattern": 2, "rope.freq_base": 1e6, "rope.scaling.factor": 8.0},
    ),
    Case("gemma3", "own local base", {"attention.sliding_window_pattern": 2, "rope.freq_base_swa": 500.0}),
    Case("gemma3", "no window", {"attention.sliding_window": 0}),
    Case("phi3", "short factors", {"rope.scaling.attn_factor": 1.19}, {"rope_factors": True}),
    Case(
        "granite", "bare", {"logit_scale": 3.0, "residual_scale": 1.0, "embedding_scale": 1.0, "attention.scale": 0.0}
    ),
    Case("olmo2", "windows and yarn, as Olmo 3", YARN | {"attention.sliding_window": 8}),
    Case("glm4", "all of a head", {"rope.dimension_count": 16}),
]


def drawn(case: Case) -> np.random.Generator:
    return np.random.default_rng(crc32(str(case).encode()))


def text(case: Case) -> list[int]:
    return drawn(case).integers(33, 90, TOKENS).tolist()


def computed(path: Path, ids: Sequence[int]) -> torch.Tensor:
    with GgufFile(path) as file:
        return log_probabilities(load_model(file, torch.float32), ids)


def random_adapter(case: Case, path: Path, directory: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Save an adapter of random rank on random targets; our log probabilities without it and with it."""
    random = drawn(case)
    with GgufFile(path) as file:
        available = read_form(file).architecture.targets
        chosen = random.choice(available, random.integers(1, len(available) + 1), replace=False)
        recipe = make_recipe({"model": "-", "data": "-", "rank": int(random.integers(1, 9)), "dropout": 0})
        base = load_model(file, torch.float32)
        plain = log_probabilities(base, text(case))
        adapted = add_lora(base, recipe, [name for name in available if name in chosen]).train(False)
        for name, weight in trainable(adapted).items():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.2)
        directory.mkdir()
        save_adapter(adapted, directory)
        return plain, log_probabilities(base, text(case))


def close(ours: torch.Tensor, engine: list[dict[int, float]]) -> None:
    found = distance(ours, engine)
    assert found.compared > 2 * TOKENS  # not merely the one certain token of each position
    assert found.most <= LIMIT


@pytest.mark.parametrize("case", CASES, ids=str)
def test_llama_cpp_computes_the_same(tmp_path: Path, case: Case):
    base, exact, ids = case.write(tmp_path / "base.gguf"), tmp_path / "exact.gguf", text(case)
    plain, tuned = random_adapter(case, base, tmp_path / "adapter")
    export_adapter(tmp_path / "adapter", base_of(base), tmp_path / "adapter.gguf")
    float_copy(base, exact)

    with Engine(exact, tmp_path / "adapter.gguf", EXACT) as engine:
        close(plain, engine.log_probabilities(ids, adapted=False))
        close(tuned, engine.log_probabilities(ids))

    assert (plain - tuned).abs().max() > 10 * LIMIT  # the adapter does something


@pytest.mark.parametrize("case", CASES[: len(ARCHITECTURES)], ids=str)
def test_llama_cpp_computes_the_same_from_the_merged_file(tmp_path: Path, case: Case):
    base, exact, merged = case.write(tmp_path / "base.gguf"), tmp_path / "exact.gguf", tmp_path / "merged.gguf"
    _, tuned = random_adapter(case, base, tmp_path / "adapter")
    export_merged(tmp_path / "adapter", base_of(base), merged)
    float_copy(merged, exact)

    with Engine(exact, None, EXACT) as engine:
        close(computed(merged, text(case)), engine.log_probabilities(text(case)))

    assert (computed(merged, text(case)) - tuned).abs().mean() < 0.1  # what storing in 8 bits costs


@pytest.mark.parametrize("case", [case for case in CASES if case.keys and case.matters], ids=str)
def test_each_key_changes_what_is_computed(tmp_path: Path, case: Case):
    told = computed(case.write(tmp_path / "told.gguf"), text(case))

    for key in case.keys:
        rest = {name: value for name, value in case.keys.items() if name != key}
        untold = computed(replace(case, keys=rest).write(tmp_path / f"{key}.gguf"), text(case))
        assert (told - untold).abs().max() > LIMIT, key


def base_of(path: Path) -> Base:
    return Base(f"gguf:{path}", path, "sha256:" + "0" * 64, None)
