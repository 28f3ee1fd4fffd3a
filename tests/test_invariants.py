"""Different ways that must come to the same thing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import nn

from llmlora.data.examples import Example
from llmlora.data.packing import pack
from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.gguf.reader import GgufFile
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.model.load import load_model
from llmlora.model.lora import adapter_state, add_lora, load_adapter_state, save_adapter, trainable
from llmlora.recipe import make_recipe
from llmlora.train.evaluate import batch_loss, greedy_answer, hidden_states
from llmlora.train.run import resume, train
from tests.small_run import EXACT, ROUNDED, adapter_bytes, events, home, on_machine, small_recipe
from tests.tiny import tiny_gguf
from tests.twin import dense_twin

LENGTHS = (5, 17, 1, 30)


def examples(seed: int = 0) -> list[Example]:
    random = np.random.default_rng(seed)
    made = []
    for row, length in enumerate(LENGTHS):
        trained = random.random(length) < 0.6
        trained[0] = False
        made.append(Example(row, random.integers(0, 256, length).astype(np.int32), trained, cut=0))
    return made


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_packed_row_is_computed_as_if_it_were_alone(tmp_path: Path, architecture: str):
    with GgufFile(tiny_gguf(tmp_path / "m.gguf", architecture)) as file:
        model = load_model(file, torch.float32)
        rows = examples()

        together = hidden_states(model, pack(rows))

        alone = torch.cat([hidden_states(model, pack([row])) for row in rows])
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_packed_loss_equals_the_loss_of_a_padded_batch_in_transformers(tmp_path: Path, architecture: str):
    with GgufFile(tiny_gguf(tmp_path / "m.gguf", architecture)) as file:
        rows, twin = examples(), dense_twin(file)
        longest = max(LENGTHS)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row.ids)] = torch.from_numpy(row.ids)
            mask[place, : len(row.ids)] = 1
            labels[place, : len(row.ids)] = torch.where(torch.from_numpy(row.trained), torch.from_numpy(row.ids), -100)

        batch = pack(rows)
        ours = batch_loss(load_model(file, torch.float32), batch) / len(batch.labels)

        theirs = twin(input_ids=ids, attention_mask=mask, labels=labels).loss
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_quantised_base_equals_its_dequantised_twin(tmp_path: Path, architecture: str):
    untied = architecture == "llama"
    with GgufFile(tiny_gguf(tmp_path / "m.gguf", architecture, rope_factors=True, tied=not untied)) as file:
        ids = torch.arange(3, 40)[None]

        ours = load_model(file, torch.float32)(input_ids=ids).logits

        torch.testing.assert_close(ours, dense_twin(file)(input_ids=ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
@pytest.mark.parametrize("values", [{}, {"rslora": True}, {"dora": True}, {"target_modules": ["layers.1", "v_proj"]}])
def test_peft_reads_the_artefact_onto_the_twin_and_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, values: dict
):
    on_machine(monkeypatch, EXACT)
    recipe = small_recipe(tmp_path, architecture=architecture, learning_rate=0.01, dropout=0, **values)
    outcome = train(recipe, tmp_path / "out", home(tmp_path))
    from llmlora.train.run import prepare_again

    prepared = prepare_again(tmp_path / "out", home(tmp_path))
    ours = prepared.base_model.train(False)
    load_adapter_state(prepared.model, load_file(outcome.final_model / "adapter_model.safetensors"))
    ids = torch.arange(3, 40)[None]

    with GgufFile(prepared.base.path) as file:
        theirs = PeftModel.from_pretrained(dense_twin(file), outcome.final_model)

        tuned, base = theirs(input_ids=ids).logits, dense_twin(file)(input_ids=ids).logits
    torch.testing.assert_close(ours(input_ids=ids).logits, tuned, rtol=1e-3, atol=1e-3)
    assert (tuned - base).abs().max() > 0.1  # the adapter does something


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_peft_computes_what_we_do_whatever_the_architecture(tmp_path: Path, architecture: str):
    ids, recipe = torch.arange(3, 40)[None], make_recipe({"model": "-", "data": "-", "rank": 3, "dropout": 0})
    with GgufFile(tiny_gguf(tmp_path / "m.gguf", architecture)) as file:
        base = load_model(file, torch.float32)
        adapted = add_lora(base, recipe, ARCHITECTURES[architecture].targets).train(False)
        for weight in trainable(adapted).values():
            nn.init.normal_(weight, std=0.1)
        save_adapter(adapted, tmp_path)
        twin = dense_twin(file)
        plain = twin(input_ids=ids).logits

        theirs = PeftModel.from_pretrained(twin, tmp_path)(input_ids=ids).logits

        torch.testing.assert_close(base(input_ids=ids).logits, theirs, rtol=1e-3, atol=1e-3)
        assert (theirs - plain).abs().max() > 0.1  # the adapter does something


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_answer_with_a_cache_is_the_one_without(tmp_path: Path, architecture: str):
    prompt = list(range(40, 60))  # longer than the windows
    with GgufFile(tiny_gguf(tmp_path / "m.gguf", architecture)) as file, torch.no_grad():
        model = load_model(file, torch.float32)

        answer = greedy_answer(model, prompt, frozenset(), 12)

        ids = [*prompt]
        for token in answer:
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
            assert logits.max() - logits[token] < 1e-4
            ids.append(token)


def noise_like(weight: torch.Tensor) -> torch.Tensor:
    return torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
@pytest.mark.parametrize("dora", [False, True])
def test_gradients_are_those_of_peft_on_the_twin(tmp_path: Path, architecture: str, dora: bool):
    recipe = small_recipe(tmp_path, architecture=architecture, dora=dora, rank=3, dropout=0)
    ids = torch.arange(3, 40)[None]
    with GgufFile(tiny_gguf(tmp_path / "m.gguf", architecture)) as file:
        ours = add_lora(load_model(file, torch.float32), recipe, ["q_proj", "down_proj"])
        config = LoraConfig(
            r=3, lora_alpha=recipe.scale_alpha, target_modules=["q_proj", "down_proj"], use_dora=dora, lora_dropout=0
        )
        theirs = get_peft_model(dense_twin(file), config)
        for _, weight in sorted(ours.named_parameters()):  # B too, and lengths that are no longer those of W
            if weight.requires_grad:
                weight.data.add_(0.1 * noise_like(weight))
        load_adapter_state(theirs, adapter_state(ours))

        for model in (ours, theirs):
            model(input_ids=ids, labels=ids).loss.backward()

        wanted = {name: weight.grad for name, weight in theirs.named_parameters() if weight.requires_grad}
        found = {name: weight.grad for name, weight in ours.named_parameters() if weight.requires_grad}
        assert any("lora_magnitude_vector" in name for name in found) == dora
        assert found.keys() == wanted.keys()
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-3 * float(gradient.abs().max()))


def test_accumulation_equals_a_big_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    on_machine(monkeypatch, EXACT)
    losses = []
    for batch_size, accumulation in ((4, 1), (2, 2), (1, 4)):
        recipe = small_recipe(tmp_path, batch_size=batch_size, gradient_accumulation=accumulation, dropout=0)
        out = tmp_path / f"out{batch_size}"
        train(recipe, out, home(tmp_path))
        losses.append([event["loss"] for event in events(out) if event["event"] == "step"])

    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-5)


def test_recomputed_activations_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = small_recipe(tmp_path)
    on_machine(monkeypatch, EXACT)
    train(recipe, tmp_path / "kept", home(tmp_path))
    train(recipe.model_copy(update={"recompute": "always"}), tmp_path / "again", home(tmp_path))

    assert '"recompute": true' in (tmp_path / "again" / "plan.json").read_text()
    assert adapter_bytes(tmp_path / "again") == adapter_bytes(tmp_path / "kept")


@pytest.mark.parametrize("machine", [EXACT, ROUNDED], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("dora", [False, True])
def test_a_resumed_run_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine, dora: bool):
    on_machine(monkeypatch, machine)
    recipe = small_recipe(tmp_path, dora=dora)
    train(recipe, tmp_path / "straight", home(tmp_path))
    asked = iter([False, False, True])
    stopped = train(recipe, tmp_path / "stopped", home(tmp_path), should_stop=lambda: next(asked))

    resumed = resume(tmp_path / "stopped", home(tmp_path))

    assert (stopped.status, stopped.step, resumed.status) == ("interrupted", 3, "finished")
    assert adapter_bytes(tmp_path / "stopped") == adapter_bytes(tmp_path / "straight")
    told = [[e["step"], e["loss"]] for e in events(tmp_path / "stopped") if e["event"] == "step"]
    assert told == [[e["step"], e["loss"]] for e in events(tmp_path / "straight") if e["event"] == "step"]


def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    on_machine(monkeypatch, EXACT)
    recipe = small_recipe(tmp_path)
    train(recipe, tmp_path / "straight", home(tmp_path))
    asked = iter([False] * 3 + [True])
    train(recipe, tmp_path / "out", home(tmp_path), should_stop=lambda: next(asked))
    weights = tmp_path / "out" / "checkpoints" / "checkpoint-4" / "optimizer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")

    resume(tmp_path / "out", home(tmp_path))

    told = events(tmp_path / "out")
    assert {"checkpoint_damaged"} == {event["code"] for event in told if event["event"] == "warned"}
    assert adapter_bytes(tmp_path / "out") == adapter_bytes(tmp_path / "straight")


def test_other_libraries_are_said_at_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    on_machine(monkeypatch, EXACT)
    asked = iter([False, True])
    train(small_recipe(tmp_path), tmp_path / "out", home(tmp_path), should_stop=lambda: next(asked))
    plan = tmp_path / "out" / "plan.json"
    plan.write_text(plan.read_text().replace('"numba": "', '"numba": "0.'))

    resume(tmp_path / "out", home(tmp_path))

    assert any(e["event"] == "warned" and "numba 0." in e["detail"] for e in events(tmp_path / "out"))


def test_early_stopping_gives_back_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    on_machine(monkeypatch, EXACT)
    losses = iter([3.0, 2.0, 2.5, 2.6, 2.7])
    monkeypatch.setattr("llmlora.train.loop.mean_loss", lambda *_: next(losses))
    recipe = small_recipe(tmp_path, steps=40, early_stopping=2, eval_every=2, save_every=40)

    outcome = train(recipe, tmp_path / "out", home(tmp_path))

    assert (outcome.step, outcome.eval_loss) == (4, 2.0)
    last = events(tmp_path / "out")[-1]
    assert (last["reason"], last["step"]) == ("early_stopping", 8)
    best = tmp_path / "out" / "checkpoints" / "checkpoint-4" / "adapter_model.safetensors"
    assert adapter_bytes(tmp_path / "out") == best.read_bytes()


def test_the_same_seed_gives_the_same_adapter_and_another_gives_another(tmp_path: Path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        train(small_recipe(tmp_path, seed=seed), tmp_path / name, home(tmp_path))

    assert adapter_bytes(tmp_path / "one") == adapter_bytes(tmp_path / "two") != adapter_bytes(tmp_path / "other")


def test_a_row_order_moves_no_bytes_of_the_file(tmp_path: Path):
    with GgufFile(tiny_gguf(tmp_path / "m.gguf")) as file:
        model = load_model(file, torch.float32)
        matrix: PackedMatrix = model.get_submodule("model.layers.0.self_attn.q_proj").matrix

        assert np.shares_memory(matrix.blocks, file.packed("blk.0.attn_q.weight"))
