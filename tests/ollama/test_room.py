"""Ollama gives up its memory for training where that is short, and only there."""

from pathlib import Path

import pytest

from llmlora.errors import NotEnoughMemory
from llmlora.estimate import MB, Machine
from llmlora.ollama import client
from llmlora.ollama.room import make_room
from llmlora.train.prepare import prepare
from llmlora.train.run import start
from tests.ollama.standin.faults import Cut
from tests.ollama.standin.server import ollama_standin
from tests.ollama_store import OllamaStore
from tests.small_run import EXACT, events, home, on_machine, small_recipe
from tests.tiny import tiny_gguf

SHORT = Machine(threads=1, free_memory=1 * MB, float32_flops=1e11, bfloat16_flops=1e10)


@pytest.fixture
def server(tmp_path: Path):
    """One model, which is in memory."""
    model = tiny_gguf(tmp_path / "loaded.gguf").read_bytes()
    OllamaStore(tmp_path / "store").add("registry.ollama.ai/library/loaded/latest", model)
    with ollama_standin(tmp_path / "store") as running:
        for _ in client.generate(running.address, "loaded", "1", {"num_predict": 1}):
            pass
        yield running


def test_short_memory_unloads_what_ollama_holds_and_the_run_says_so(server, tmp_path: Path, monkeypatch):
    recipe = small_recipe(tmp_path / "run", steps=1, eval_split=0)
    machines = iter([SHORT, EXACT])  # before, and once there is room
    monkeypatch.setattr("llmlora.train.prepare.probe_machine", lambda: next(machines))

    start(prepare(recipe, home(tmp_path), (), ollama=server.address), tmp_path / "out")

    assert client.running(server.address) == []
    warned = [event for event in events(tmp_path / "out") if event["event"] == "warned"]
    assert [(event["code"], event["detail"]) for event in warned] == [("ollama_unloaded", "loaded:latest")]


def test_with_memory_enough_ollama_keeps_its_models(server, tmp_path: Path, monkeypatch):
    on_machine(monkeypatch, EXACT)

    prepared = prepare(small_recipe(tmp_path / "run"), home(tmp_path), (), ollama=server.address)

    assert not prepared.unloaded
    assert [model.name for model in client.running(server.address)] == ["loaded:latest"]


def test_memory_that_stays_short_is_refused_as_before(server, tmp_path: Path, monkeypatch):
    on_machine(monkeypatch, SHORT)

    with pytest.raises(NotEnoughMemory):
        prepare(small_recipe(tmp_path / "run"), home(tmp_path), (), ollama=server.address)


def test_another_machine_is_left_alone_and_a_server_that_fails_stops_nobody(server):
    assert make_room("http://192.0.2.1:11434") == make_room("http://ollama.example:11434") == []

    server.faults.append(Cut(path="/api/ps"))
    assert make_room(server.address) == []
