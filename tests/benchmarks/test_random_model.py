"""Models of random weights: sound files of the shapes asked for, on which a real recipe runs."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from llmlora.data.base_text import template_and_tokenizer
from llmlora.gguf.reader import GgufFile
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.settings import read_settings
from llmlora.train.run import train
from tests.small_run import events, home, small_recipe

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
random_model = importlib.import_module("random_model")
big_model = importlib.import_module("big_model")

TINY = random_model.RandomShape(2, 256, 512, 4, 2, 600, "Q4_0", "Q6_K")


@pytest.fixture(scope="module")
def tokenizer() -> GgufFile:
    return random_model.sample_tokenizer(read_settings().home)


def test_the_big_shape_is_that_of_llama_2_7b():
    shape = big_model.LLAMA_2_7B

    assert shape.parameters == 6_738_149_376  # 6.74 G, of which the norms are 0.27 M
    assert {kind for *_, kind in shape.matrices()} == {"Q4_0", "Q6_K"}


@pytest.mark.parametrize("kind", sorted(random_model.SCALES))
def test_weights_have_the_spread_of_a_fresh_model(tmp_path: Path, tokenizer: GgufFile, kind: str):
    path = random_model.write_random(tmp_path / "m.gguf", replace(TINY, kind=kind, output_kind=None), tokenizer)

    with GgufFile(path) as file:
        info = file.tensors["blk.1.ffn_gate.weight"]
        weights = PackedMatrix(file.packed(info.name), info.kind).dense(torch.float32).numpy()
    assert weights.shape == (512, 256)
    assert 0.5 < np.std(weights) * 256**0.5 < 2


def test_a_borrowed_tokenizer_is_whole_however_many_tokens_there_are(tmp_path: Path, tokenizer: GgufFile):
    few = template_and_tokenizer(random_model.write_random(tmp_path / "few.gguf", TINY, tokenizer))[1]
    many = replace(TINY, vocabulary=50_000)
    more = template_and_tokenizer(random_model.write_random(tmp_path / "more.gguf", many, tokenizer))[1]

    text = "The quick brown fox; 狐"
    assert few.decode(few.encode(text)) == more.decode(more.encode(text)) == text
    assert max(few.encode(text)) < 600
    assert len(few.encode(text)) > len(more.encode(text))


def test_a_recipe_runs_on_it(tmp_path: Path, tokenizer: GgufFile):
    model = random_model.write_random(tmp_path / "m.gguf", TINY, tokenizer)
    recipe = small_recipe(tmp_path / "run", steps=2, eval_split=0).model_copy(update={"model": f"gguf:{model}"})

    train(recipe, tmp_path / "out", home(tmp_path))

    losses = [event["loss"] for event in events(tmp_path / "out") if event["event"] == "step"]
    assert losses[0] == pytest.approx(np.log(600), abs=1.5)


def test_the_recipe_of_the_big_model_takes_one_row_of_512_tokens_a_step(tmp_path: Path):
    recipe = big_model.recipe(tmp_path / "m.gguf", tmp_path, 8)

    assert (recipe.batch_size * recipe.gradient_accumulation, recipe.max_length, recipe.steps) == (1, 512, 3)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 3
