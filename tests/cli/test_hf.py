"""A Hugging Face directory from the shell: listed, trained on, talked to, compared, and refused as GGUF."""

import json
import shutil
from pathlib import Path

import pytest

from llmlora.cli.main import run
from tests.small_run import rows_file
from tests.tiny_hf import random_adapter, tiny_hf

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hf(tmp_path_factory.mktemp("base") / "gpt2", "gpt2", template=None)


@pytest.fixture(scope="module")
def adapter(gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_adapter(gpt2, tmp_path_factory.mktemp("adapter") / "out")


def document(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_a_run_begins_by_path_says_its_template_and_goes_on(gpt2: Path, tmp_path: Path, capsys):
    rows, out = rows_file(tmp_path / "rows.jsonl"), tmp_path / "out"
    options = ["--steps", "2", "--batch-size", "2", "--max-length", "64", "--rank", "2"]

    code = run(["train", "--model", f"hf:{gpt2}", "--data", str(rows), "--out", str(out), *options])

    told = capsys.readouterr().err
    assert code == 0
    assert "dialogpt" in told and "the model has none" in told
    assert "c_attn, c_proj, c_fc" in told
    assert run(["train", "--resume", str(out), "--json"]) == 0
    assert document(capsys)["status"] == "already finished"


def test_chat_and_compare_say_what_answered(adapter: Path, capsys):
    options = ["--adapter", str(adapter), "--prompt", "Hi", "--temperature", "0", "--max-tokens", "6"]

    assert run(["chat", *options]) == 0
    said = capsys.readouterr()
    assert run(["compare", *options, "--json"]) == 0
    compared = document(capsys)

    (answers,) = compared["answers"]
    assert said.err == "Answered by PyTorch (embedded).\n"
    assert compared["engines"] == dict.fromkeys(("base", "tuned"), "PyTorch (embedded)")
    assert answers["tuned"].strip() == said.out.strip()
    assert answers["tuned"] != answers["base"]


def test_an_adapter_is_not_put_on_another_base(adapter: Path, tmp_path: Path, capsys):
    other = tiny_hf(tmp_path / "other", "gpt2", seed=1)

    code = run(["chat", "--model", f"hf:{other}", "--adapter", str(adapter), "--prompt", "Hi", "--json"])

    assert (code, document(capsys)["error"]["code"]) == (2, "adapter_mismatch")


@pytest.mark.parametrize("option", ["--gguf", "--gguf-adapter"])
def test_there_is_no_gguf_of_it_and_the_way_is_shown(option: str, adapter: Path, tmp_path: Path, capsys):
    target = tmp_path / "x.gguf"

    code = run(["export", str(adapter), option, str(target), "--json"])

    error = document(capsys)["error"]
    assert (code, error["code"], target.exists()) == (2, "no_gguf", False)
    assert "PyTorch" in error["hint"] and "No GGUF of this architecture" in error["hint"]


def test_of_an_architecture_of_ours_the_way_is_to_convert_the_base(tmp_path: Path, capsys):
    llama = random_adapter(tiny_hf(tmp_path / "llama", "llama"), tmp_path / "out")

    assert run(["export", str(llama), "--gguf", str(tmp_path / "x.gguf"), "--json"]) == 2

    assert "convert_hf_to_gguf.py" in document(capsys)["error"]["hint"]


def test_the_cache_is_listed_with_what_can_be_trained(gpt2: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    good = tmp_path / "models--org--good" / "snapshots" / COMMIT
    shutil.copytree(gpt2, good)
    bad = tmp_path / "models--org--bert" / "snapshots" / COMMIT
    bad.mkdir(parents=True)
    (bad / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "models--org--empty" / "snapshots" / COMMIT).mkdir(parents=True)

    assert run(["models", "list", "--json"]) == 0

    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    ours = {name: one["trainable"] for name, one in found.items() if name.startswith("hf:")}
    assert ours == {f"hf:org/good@{COMMIT}": True, f"hf:org/bert@{COMMIT}": False}
    assert found[f"hf:org/good@{COMMIT}"]["architecture"] == "gpt2"
    assert run(["models", "show", "hf:org/empty", "--json"]) == 2
    assert "hf download org/empty" in document(capsys)["error"]["hint"]


def test_the_preview_shows_its_tokens(gpt2: Path, tmp_path: Path, capsys):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": "Hi", "completion": "Yes"}), "utf-8")

    assert run(["data", "preview", str(rows), "--model", f"hf:{gpt2}", "--json"]) == 0

    (row,) = document(capsys)["rows"]
    assert [token["text"] for token in row["tokens"] if token["trained"]] == ["Y", "e", "s", "<|im_end|>"]
