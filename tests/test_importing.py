"""PEFT adapters from elsewhere: what is safe and exact is taken over and works; the rest is refused by name."""

import json
import pickle
import stat
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from llmlora.adapter import check_base, read_adapter
from llmlora.cli.main import run
from llmlora.errors import AdapterMismatch, NotAnAdapter, OnlyLora, OutputNotEmpty, WhichBase
from llmlora.export.adapter import export_adapter
from llmlora.importing import Imported, import_adapter
from llmlora.model.source import resolve
from llmlora.train.run import train
from tests.peft_adapter import peft_adapter
from tests.small_run import EXACT, home, on_machine, small_recipe
from tests.tiny import tiny_gguf

# what of a hostile or merely rich configuration must not reach PEFT
RICH = {
    "auto_mapping": {"base_model_class": "X", "parent_library": "evil_module"},
    "corda_config": {"cache_file": "evil.pt"},
    "megatron_config": {"a": 1},
    "megatron_core": "megatron.core",
    "runtime_config": {"ephemeral_gpu_offload": False},
    "layer_replication": [[0, 1]],
    "trainable_token_indices": [1],
    "loftq_config": {},
    "eva_config": None,
    "task_type": "CAUSAL_LM",
    "peft_version": "0.21.2",
    "base_model_name_or_path": "someone/Model-1B",
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_gguf(tmp_path / "base.gguf")


def imported(source: Path, base: Path | None, tmp_path: Path, name: str | None = None) -> Imported:
    return import_adapter(source, f"gguf:{base}" if base else None, name, home(tmp_path), ())


def zipped(directory: Path, target: Path, **others: bytes) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.iterdir()):
            archive.write(path, path.name)
        for name, content in others.items():
            archive.writestr(name, content)
    return target


def test_an_adapter_of_peft_is_written_anew_and_what_means_nothing_is_reported(base: Path, tmp_path: Path):
    source = peft_adapter(tmp_path / "my adapter", base, **RICH)
    (source / "training_args.bin").write_bytes(b"never read")

    done = imported(source, base, tmp_path)

    assert done.path == home(tmp_path).adapters / "my-adapter"
    assert done.said_base == "someone/Model-1B"
    assert set(done.dropped) == {
        *("auto_mapping", "corda_config", "megatron_config", "layer_replication", "trainable_token_indices"),
    }
    config = json.loads((done.path / "adapter_config.json").read_text())
    assert not config.keys() & RICH.keys() - {"task_type", "base_model_name_or_path"}
    assert config["target_modules"] == ["down_proj", "q_proj"]
    assert {path.name for path in done.path.iterdir()} == {
        *("adapter_model.safetensors", "adapter_config.json", "MANIFEST.json")
    }
    before, after = (load_file(path / "adapter_model.safetensors") for path in (source, done.path))
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)


def test_an_imported_adapter_knows_its_base_and_exports(base: Path, tmp_path: Path):
    done = imported(peft_adapter(tmp_path / "a", base), base, tmp_path)
    other = resolve(f"gguf:{tiny_gguf(tmp_path / 'other.gguf', seed=1)}", home(tmp_path), ())

    assert export_adapter(done.path, resolve(done.base, home(tmp_path), ()), tmp_path / "a.gguf") == done.layers == 4
    with pytest.raises(AdapterMismatch):
        check_base(read_adapter(done.path), other)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_halves_are_read_exactly(base: Path, tmp_path: Path, kind: torch.dtype):
    source = peft_adapter(tmp_path / "a", base)
    weights = {
        name: torch.from_numpy(w).to(kind) for name, w in load_file(source / "adapter_model.safetensors").items()
    }
    save_file(weights, source / "adapter_model.safetensors")

    state = read_adapter(source).state()

    assert all(np.array_equal(state[name], weight.float().numpy()) for name, weight in weights.items())


def test_an_archive_is_imported_as_its_directory_would_be(base: Path, tmp_path: Path):
    source = peft_adapter(tmp_path / "a", base)
    archive = zipped(source, tmp_path / "from the web.zip", **{"README.md": b"# hi", "tokenizer.json": b"{}"})

    done = imported(archive, base, tmp_path)

    assert done.path.name == "from-the-web"
    assert read_adapter(done.path).pairs.keys() == read_adapter(source).pairs.keys()


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "/etc/passwd", "sub/adapter_config.json", "a\\b", "C:evil", "x\x1b[2J"),
        *("adapter_model.bin", "optimizer.pt", "ADAPTER_CONFIG.JSON", "modeling.py"),
    ],
)
def test_an_archive_with_anything_else_in_it_is_refused_whole(base: Path, tmp_path: Path, name: str):
    archive = zipped(peft_adapter(tmp_path / "a", base), tmp_path / "a.zip", **{name: b"x"})

    with pytest.raises(NotAnAdapter) as caught:
        imported(archive, base, tmp_path)

    assert ascii(name) in str(caught.value)
    assert not home(tmp_path).adapters.exists()


def test_links_doubles_and_bombs_are_refused(base: Path, tmp_path: Path):
    source = peft_adapter(tmp_path / "a", base)
    link = zipfile.ZipInfo("README.md")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    cases = {
        "link": lambda archive: archive.writestr(link, "/etc/passwd"),
        "double": lambda archive: archive.writestr("adapter_config.json", "{}"),
        "bomb": lambda archive: archive.writestr("tokenizer.json", bytes(50_000_000)),
    }
    for name, spoil in cases.items():
        path = zipped(source, tmp_path / f"{name}.zip")
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            warnings.simplefilter("ignore")  # zipfile's own, of the double
            spoil(archive)
        with pytest.raises(NotAnAdapter):
            imported(path, base, tmp_path)


def test_pickles_are_refused_by_name_and_never_opened(base: Path, tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "canary",))

    source = peft_adapter(tmp_path / "a", base)
    (source / "adapter_model.safetensors").unlink()
    (source / "adapter_model.bin").write_bytes(pickle.dumps(Evil()))

    for path in (source, source / "adapter_model.bin"):
        with pytest.raises(NotAnAdapter, match=r"adapter_model\.bin"):
            imported(path, base, tmp_path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"target_modules": ".*_proj"}, "regular expression"),
        ({"target_modules": "all-linear"}, "regular expression"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"bias": "all"}, "bias"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights"),
        ({"alora_invocation_tokens": [1, 2]}, "alora_invocation_tokens"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"use_dora": True}, "magnitudes"),
        ({"r": 8}, "rank 8"),
        ({"auto_mapping": "x" * 2**20}, "larger than"),
    ],
)
def test_what_cannot_be_used_exactly_is_refused_with_the_reason(base: Path, tmp_path: Path, config: dict, words: str):
    with pytest.raises(NotAnAdapter, match=words):
        imported(peft_adapter(tmp_path / "a", base, **config), base, tmp_path)


def test_whole_trained_layers_are_refused_with_the_reason(base: Path, tmp_path: Path):
    with pytest.raises(OnlyLora, match="lm_head"):
        imported(peft_adapter(tmp_path / "a", base, modules_to_save=["lm_head"]), base, tmp_path)


def test_a_base_that_is_not_here_must_be_named(base: Path, tmp_path: Path):
    named = peft_adapter(tmp_path / "a", base, base_model_name_or_path=f"gguf:{base}")

    with pytest.raises(WhichBase, match="gguf:"):  # a path in somebody's file is not opened
        imported(named, None, tmp_path)


def test_layers_of_another_size_or_place_do_not_fit(base: Path, tmp_path: Path):
    source = peft_adapter(tmp_path / "a", base, targets=("up_proj",))
    weights = load_file(source / "adapter_model.safetensors")
    moved = {name.replace("layers.1", "layers.7"): weight for name, weight in weights.items()}
    save_file({name: torch.from_numpy(weight) for name, weight in moved.items()}, source / "adapter_model.safetensors")

    with pytest.raises(AdapterMismatch, match=r"layers\.7"):
        imported(source, base, tmp_path)


def test_a_name_is_taken_once(base: Path, tmp_path: Path):
    source = peft_adapter(tmp_path / "a", base)
    imported(source, base, tmp_path)

    with pytest.raises(OutputNotEmpty):
        imported(source, base, tmp_path)
    assert imported(source, base, tmp_path, "again").path.name == "again"


def test_our_own_artefact_can_move_and_its_base_is_held_against_its_digest(tmp_path: Path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    recipe = small_recipe(tmp_path, dora=True, steps=2)
    train(recipe, tmp_path / "out", home(tmp_path))
    archive = zipped(tmp_path / "out" / "final_model", tmp_path / "adapter.zip")

    done = imported(archive, tmp_path / "tiny.gguf", tmp_path)

    assert (done.dora, done.dropped) == (True, ())
    with pytest.raises(AdapterMismatch):
        imported(tmp_path / "out", tiny_gguf(tmp_path / "other.gguf", seed=1), tmp_path, "other")


def test_the_command_says_what_was_taken_over(base: Path, tmp_path: Path, capsys):
    source = peft_adapter(tmp_path / "a", base, **RICH)

    assert run(["adapters", "import", str(source), "--model", f"gguf:{base}"]) == 0
    told = capsys.readouterr().out
    assert run(["adapters", "import", str(source), "--model", f"gguf:{base}", "--name", "b", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)

    assert all(words in told for words in ("someone/Model-1B", "rank 4", "4 layers", "auto_mapping", "llmlora chat"))
    assert (document["rank"], document["layers"], document["said_base"]) == (4, 4, "someone/Model-1B")
    assert run(["adapters", "import", str(source), "--model", f"gguf:{base}", "--name", "../b"]) == 2
