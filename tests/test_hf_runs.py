"""Training on Hugging Face directories: against plain Transformers and PEFT, whatever the architecture."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from llmlora.adapter import read_adapter
from llmlora.data.packing import pack
from llmlora.errors import AdapterMismatch, InvalidRecipe, RunChanged, UnknownTarget
from llmlora.estimate import BYTES, Tokens, Way, memory_needed
from llmlora.importing import import_adapter
from llmlora.model.lora import add_lora, load_adapter_state, named_for_others
from llmlora.model.opened import open_base
from llmlora.model.shape import shape_of
from llmlora.model.source import resolve
from llmlora.recipe import make_recipe
from llmlora.train.evaluate import batch_loss, greedy_answer, hidden_states
from llmlora.train.prepare import prepare
from llmlora.train.run import prepare_again, resume, train
from tests.small_run import EXACT, ROUNDED, adapter_bytes, events, home, on_machine, small_recipe
from tests.test_invariants import LENGTHS, examples
from tests.tiny_hf import KINDS, edit_json, tiny_hf

IDS = torch.arange(3, 40)[None]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {kind: tiny_hf(root / kind, kind) for kind in KINDS}


def opened(directory: Path):
    return open_base(resolve(f"hf:{directory}", home(directory), ()))


def plain(directory: Path) -> nn.Module:
    """Transformers' own model: no code of ours runs in it."""
    return AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32).train(
        False
    )


def recipe_for(directory: Path, tmp_path: Path, **values):
    return small_recipe(tmp_path, **{"model": f"hf:{directory}", **values})


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_logits_are_those_of_transformers(models, kind: str):
    model = opened(models[kind]).load(torch.float32)

    theirs = plain(models[kind])(input_ids=IDS).logits

    torch.testing.assert_close(model(input_ids=IDS).logits, theirs, rtol=1e-4, atol=1e-4)
    states = model.base_model(input_ids=IDS).last_hidden_state
    torch.testing.assert_close(model.lm_head.logits(states), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_row_is_computed_as_if_it_were_alone_also_while_training(models, kind: str):
    model, rows = opened(models[kind]).load(torch.float32).train(), examples()

    together = hidden_states(model, pack(rows))

    alone = torch.cat([hidden_states(model, pack([row])) for row in rows])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2"])
def test_packed_loss_equals_the_loss_of_a_padded_batch_in_transformers(models, kind: str):
    rows, longest = examples(), max(LENGTHS)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = torch.from_numpy(row.ids)
        mask[place, : len(row.ids)] = 1
        labels[place, : len(row.ids)] = torch.where(torch.from_numpy(row.trained), torch.from_numpy(row.ids), -100)

    batch = pack(rows)
    ours = batch_loss(opened(models[kind]).load(torch.float32), batch) / len(batch.labels)

    theirs = plain(models[kind])(input_ids=ids, attention_mask=mask, labels=labels).loss
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "mistral", "gemma2"])
def test_an_answer_with_its_cache_is_that_of_transformers(models, kind: str):
    """Longer than the window of those that have one."""
    model, theirs = opened(models[kind]).load(torch.float32), plain(models[kind])

    answer = greedy_answer(model, IDS[0].tolist(), frozenset(), 12)

    with torch.no_grad():
        expected = theirs.generate(IDS, max_new_tokens=12, do_sample=False, eos_token_id=-1, pad_token_id=0)
    assert answer == expected[0, IDS.shape[1] :].tolist()


def trained(models, kind: str, tmp_path: Path, **values):
    recipe = recipe_for(models[kind], tmp_path, learning_rate=0.01, dropout=0, **values)
    outcome = train(recipe, tmp_path / "out", home(tmp_path))
    prepared = prepare_again(tmp_path / "out", home(tmp_path))
    load_adapter_state(prepared.model, load_file(outcome.final_model / "adapter_model.safetensors"))
    prepared.base_model.train(False)
    return prepared, outcome.final_model


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        *((kind, {}) for kind in KINDS),
        *((kind, {"dora": True}) for kind in ("gpt2", "gpt_neox", "llama")),  # transposed, with biases, with neither
        ("gpt2", {"target_modules": ["layers.1.c_attn", "mlp.c_proj"]}),
    ],
)
def test_peft_reads_the_artefact_onto_transformers_own_model_and_merges_it(
    models, kind: str, how: dict, tmp_path, monkeypatch
):
    on_machine(monkeypatch, EXACT)
    prepared, artefact = trained(models, kind, tmp_path, steps=2, **how)

    theirs = PeftModel.from_pretrained(plain(models[kind]), artefact)

    with torch.no_grad():
        ours, tuned = prepared.base_model(input_ids=IDS).logits, theirs(input_ids=IDS).logits
        merged = theirs.merge_and_unload()(input_ids=IDS).logits
        base = plain(models[kind])(input_ids=IDS).logits
    torch.testing.assert_close(ours, tuned, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours, merged, rtol=1e-3, atol=1e-3)
    assert (tuned - base).abs().max() > 0.1  # the adapter does something


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_another_run_can_begin_where_one_ended(models, kind: str, tmp_path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    prepared, artefact = trained(models, kind, tmp_path, steps=2, dora=True, target_modules=["layers.0"])

    again = prepare(recipe_for(models[kind], tmp_path, init_adapter=str(artefact)), home(tmp_path), ())

    assert again.recipe.dora
    assert again.parameters.keys() == prepared.parameters.keys()
    assert all(torch.equal(again.parameters[name], weight) for name, weight in prepared.parameters.items())


def test_an_adapter_of_peft_is_taken_over_for_a_directory(models, tmp_path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    _, artefact = trained(models, "gpt2", tmp_path, steps=1)
    (artefact / "MANIFEST.json").unlink()  # as if PEFT had written it

    done = import_adapter(artefact, f"hf:{models['gpt2']}", "taken", home(tmp_path), ())

    with pytest.raises(AdapterMismatch, match="c_attn"):
        import_adapter(artefact, f"hf:{models['llama']}", "other", home(tmp_path), ())
    config = json.loads((done.path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(models["gpt2"])
    assert config["target_modules"] == ["c_attn", "c_fc", "c_proj"]
    assert read_adapter(done.path).state().keys() == read_adapter(artefact).state().keys()


def test_all_linear_reaches_every_conv1d_of_gpt_2(models, tmp_path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    prepared = prepare(recipe_for(models["gpt2"], tmp_path), home(tmp_path), ())

    blocks = [name for name, one in plain(models["gpt2"]).named_modules() if isinstance(one, Conv1D)]

    reached = {name.removeprefix("base_model.model.").split(".lora_")[0] for name in prepared.parameters}
    assert prepared.targets == ["c_attn", "c_proj", "c_fc"]
    assert reached == set(blocks) and len(blocks) == 8
    assert prepared.model.peft_config["default"].fan_in_fan_out is True


def test_the_plan_counts_what_is_there(models, tmp_path):
    for kind in KINDS:
        base = opened(models[kind])
        recipe, targets = recipe_for(models[kind], tmp_path, rank=4, dora=kind == "gpt2"), list(base.linears)
        shape = shape_of(base, recipe, targets)
        model = base.load(torch.float32)
        sizes = sum(weight.numel() for weight in model.parameters())
        learned = sum(w.numel() for w in add_lora(model, recipe, targets).parameters() if w.requires_grad)
        assert (shape.dense_parameters, shape.adapter_parameters) == (sizes, learned)
        without, tokens = replace(shape, dense_parameters=0, file_bytes=0), Tokens(1, 8, 8, 8)
        for dtype, size in BYTES.items():
            way = Way(dtype, 1, 8, recompute=False, unpacked=False)
            with_it, alone = (memory_needed(recipe, one, tokens, way).total for one in (shape, without))
            assert abs(with_it - alone - size * sizes) <= 1  # of a rounding


@pytest.mark.parametrize(("kind", "machine"), [("gpt2", EXACT), ("gpt2", ROUNDED), ("llama", ROUNDED)])
def test_a_resumed_run_ends_in_the_same_bytes(models, kind: str, machine, tmp_path, monkeypatch):
    on_machine(monkeypatch, machine)
    recipe = recipe_for(models[kind], tmp_path, sample_prompts=["Hi"])
    train(recipe, tmp_path / "straight", home(tmp_path))
    asked = iter([False, False, True])
    train(recipe, tmp_path / "stopped", home(tmp_path), should_stop=lambda: next(asked))

    resume(tmp_path / "stopped", home(tmp_path))

    assert adapter_bytes(tmp_path / "stopped") == adapter_bytes(tmp_path / "straight")
    losses = [event["loss"] for event in events(tmp_path / "straight") if event["event"] == "step"]
    assert losses[-1] != losses[0]


def test_recomputed_activations_change_nothing(models, tmp_path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    recipe = recipe_for(models["gpt2"], tmp_path)
    train(recipe, tmp_path / "kept", home(tmp_path))
    train(recipe.model_copy(update={"recompute": "always"}), tmp_path / "again", home(tmp_path))

    assert '"recompute": true' in (tmp_path / "again" / "plan.json").read_text()
    assert adapter_bytes(tmp_path / "again") == adapter_bytes(tmp_path / "kept")


def test_the_artefact_names_its_base_for_us_and_for_others(models, tmp_path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    directory = models["gpt2"]
    _, artefact = trained(models, "gpt2", tmp_path, steps=1)

    base, adapter = resolve(f"hf:{directory}", home(tmp_path), ()), read_adapter(artefact)

    config = json.loads((artefact / "adapter_config.json").read_text())
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    card = (artefact / "README.md").read_text("utf-8")
    assert (adapter.base_name, adapter.base_digest) == (base.name, base.digest)
    assert (plan["base_name"], plan["base_digest"]) == (base.name, base.digest)
    assert yaml.safe_load((artefact / "recipe.yaml").read_text())["model"] == base.name
    assert (config["base_model_name_or_path"], config["fan_in_fan_out"]) == (str(directory), True)
    assert base.digest in card and "GGUF" not in card and f"base_model: {directory}\n" in card
    commit = "0" * 40
    assert named_for_others(f"hf:org/name@{commit}") == ("org/name", commit)
    assert named_for_others("sample:smollm2-135m") == ("sample:smollm2-135m", None)


def test_a_base_that_changed_is_not_trained_on(models, tmp_path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    directory = shutil.copytree(models["gpt2"], tmp_path / "gpt2")
    asked = iter([True])
    train(recipe_for(directory, tmp_path), tmp_path / "out", home(tmp_path), should_stop=lambda: next(asked))
    edit_json(directory / "config.json", layer_norm_epsilon=1e-3)

    with pytest.raises(RunChanged, match="base model"):
        resume(tmp_path / "out", home(tmp_path))


def test_what_the_model_does_not_have_is_said(models, tmp_path):
    with pytest.raises(UnknownTarget, match="c_attn, c_proj, c_fc"):
        prepare(recipe_for(models["gpt2"], tmp_path, target_modules=["q_proj"]), home(tmp_path), ())
    with pytest.raises(InvalidRecipe, match="context of 512"):
        prepare(recipe_for(models["gpt2"], tmp_path, max_length=513), home(tmp_path), ())


def test_the_dropout_of_the_base_is_off_and_that_of_the_recipe_is_on(models, tmp_path):
    recipe = make_recipe({"model": "x", "data": "y", "dropout": 0.5})
    base = opened(models["gpt2"])
    model = base.load(torch.float32)
    tuned = add_lora(model, recipe, list(base.linears))

    kept = {name: one.p for name, one in tuned.named_modules() if isinstance(one, nn.Dropout)}

    assert {p for name, p in kept.items() if "lora_" in name} == {0.5}
    assert {p for name, p in kept.items() if "lora_" not in name} == {0.0}
    assert np.isclose(plain(models["gpt2"]).config.resid_pdrop, 0.1)
