"""Where an adapter begins, and what of it is not drawn towards zero."""

from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torch import nn

from llmlora.errors import AdapterMismatch, NotAnAdapter, RunChanged, StartDiffers
from llmlora.importing import import_adapter
from llmlora.recipe import Recipe
from llmlora.train.optimise import Optimiser
from llmlora.train.prepare import draft, prepare
from llmlora.train.run import resume, train
from tests.peft_adapter import peft_adapter
from tests.small_run import EXACT, adapter_bytes, events, home, on_machine, small_recipe
from tests.tiny import tiny_gguf


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    on_machine(monkeypatch, EXACT)


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """An adapter of rank 3 on two targets, imported."""
    base = tiny_gguf(tmp_path / "tiny.gguf")
    source = peft_adapter(tmp_path / "elsewhere", base, rank=3, use_rslora=True)
    return import_adapter(source, f"gguf:{base}", None, home(tmp_path), ()).path


def recipe_from(start: Path, directory: Path, **values: object) -> Recipe:
    return small_recipe(directory, **{"init_adapter": str(start), "rank": 16, **values})


def test_a_run_takes_weights_rank_and_targets_from_where_it_starts(start: Path, tmp_path: Path):
    prepared = prepare(recipe_from(start, tmp_path), home(tmp_path), ())

    recipe = prepared.recipe
    assert (recipe.rank, recipe.alpha, recipe.rslora) == (3, 8, True)
    assert recipe.target_modules == ("q_proj", "down_proj")
    wanted = load_file(start / "adapter_model.safetensors")
    found = {name.replace(".default", ""): weight for name, weight in prepared.parameters.items()}
    assert found.keys() == wanted.keys()
    assert all((found[name].detach().numpy() == wanted[name]).all() for name in wanted)


def test_learning_goes_on_where_it_ended(tmp_path: Path):
    train(small_recipe(tmp_path, learning_rate=0.01), tmp_path / "one", home(tmp_path))

    train(recipe_from(tmp_path / "one", tmp_path, steps=1), tmp_path / "two", home(tmp_path))

    first, second = ([e["loss"] for e in events(tmp_path / run) if e["event"] == "step"] for run in ("one", "two"))
    assert second[0] < first[0] - 0.5
    card = (tmp_path / "two" / "final_model" / "README.md").read_text()
    assert f"the adapter `{tmp_path / 'one'}` (weights `sha256:" in card


@pytest.mark.parametrize("dora", [False, True])
def test_a_resumed_run_that_started_from_an_adapter_ends_in_the_same_bytes(tmp_path: Path, dora: bool):
    train(small_recipe(tmp_path, dora=dora, steps=2, target_modules=["layers.1"]), tmp_path / "one", home(tmp_path))
    recipe = recipe_from(tmp_path / "one", tmp_path)
    train(recipe, tmp_path / "straight", home(tmp_path))
    for stops in ([True], [False, False, True]):
        asked = iter(stops)
        out = tmp_path / f"stopped{len(stops)}"
        train(recipe, out, home(tmp_path), should_stop=lambda asked=asked: next(asked))

        resume(out, home(tmp_path))

        assert adapter_bytes(out) == adapter_bytes(tmp_path / "straight")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rank": 5}, r"rank 5 \(3\)"),
        ({"alpha": 3}, r"alpha 3.0 \(8.0\)"),
        ({"dora": True}, r"dora True \(False\)"),
        ({"target_modules": ["v_proj"]}, r"target_modules v_proj \(q_proj, down_proj\)"),
    ],
)
def test_a_recipe_that_asks_for_another_adapter_is_refused(start: Path, tmp_path: Path, values: dict, words: str):
    with pytest.raises(StartDiffers, match=words):
        draft(recipe_from(start, tmp_path, **values), home(tmp_path), ())


def test_a_recipe_may_repeat_what_the_adapter_is(start: Path, tmp_path: Path):
    repeated = {"rank": 3, "alpha": 8, "rslora": True, "target_modules": ["q_proj", "mlp.down_proj"]}

    assert draft(recipe_from(start, tmp_path, **repeated), home(tmp_path), ()).recipe.rank == 3


def test_a_start_that_is_none_or_of_another_base_is_refused(start: Path, tmp_path: Path):
    with pytest.raises(NotAnAdapter):
        draft(recipe_from(tmp_path / "nothing", tmp_path), home(tmp_path), ())
    other = tiny_gguf(tmp_path / "other.gguf", seed=1)
    with pytest.raises(AdapterMismatch):
        draft(recipe_from(start, tmp_path, model=f"gguf:{other}"), home(tmp_path), ())


def test_layers_of_other_sizes_are_refused_before_anything_is_written(tmp_path: Path):
    start = peft_adapter(tmp_path / "raw", tiny_gguf(tmp_path / "tiny.gguf"), targets=("down_proj",))
    weights = {
        name.replace("mlp.down_proj", "self_attn.q_proj"): torch.from_numpy(weight)
        for name, weight in load_file(start / "adapter_model.safetensors").items()
    }
    save_file(weights, start / "adapter_model.safetensors")

    with pytest.raises(AdapterMismatch, match="q_proj"):
        prepare(recipe_from(start, tmp_path), home(tmp_path), ())


def test_a_start_that_changed_is_noticed_at_resume(start: Path, tmp_path: Path):
    asked = iter([True])
    train(recipe_from(start, tmp_path), tmp_path / "out", home(tmp_path), should_stop=lambda: next(asked))
    weights = start / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x3d")

    with pytest.raises(RunChanged, match="starting adapter"):
        resume(tmp_path / "out", home(tmp_path))


@pytest.mark.parametrize(
    "values", [{}, {"dora": True}, {"target_modules": ["layers.1.q_proj", "up_proj"], "dora": True}]
)
def test_the_plan_counts_the_weights_that_are_trained(tmp_path: Path, values: dict):
    recipe = small_recipe(tmp_path, **values)

    planned = draft(recipe, home(tmp_path), ()).shape

    assert planned.adapter_parameters == prepare(recipe, home(tmp_path), ()).trainable_parameters


def test_weight_decay_leaves_the_lengths_of_dora_alone():
    matrix, lengths = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    optimiser = Optimiser({"a": matrix, "m": lengths}, weight_decay=0.5)
    matrix.grad, lengths.grad = torch.zeros(2, 2), torch.zeros(2)

    optimiser.step(0.1)

    assert (matrix == 0.95).all()
    assert (lengths == 1).all()
