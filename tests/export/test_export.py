"""A trained adapter leaves as GGUF: llama.cpp, or our own reader, computes from it what training computed."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch

from llmlora.adapter import read_adapter
from llmlora.certify.numbers import distance, float_copy, log_probabilities
from llmlora.chat.engine import Engine, EngineOptions
from llmlora.errors import AdapterMismatch, DiskFull, DoraNeedsMerging, NotAnAdapter
from llmlora.export.adapter import export_adapter
from llmlora.export.merged import MOST_ERROR, export_merged
from llmlora.export.quantise import pack_as
from llmlora.ggml import BY_NAME
from llmlora.gguf.reader import GgufFile
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.model.load import load_model
from llmlora.model.lora import load_adapter_state
from llmlora.model.source import Base, resolve
from llmlora.model.weights import MAX_HEADER_BYTES
from llmlora.train.run import prepare_again, train
from tests.small_run import EXACT, home, on_machine, small_recipe
from tests.tiny import HIDDEN, tiny_gguf


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[Path, Base]:
    """A finished run on a tiny model; parametrise indirectly to change its recipe."""
    on_machine(monkeypatch, EXACT)
    values = {"learning_rate": 0.01, "eval_split": 0, **getattr(request, "param", {})}
    recipe = small_recipe(tmp_path, **values)
    train(recipe, tmp_path / "out", home(tmp_path))
    return tmp_path / "out", resolve(recipe.model, home(tmp_path), ())


def merged_weight(out: Path, base: Base, module: str, tensor: str) -> torch.Tensor:
    """W + ΔW in the file's row order, made from the artefact by hand."""
    adapter = read_adapter(out)
    pair = adapter.pairs[module]
    with GgufFile(base.path) as file:
        weight = PackedMatrix(file.packed(tensor), file.tensors[tensor].kind).dense(torch.float32)
        order = load_model(file, torch.float32).get_submodule(module).matrix.order
    rows = torch.arange(len(weight)) if order is None else torch.from_numpy(order)
    tuned = weight[rows] + torch.from_numpy(pair.scaling * pair.b @ pair.a)
    if pair.magnitude is not None:
        tuned *= (torch.from_numpy(pair.magnitude) / tuned.norm(dim=1))[:, None]
    return torch.empty_like(tuned).index_copy_(0, rows, tuned)


@pytest.mark.parametrize("trained", [{}, {"rslora": True}, {"architecture": "gemma3"}], indirect=True)
def test_the_gguf_adapter_holds_every_pair_and_the_scaling_of_peft(trained, tmp_path: Path):
    out, base = trained

    count = export_adapter(out, base, tmp_path / "a.gguf")

    adapter = read_adapter(out)
    with GgufFile(tmp_path / "a.gguf") as file, GgufFile(base.path) as original:
        assert file.metadata["general.architecture"] == original.metadata["general.architecture"]
        assert (file.metadata["general.type"], file.metadata["adapter.type"]) == ("adapter", "lora")
        pair = next(iter(adapter.pairs.values()))
        assert math.isclose(file.metadata["adapter.lora.alpha"] / pair.rank, pair.scaling, rel_tol=1e-6)
        assert count == len(adapter.pairs) == len(file.tensors) // 2
        for name, info in file.tensors.items():
            shape = original.tensors[name.rpartition(".")[0]].shape
            assert info.shape == ((4, shape[1]) if name.endswith("lora_a") else (shape[0], 4))


@pytest.mark.parametrize("trained", [{}, {"architecture": "gemma3"}, {"dora": True}], indirect=True)
def test_the_merged_file_holds_the_update_and_copies_the_rest(trained, tmp_path: Path):
    out, base = trained

    report = export_merged(out, base, tmp_path / "m.gguf")

    touched = {one.tensor for one in report.tensors}
    with GgufFile(tmp_path / "m.gguf") as merged, GgufFile(base.path) as original:
        assert touched == {name for name in original.tensors if name.startswith("blk.") and "norm" not in name}
        for name in original.tensors:
            if name not in touched:
                assert merged.packed(name).tobytes() == original.packed(name).tobytes()
        for part, module in (
            ("attn_q", "self_attn.q_proj"),
            ("attn_k", "self_attn.k_proj"),
            ("ffn_down", "mlp.down_proj"),
        ):
            tensor = f"blk.1.{part}.weight"
            got = PackedMatrix(merged.packed(tensor), merged.tensors[tensor].kind).dense(torch.float32)
            wanted = merged_weight(out, base, f"model.layers.1.{module}", tensor)
            assert float((got - wanted).norm() / wanted.norm()) < 0.01


@pytest.mark.parametrize("trained", [{"dora": True}], indirect=True)
def test_dora_has_no_gguf_adapter_and_the_error_says_what_to_do(trained, tmp_path: Path):
    out, base = trained

    with pytest.raises(DoraNeedsMerging) as caught:
        export_adapter(out, base, tmp_path / "a.gguf")

    assert f"llmlora export {out} --gguf merged.gguf" in caught.value.hint()
    assert not (tmp_path / "a.gguf").exists()


@pytest.mark.parametrize("trained", [{"dora": True, "target_modules": ["layers.1", "q_proj"]}], indirect=True)
def test_the_engine_computes_from_merged_dora_what_training_computed(trained, tmp_path: Path):
    out, base = trained
    ids, merged, exact = list(range(33, 60)), tmp_path / "merged.gguf", tmp_path / "exact.gguf"
    prepared = prepare_again(out, home(tmp_path))
    plain = log_probabilities(prepared.base_model.train(False), ids)
    load_adapter_state(prepared.model, load_torch(out / "final_model" / "adapter_model.safetensors"))
    tuned = log_probabilities(prepared.base_model, ids)

    export_merged(out, base, merged)

    float_copy(merged, exact)
    with Engine(exact, None, EngineOptions(context=128, exact=True)) as engine:
        answered = engine.log_probabilities(ids)
    with GgufFile(merged) as file:
        assert distance(log_probabilities(load_model(file, torch.float32), ids), answered).most <= 0.02
    assert distance(tuned, answered).mean <= MOST_ERROR * distance(plain, answered).mean


def test_every_merged_tensor_keeps_the_update(trained, tmp_path: Path):
    out, base = trained

    report = export_merged(out, base, tmp_path / "m.gguf")

    assert all(one.kept >= 0.95 and one.error <= 0.2 for one in report.tensors)
    assert {one.after for one in report.tensors} <= {"Q8_0", "F16", "F32"}


def test_an_update_too_small_for_eight_bits_is_stored_in_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    on_machine(monkeypatch, EXACT)
    recipe = small_recipe(tmp_path, learning_rate=1e-5, eval_split=0, schedule="constant", warmup_ratio=0)
    train(recipe, tmp_path / "out", home(tmp_path))

    report = export_merged(tmp_path / "out", resolve(recipe.model, home(tmp_path), ()), tmp_path / "m.gguf")

    assert {"F16", "F32"} & {one.after for one in report.tensors}
    assert all(one.kept >= 0.95 and one.error <= 0.2 for one in report.tensors)


def test_without_the_data_the_merge_uses_rows_of_its_own_and_says_so(trained, tmp_path: Path):
    out, base = trained
    (tmp_path / "rows.jsonl").unlink()

    assert export_merged(out, base, tmp_path / "m.gguf").activations == "built-in rows"


def test_a_modelfile_lies_beside_each_export(trained, tmp_path: Path):
    out, base = trained

    export_adapter(out, base, tmp_path / "a.gguf")
    export_merged(out, base, tmp_path / "m.gguf")

    assert (tmp_path / "a.Modelfile").read_text().splitlines() == [f"FROM {base.path}", "ADAPTER ./a.gguf"]
    assert (tmp_path / "m.Modelfile").read_text().startswith("FROM ./m.gguf")


def test_the_template_a_base_lacks_is_put_into_the_merged_file(trained, tmp_path: Path):
    out, _ = trained
    plain = tiny_gguf(tmp_path / "plain.gguf", template=None)
    manifest = json.loads((out / "final_model" / "MANIFEST.json").read_text())
    (out / "final_model" / "MANIFEST.json").write_text(json.dumps({**manifest, "base": {}}))

    export_merged(out, resolve(f"gguf:{plain}", home(tmp_path), ()), tmp_path / "m.gguf")

    with GgufFile(tmp_path / "m.gguf") as merged:
        assert "<|im_start|>" in merged.metadata["tokenizer.chat_template"]


def test_an_adapter_is_refused_by_another_base(trained, tmp_path: Path):
    out, _ = trained
    other = resolve(f"gguf:{tiny_gguf(tmp_path / 'other.gguf', seed=1)}", home(tmp_path), ())

    with pytest.raises(AdapterMismatch):
        export_adapter(out, other, tmp_path / "a.gguf")

    assert not (tmp_path / "a.gguf").exists()


def test_a_full_disk_leaves_no_export(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out, base = trained

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("llmlora.files.os.fsync", full)

    with pytest.raises(DiskFull):
        export_adapter(out, base, tmp_path / "a.gguf")
    assert not list(tmp_path.glob("*a.gguf*"))


def damage(out: Path, how: str) -> None:
    directory = out / "final_model"
    weights, config = directory / "adapter_model.safetensors", directory / "adapter_config.json"
    values = json.loads(config.read_text())
    tensors = load_file(weights)
    first = next(iter(sorted(tensors)))
    if how == "no weights":
        weights.unlink()
    elif how == "cut off":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "lying header":
        weights.write_bytes(struct.pack("<Q", MAX_HEADER_BYTES + 1) + b" " * 100)
    elif how == "pickle":
        weights.write_bytes(b"\x80\x04\x95" + b"\0" * 50)
    elif how == "half a pair":
        del tensors[first]
        save_file(tensors, weights)
    elif how == "not a number":
        tensors[first][:] = np.nan
        save_file(tensors, weights)
    elif how == "another rank":
        config.write_text(json.dumps({**values, "r": 5}))
    elif how == "dora":
        config.write_text(json.dumps({**values, "use_dora": True}))
    elif how == "other kind":
        config.write_text(json.dumps({**values, "peft_type": "IA3"}))
    elif how == "patterns":
        config.write_text(json.dumps({**values, "rank_pattern": {"(a+)+$": 8}}))
    elif how == "nested":
        config.write_text("[" * 100_000)
    elif how == "unknown module":
        renamed = {name.replace("q_proj", "z_proj"): tensor for name, tensor in tensors.items()}
        save_file(renamed, weights)


@pytest.mark.parametrize(
    "how",
    [
        "no weights",
        "cut off",
        "lying header",
        "pickle",
        "half a pair",
        "not a number",
        "another rank",
        "dora",
        "other kind",
        "patterns",
        "nested",
        "unknown module",
    ],
)
def test_a_damaged_or_hostile_adapter_is_refused_with_a_reason(trained, tmp_path: Path, how: str):
    out, base = trained
    damage(out, how)

    with pytest.raises(NotAnAdapter) as caught:
        export_adapter(out, base, tmp_path / "a.gguf")

    assert caught.value.problem
    assert not (tmp_path / "a.gguf").exists()


def test_a_directory_without_an_adapter_is_refused(tmp_path: Path):
    with pytest.raises(NotAnAdapter):
        read_adapter(tmp_path)


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0"])
def test_packing_rounds_as_gguf_py_does(kind: str):
    import gguf

    values = np.random.default_rng(0).standard_normal((7, HIDDEN)).astype(np.float32)
    values[3] = 0

    packed = pack_as(torch.from_numpy(values), BY_NAME[kind])

    wanted = gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind])
    assert packed.tobytes() == wanted.tobytes()
