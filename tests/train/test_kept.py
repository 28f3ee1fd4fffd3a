"""What the memory model counts is what autograd keeps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from llmlora.data.packing import pack
from llmlora.model.shape import shape_of
from llmlora.model.targets import targets_of
from llmlora.train.evaluate import hidden_states
from llmlora.train.prepare import prepare
from tests.small_run import EXACT, home, on_machine, small_recipe

NOT_COUNTED = 0.06  # cos and sin, which all blocks share


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gemma3"])
def test_a_block_keeps_as_many_numbers_a_token_as_is_planned(architecture: str, tmp_path: Path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    recipe = small_recipe(tmp_path, architecture=architecture, dropout=0, recompute="never")
    prepared = prepare(recipe, home(tmp_path), ())
    shape = shape_of(prepared.opened, recipe, targets_of(recipe.target_modules, list(prepared.opened.linears)))
    batch, kept, inside = pack(prepared.train), dict[int, Tensor](), list[Any]()
    for block in prepared.base_model.model.layers:
        block.register_forward_pre_hook(lambda *_: inside.append(0))
        block.register_forward_hook(lambda *_: inside.clear())
    own = {weight.untyped_storage().data_ptr() for weight in prepared.model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if inside and tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden_states(prepared.base_model.train(), batch)

    numbers = sum(tensor.untyped_storage().nbytes() // 4 for tensor in kept.values()) / len(batch.ids) / shape.layers
    assert numbers == pytest.approx(shape.kept + shape.targets * recipe.rank, rel=NOT_COUNTED)
