"""Hugging Face directories: what is in them, why some cannot be trained, and that nothing in them is ever run."""

import hashlib
import json
import pickle
import re
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

import llmlora
from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.errors import DigestMismatch, HfError, ModelNotFound
from llmlora.failure import LlmloraError
from llmlora.model.describe import describe, reason_of
from llmlora.model.hf import HfDirectory, digest_of_directory, promised_digest
from llmlora.model.hf_load import hf_skeleton
from llmlora.model.opened import open_base
from llmlora.model.shape import shape_of
from llmlora.model.source import resolve, verify
from llmlora.paths import Home
from llmlora.recipe import make_recipe
from tests.tiny_hf import KINDS, edit_json, tiny_hf

NOWHERE = Home(Path("/nonexistent"))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hf(tmp_path_factory.mktemp("hf") / "llama", "llama", dtype="bfloat16")


@pytest.fixture
def directory(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "llama")


def base_of(directory: Path):
    return resolve(f"hf:{directory}", NOWHERE, ())


def test_a_directory_is_described_from_its_headers(directory: Path):
    (directory / "README.md").write_text("---\nlicense: apache-2.0\n---\n", "utf-8")

    found = describe(base_of(directory))

    assert (found.name, found.trainable, found.architecture) == (f"hf:{directory}", True, "llama")
    assert (found.parameters, found.context_length, found.license) == (95_040, 512, "apache-2.0")
    assert [(one.type, one.bytes) for one in found.tensor_types] == [("BF16", 2 * 95_040)]
    assert found.tokenizer and found.tokenizer.vocabulary == 260
    assert found.chat_template == "model"
    assert found.targets == ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert found.digest == digest_of_directory(directory)
    assert found.size == sum(
        (directory / name).stat().st_size
        for name in (
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
        )
    )


def test_the_digest_is_what_sha256sum_would_print(directory: Path):
    names = ["chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    lines = [f"{hashlib.sha256((directory / name).read_bytes()).hexdigest()}  {name}\n" for name in names]

    assert digest_of_directory(directory) == f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
    assert promised_digest(directory) == digest_of_directory(directory)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_every_file_that_counts_is_part_of_the_digest(directory: Path, name: str):
    base = base_of(directory)
    verify(base)
    content = bytearray((directory / name).read_bytes())
    content[-2] ^= 1
    (directory / name).write_bytes(content)

    with pytest.raises(DigestMismatch):
        verify(base)


def test_a_file_in_the_cache_is_known_by_its_name_and_verified_by_its_bytes(directory: Path):
    weights = directory / "model.safetensors"
    blob = directory.parent / hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.rename(blob)
    weights.symlink_to(blob)
    digest = digest_of_directory(directory)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")

    assert promised_digest(directory) == digest != digest_of_directory(directory)


def test_targets_are_all_linear_layers_of_each_architecture(tmp_path: Path):
    assert HF_ARCHITECTURES.keys() == KINDS.keys()
    for kind in KINDS:
        base = base_of(tiny_hf(tmp_path / kind, kind))
        names = {
            name
            for name, module in hf_skeleton(HfDirectory.open(base.path)).named_modules()
            if isinstance(module, nn.Linear | Conv1D) and name != "lm_head"
        }
        assert open_base(base).linears.keys() == names


def test_phi_3s_shorter_context_counts(directory: Path):
    edit_json(directory / "config.json", rope_scaling={"type": "longrope"}, original_max_position_embeddings=64)

    assert HfDirectory.open(directory).context == 64


def without_a_layer(directory: Path) -> None:
    weights = load_file(directory / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, directory / "model.safetensors", {"format": "pt"})


def renamed(directory: Path) -> None:
    weights = load_file(directory / "model.safetensors")
    weights["other"] = weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, directory / "model.safetensors", {"format": "pt"})


def only_pickle(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(b"x")


def in_integers(directory: Path) -> None:
    save_file({"x": torch.zeros(4, dtype=torch.int64)}, directory / "model.safetensors", {"format": "pt"})


def indexed(name: object) -> Callable[[Path], None]:
    def do(directory: Path) -> None:
        (directory / "model.safetensors").rename(directory.parent / "outside.safetensors")
        (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))

    return do


def header(content: bytes, length: int | None = None) -> Callable[[Path], None]:
    size = len(content) if length is None else length
    return lambda directory: (directory / "model.safetensors").write_bytes(struct.pack("<Q", size) + content) and None


def config(**values: object) -> Callable[[Path], None]:
    return lambda directory: edit_json(directory / "config.json", **values)


def removed(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


REFUSED = {
    "code": (config(auto_map={"AutoModelForCausalLM": "x.Y"}), "auto_map"),
    "architecture": (config(model_type="mixtral"), "“mixtral” cannot be trained yet"),
    "no type": (config(model_type=None), "“none” cannot be trained yet"),
    "quantised": (config(quantization_config={"quant_method": "gptq"}), "quantised (gptq)"),
    "encoder": (config(is_encoder_decoder=True), "encoder"),
    "adapter": (lambda directory: (directory / "adapter_config.json").write_text("{}") and None, "an adapter"),
    "pickle": (only_pickle, "only as .bin (pickle)"),
    "no weights": (removed("model.safetensors"), "no model.safetensors"),
    "no tokenizer": (removed("tokenizer.json"), "no tokenizer.json"),
    "no context": (config(max_position_embeddings=0), "how many tokens"),
    "layers": (config(num_hidden_layers=10**9), "num_hidden_layers is not between 1 and 1024"),
    "integers": (in_integers, "stored as I64"),
    "outside": (indexed("../outside.safetensors"), "is missing"),
    "no name": (indexed(7), "is missing"),
    "no shard": (indexed("model-1-of-1.safetensors"), "model-1-of-1.safetensors, which its index names, is missing"),
    "empty": (header(b"", 0), "model.safetensors cannot be read"),
    "huge header": (header(b"{}", 2**40), "not a safetensors file"),
    "no header": (header(b'{"x": 1}'), "model.safetensors cannot be used"),
    "short": (header(b'{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'), "its size"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_says_why(directory: Path, name: str):
    spoil, words = REFUSED[name]
    spoil(directory)
    base = base_of(directory)

    obstacle = describe(base).obstacle

    assert obstacle is not None and words in reason_of(obstacle)
    assert reason_of(obstacle, "ja") != reason_of(obstacle)
    with pytest.raises(type(obstacle)):
        open_base(base)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_a_layer, "88,896 of 95,040 numbers"),
        (renamed, "the tensor model.layers.1.mlp.up_proj.weight is missing"),
        (config(hidden_size=128), "95,040 of"),
        (config(vocab_size=10**12), "numbers"),
        (config(head_dim=8, num_attention_heads=8, num_key_value_heads=4, intermediate_size=95), "model.safetensors"),
        (config(num_attention_heads=0), "cannot be used"),
        (config(hidden_act="evil"), "cannot be used"),
    ],
)
def test_weights_that_do_not_fit_their_config_are_not_made_up(directory: Path, spoil: Callable, words: str):
    spoil(directory)

    with pytest.raises(HfError) as caught:
        open_base(base_of(directory)).load(torch.float32)

    assert words in str(caught.value)


class Evil:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("canary"),)


def test_nothing_of_a_hostile_directory_is_run(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code = "from pathlib import Path\nPath('canary').touch()\n"
    for name in ("modeling_llama.py", "configuration_llama.py", "kernel.py", "custom_generate.py"):
        (directory / name).write_text(code, "utf-8")
    (directory / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    edit_json(directory / "tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Y", None]}, trust_remote_code=True)
    hidden = {"trust_remote_code": True, "attn_implementation": "evil/kernel", "_attn_implementation": "evil/kernel"}
    edit_json(directory / "config.json", **hidden, nested={"auto_map": {"AutoModel": "x.Y"}}, use_kernels=True)

    model = open_base(base_of(directory)).load(torch.float32)

    assert model(input_ids=torch.tensor([[1, 2, 3]])).logits.isfinite().all()
    assert model.config._attn_implementation == "llmlora_packed"
    assert not (tmp_path / "canary").exists()


def test_remote_code_is_trusted_nowhere():
    sources = "".join(path.read_text("utf-8") for path in Path(llmlora.__file__).parent.rglob("*.py"))

    assert set(re.findall(r"(?i)trust_remote_code *= *(\w+)", sources)) == {"False", "TRUST_REMOTE_CODE"}
    assert not re.search(r"torch\.load\(|import pickle|use_safetensors=False", sources)


def test_names_of_nothing_are_unknown(tmp_path: Path):
    for name in ("hf:", "hf:gpt2", f"hf:{tmp_path / 'none'}", "hf:\0"):
        with pytest.raises(ModelNotFound):
            resolve(name, NOWHERE, ())
    with pytest.raises(HfError, match=r"no config\.json"):
        resolve(f"hf:{tmp_path}", NOWHERE, ())


def test_a_directory_comes_before_a_name_of_the_hub(directory: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(directory.parent)
    directory.rename("org")
    Path("org").rename("here")
    Path("org").mkdir()
    Path("here").rename("org/name")

    assert resolve("hf:org/name", NOWHERE, ()).path == directory.parent / "org" / "name"


def test_old_gpt_2_names_and_half_precision_are_read(tmp_path: Path):
    """The hub's own gpt2 names its tensors without a prefix, and has masks among them."""
    directory = tiny_hf(tmp_path / "m", "gpt2", dtype="float16")
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        before = open_base(base_of(directory)).load(torch.float32)(input_ids=ids).logits
        weights = load_file(directory / "model.safetensors")
        old = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
        old["h.0.attn.bias"] = torch.ones(1, 1, 4, 4, dtype=torch.uint8)
        save_file(old, directory / "model.safetensors", {"format": "pt"})

        after = open_base(base_of(directory)).load(torch.float32)(input_ids=ids).logits

    assert {one.type for one in describe(base_of(directory)).tensor_types} == {"F16", "U8"}
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_every_error_is_ours(directory: Path):
    """Whatever byte of a config is lost, a foreign one does not come through."""
    content = (directory / "config.json").read_bytes()
    for cut in range(0, len(content), 37):
        (directory / "config.json").write_bytes(content[:cut] + content[cut + 1 :])
        with suppress(LlmloraError):
            opened = open_base(base_of(directory))
            shape_of(opened, make_recipe({"model": "x", "data": "y"}), list(opened.linears))
