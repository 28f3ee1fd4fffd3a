"""From the shell: `export --ollama` makes a model, `certify` proves it, and both say what they did."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmlora.cli.main import run as llmlora
from llmlora.ollama import client
from tests.blob_run import NAME, BlobRun, blob_run
from tests.ollama.standin.server import StandIn, ollama_standin


@pytest.fixture
def run(tmp_path: Path) -> BlobRun:
    return blob_run(tmp_path)


@pytest.fixture
def server(run: BlobRun, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with ollama_standin(run.store, "adapters") as running:
        monkeypatch.setenv("OLLAMA_HOST", running.address)
        monkeypatch.setenv("OLLAMA_MODELS", str(run.store))
        yield running


def test_a_model_is_made_and_proved(run: BlobRun, server: StandIn, capsys: pytest.CaptureFixture[str]):
    assert llmlora(["export", str(run.out), "--ollama", "mine", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["ollama"]
    assert (told["name"], told["route"], told["why"]) == ("mine:latest", "adapter", None)

    assert llmlora(["certify", str(run.out)]) == 0
    said = capsys.readouterr().out
    assert "every comparison that could be made is within its limit" in said
    assert {path.name for path in run.out.iterdir()} >= {"ollama.json", "certificate.json", "certificate.html"}
    assert not [path for path in run.out.iterdir() if path.name.startswith(".")]


def test_a_broken_certificate_is_exit_code_1_with_and_without_json(run, server, capsys):
    llmlora(["export", str(run.out), "--ollama", "mine"])
    client.copy(server.address, NAME, "mine")
    capsys.readouterr()

    assert llmlora(["certify", str(run.out)]) == 1
    assert "The proof failed" in capsys.readouterr().err
    assert llmlora(["certify", str(run.out), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False


def test_a_name_that_is_taken_needs_force(run: BlobRun, server: StandIn, capsys: pytest.CaptureFixture[str]):
    client.copy(server.address, NAME, "theirs")

    assert llmlora(["export", str(run.out), "--ollama", "theirs"]) == 2
    assert "--force" in capsys.readouterr().err
    assert llmlora(["export", str(run.out), "--ollama", "theirs", "--force"]) == 0
