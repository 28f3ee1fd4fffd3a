"""RoPE's angles, held against Transformers' own: no code of ours made the numbers on the other side."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, Phi3Config
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding

from llmlora.errors import GgufError, NotTrainable
from llmlora.gguf.reader import GgufFile
from llmlora.model.form import read_form
from llmlora.model.load import load_model
from llmlora.model.rope import Rotation, Scaling
from tests.tiny import HEAD_DIM, HEADS, HIDDEN, tiny_gguf

POSITIONS = torch.arange(300)[None]


def theirs(rope: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    config = LlamaConfig(
        hidden_size=HIDDEN, num_attention_heads=HEADS, max_position_embeddings=1024, rope_parameters=rope
    )
    return LlamaRotaryEmbedding(config)(torch.zeros(1), POSITIONS)


def ours(rotation: Rotation) -> tuple[torch.Tensor, torch.Tensor]:
    angles = POSITIONS[..., None] * torch.from_numpy(rotation.frequencies())
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos() * rotation.magnitude(), angles.sin() * rotation.magnitude()


@pytest.mark.parametrize(
    ("rope", "scaling"),
    [
        ({"rope_type": "default"}, Scaling()),
        ({"rope_type": "linear", "factor": 4.0}, Scaling(factor=4.0)),
        (
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256},
            Scaling(factor=4.0, yarn=True, original_context=256),
        ),
        (
            {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 128, "mscale": 1.0}
            | {"mscale_all_dim": 0.5, "beta_fast": 16.0, "beta_slow": 2.0},
            Scaling(8.0, yarn=True, original_context=128, beta_fast=16.0, beta_slow=2.0, log_multiplier=0.5),
        ),
    ],
    ids=["default", "linear", "yarn", "yarn with its own numbers"],
)
def test_angles_are_those_of_transformers(rope: dict[str, Any], scaling: Scaling):
    wanted = theirs({"rope_theta": 500_000.0, **rope})

    found = ours(Rotation(500_000.0, HEAD_DIM, scaling))

    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=1e-4, atol=1e-4)


def test_short_factors_are_those_of_transformers_and_rows_end_where_the_long_ones_begin(tmp_path: Path):
    keys = {"rope.scaling.original_context_length": 256, "rope.scaling.attn_factor": 1.19}
    with GgufFile(tiny_gguf(tmp_path / "m", "phi3", context=512, rope_factors=True, keys=keys)) as file:
        found = load_model(file, torch.float32).model.rotary_emb(torch.zeros(1), POSITIONS[:, :256])
        assert read_form(file).context == 256
    factors = {"short_factor": np.linspace(1, 8, 6).tolist(), "long_factor": np.linspace(2, 9, 6).tolist()}
    rope = {"rope_type": "longrope", "rope_theta": 10_000.0, "partial_rotary_factor": 0.75, "attention_factor": 1.19}
    config = Phi3Config(
        hidden_size=HIDDEN,
        num_attention_heads=HEADS,
        max_position_embeddings=512,
        original_max_position_embeddings=256,
        rope_parameters={**rope, **factors, "original_max_position_embeddings": 256},
        pad_token_id=0,
    )

    wanted = Phi3RotaryEmbedding(config)(torch.zeros(1), POSITIONS[:, :256])

    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "keys", "words"),
    [
        ("llama", {"rope.scaling.type": "longrope"}, "longrope"),
        ("llama", {"rope.dimension_count": 8}, "8 of 16"),
        ("phi3", {"rope.dimension_count": 18}, "18 of 16"),
        ("llama", {"rope.scaling.low_freq_factor": 1.0}, "low_freq_factor"),
        ("gemma2", {"rope.freq_base_swa": 500.0}, "another base"),
        ("glm4", {"rope.dimension_sections": [2, 2, 0, 0]}, "dimension_sections"),
        ("granite", {"rope.scaling.finetuned": False}, "finetuned"),
        ("qwen3", {"attention.causal": False}, "causal"),
        ("qwen3", {"attention.value_length": 8}, "different widths"),
    ],
)
def test_what_is_not_reproduced_is_refused_by_name(tmp_path: Path, architecture: str, keys: dict, words: str):
    with GgufFile(tiny_gguf(tmp_path / "m", architecture, keys=keys)) as file, pytest.raises(NotTrainable) as caught:
        read_form(file)

    assert words in str(caught.value.reason)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"rope.freq_base": 1.0}, "freq_base is not above 1"),
        ({"rope.freq_base": float("nan")}, "freq_base is missing or not a number"),
        ({"rope.scaling.factor": -2.0}, "factor is below 0"),
        ({"rope.scaling.type": [1, 2]}, "is an array"),
        ({"attention.head_count": 3}, "do not divide"),
        ({"attention.head_count": [4, 4]}, "head_count is missing or not a number"),
        ({"attention.sliding_window_pattern": "every other"}, "neither a number nor one value a layer"),
    ],
)
def test_impossible_numbers_are_refused_before_anything_is_made_of_them(tmp_path: Path, keys: dict, words: str):
    with GgufFile(tiny_gguf(tmp_path / "m", "gemma3", keys=keys)) as file, pytest.raises(GgufError) as caught:
        read_form(file)

    assert words in caught.value.problem
