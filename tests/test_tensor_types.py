"""Bases in every quantised type: llama.cpp computes from them, adapted or merged, what we compute."""

from pathlib import Path

import numpy as np
import pytest
import torch

import gguf
from llmlora.certify.numbers import distance, float_copy, log_probabilities
from llmlora.chat.engine import Engine, EngineOptions
from llmlora.export.adapter import export_adapter
from llmlora.export.merged import MOST_ERROR, export_merged
from llmlora.gguf.reader import GgufFile
from llmlora.gguf.writer import TensorPlan, copy_metadata, copy_tensor, write_gguf
from llmlora.model.load import load_model
from llmlora.model.source import resolve
from llmlora.paths import Home
from tests import tiny
from tests.kernels.blocks import ordinary
from tests.peft_adapter import peft_adapter
from tests.tiny import tiny_gguf

LIMIT, NOISE_FACTOR = 0.02, 1.1  # those of benchmarks/engine_agreement.py
IDS = np.random.default_rng(0).integers(33, 90, 24).tolist()
EXACT, SERVED = (EngineOptions(context=128, exact=exact) for exact in (True, False))


@pytest.fixture
def base(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small model whose rows are a block of 256 long; its layers' matrices are of the type asked for."""
    for name, size in (("HIDDEN", 256), ("HEAD_DIM", 64), ("WIDE", 256)):
        monkeypatch.setattr(tiny, name, size)
    path, plans = tmp_path / "base.gguf", []
    whole = {"rope.dimension_count": 64}
    with GgufFile(tiny_gguf(tmp_path / "float.gguf", kind=gguf.GGMLQuantizationType.F32, keys=whole)) as file:
        for place, (name, info) in enumerate(file.tensors.items()):
            if name == "token_embd.weight":  # smaller, so that many tokens are likely and can be compared
                small = (file.packed(name).view(np.float32) * 0.1).tobytes
                plans.append(TensorPlan(name, info.kind, info.shape, small))
            elif name.startswith("blk.") and len(info.shape) == 2:
                matrix = ordinary(request.param, *info.shape, seed=place)
                plans.append(TensorPlan(name, matrix.kind, info.shape, matrix.blocks.tobytes))
            else:
                plans.append(copy_tensor(file, name))
        write_gguf(path, copy_metadata(file), plans)
        del plans
    return path


def ours(path: Path) -> torch.Tensor:
    with GgufFile(path) as file:
        return log_probabilities(load_model(file, torch.float32), IDS)


def dense(like: torch.Tensor, table: list[dict[int, float]]) -> torch.Tensor:
    """An engine's table as a tensor; what it did not list is taken from `like`."""
    filled = like.clone()
    for position, row in enumerate(table):
        filled[position, list(row)] = torch.tensor(list(row.values()))
    return filled


@pytest.mark.parametrize("base", ["Q5_1", "Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS", "MXFP4"], indirect=True)
def test_the_engine_computes_what_we_compute(base: Path, tmp_path: Path):
    source, adapter, merged, exact = (tmp_path / name for name in ("peft", "adapter.gguf", "merged.gguf", "exact.gguf"))
    model = resolve(f"gguf:{base}", Home(tmp_path), ())
    export_adapter(peft_adapter(source, base), model, adapter)
    export_merged(source, model, merged)
    float_copy(base, exact)

    with Engine(exact, adapter, EXACT) as engine:
        plain, tuned = engine.log_probabilities(IDS, adapted=False), engine.log_probabilities(IDS)
    with Engine(base, None, SERVED) as engine:
        served = engine.log_probabilities(IDS)

    computed = ours(base)
    noise = distance(dense(computed, plain), served).mean  # llama.cpp rounds activations to 8 bits
    assert distance(computed, plain).compared > 1000
    assert distance(computed, plain).most <= LIMIT
    assert distance(computed, served).mean <= NOISE_FACTOR * noise
    assert distance(ours(merged), tuned).mean <= MOST_ERROR * distance(computed, tuned).mean


@pytest.mark.parametrize("base", ["Q3_K", "MXFP4"], indirect=True)
def test_what_a_merge_does_not_touch_keeps_its_bytes(base: Path, tmp_path: Path):
    model, merged = resolve(f"gguf:{base}", Home(tmp_path), ()), tmp_path / "merged.gguf"

    report = export_merged(peft_adapter(tmp_path / "peft", base), model, merged)

    touched = {one.tensor for one in report.tensors}
    assert {name.split(".")[2] for name in touched} == {"attn_q", "ffn_down"}
    with GgufFile(merged) as file, GgufFile(base) as original:
        for name, info in original.tensors.items():
            same = (file.tensors[name].kind, file.packed(name).tobytes()) == (
                info.kind,
                original.packed(name).tobytes(),
            )
            assert same == (name not in touched)
