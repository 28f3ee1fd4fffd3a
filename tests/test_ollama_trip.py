"""The round trip on the sample models: train on the blob that Ollama serves, register, talk, prove, on each server."""

import json
from pathlib import Path

import pytest

from llmlora.certify.proof import certify
from llmlora.demo.style import material
from llmlora.export.ollama import Wish, register
from llmlora.model.source import resolve
from llmlora.ollama import client
from llmlora.paths import Home
from llmlora.recipe import make_recipe
from llmlora.train.run import train
from tests.ollama.standin.__main__ import MODELS, TEMPLATES
from tests.ollama.standin.generations import GENERATIONS
from tests.ollama.standin.pull import Published, fill
from tests.ollama.standin.server import ollama_standin
from tests.ollama.standin.store import Store, go_json

pytestmark = pytest.mark.trip


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sample_home: Home):
    """A model of a store, and a run on its blob that follows its template."""
    sample, template, stop = MODELS[request.param]
    directory, base = tmp_path_factory.mktemp("trip"), resolve(sample, sample_home, ())
    text = json.loads(TEMPLATES.read_text())[template]["template"].encode()
    layers = {"template": text, "params": go_json({"stop": stop})}
    fill(Store(directory / "store"), request.param, Published(base.path, layers))
    values = {
        "model": f"ollama:{request.param}",
        "template": "ollama",
        "data": str(material().rows),
        "steps": 8,
        "rank": 8,
    }
    train(make_recipe({**values, "eval_split": 0.2}), directory / "out", Home(directory), [directory / "store"])
    return directory, resolve(f"ollama:{request.param}", Home(directory), [directory / "store"])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_was_trained_on_the_blob_is_what_ollama_answers(generation: str, trained):
    directory, base = trained
    out: Path = directory / "out"
    with ollama_standin(directory / "store", generation) as server:
        done = register(out, base, Wish("mine", force=True), server.address, directory)
        certificate = certify(out, base, directory, server.address)

        listed = {tag.name for tag in client.models(server.address)}
        assert listed == {base.name.removeprefix("ollama:"), "mine:latest"}
        question = [{"role": "user", "content": "What is the capital of Japan?"}]
        answer = "".join(piece.text for piece in client.chat(server.address, "mine", question, {"num_predict": 16}))
        assert answer.strip()

    told = {line.what: line.verdict for line in certificate.lines}
    assert certificate.passed, certificate.broken
    merged = generation == "refuses" or ("gemma3" in base.name and generation != "adapters")
    assert done.route == ("merged" if merged else "adapter")
    judged = {"weights_base", "weights_tuned", "weights_merged", "engine", "engine_merged", "kept", "error"}
    assert {what for what, verdict in told.items() if verdict == "ok"} >= judged
    if GENERATIONS[generation].logprobs:
        assert told["served"] == told["nearer"] == told["prompt"] == "ok"
