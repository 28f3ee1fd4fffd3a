"""The promises of the documents: each names a test that exists, and the tree keeps the ones that hold everywhere."""

import ast
import os
import re
import sys
from pathlib import Path

import pytest

from llmlora.errors import NotDownloaded
from llmlora.jobs.attempt import Process
from llmlora.jobs.worker import train
from llmlora.paths import Home

ROOT = Path(__file__).parent.parent
DANGEROUS = {"torch.load", "pickle.load", "pickle.loads", "yaml.load", "os.system", "eval", "exec"}


@pytest.mark.parametrize(("document", "least"), [("SECURITY.md", 40), ("docs/reliability.md", 18)])
def test_each_promise_names_a_test_that_exists(document: str, least: int):
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / document).read_text("utf-8"))

    assert len(named) >= least
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{path} has no {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_tree_has_no_dangerous_call(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in DANGEROUS, f"line {node.lineno}"
            for keyword in node.keywords:
                written = ast.unparse(keyword.value)
                assert (keyword.arg, written) not in {("shell", "True"), ("weights_only", "False")}
                assert keyword.arg != "trust_remote_code" or written != "True"
            assert not (isinstance(node.func, ast.Attribute) and node.func.attr == "extractall"), f"line {node.lineno}"


def test_a_job_does_not_see_our_secrets(tmp_path: Path, monkeypatch):
    canary = "canary-7f3a"
    for name in ("HF_TOKEN", "LLMLORA_DATABASE_URL", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, canary)
    tell = "import json, os, sys; sys.stdin.readline(); print(json.dumps({'result': dict(os.environ)}))"
    monkeypatch.setattr("llmlora.jobs.attempt.WORKER", (sys.executable, "-I", "-c", tell))
    out = Home(tmp_path).attempt("job", 1)
    out.mkdir(parents=True)
    process = Process({"out": str(out)})

    environment = process.outcome()["result"]
    process.close()

    assert environment["PATH"] == os.environ["PATH"]
    assert environment["HF_HUB_CACHE"] == os.environ["HF_HUB_CACHE"]  # models are here before a job begins
    assert canary not in str(environment)


def test_a_job_downloads_no_model(tmp_path: Path):
    task = {"recipe": {"model": "hf:org/name", "data": "rows.jsonl"}, "out": "out", "home": str(tmp_path), "stores": []}
    task["ollama_address"] = "http://127.0.0.1:1"

    with pytest.raises(NotDownloaded):
        train(task, print, bool)
