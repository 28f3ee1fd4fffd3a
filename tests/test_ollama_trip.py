"""The round trip on the sample models: train on the blob that Ollama serves, register, talk, prove, on each server."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmlora.adapter import read_adapter
from llmlora.certify.compare import Bench, Comparison, compare
from llmlora.certify.proof import ignore
from llmlora.certify.rows import material_of
from llmlora.certify.served import Served, ask
from llmlora.demo.style import material
from llmlora.export.ollama import Wish, register
from llmlora.model.source import Base, resolve
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


@dataclass(frozen=True)
class Trained:
    """A model of a store, a run on its blob that follows its template, and what was compared without a server."""

    directory: Path
    base: Base
    bench: Bench
    made: Comparison


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sample_home: Home) -> Trained:
    sample, template, stop = MODELS[request.param]
    directory, name = tmp_path_factory.mktemp("trip"), f"ollama:{request.param}"
    text = json.loads(TEMPLATES.read_text())[template]["template"].encode()
    layers = {"template": text, "params": go_json({"stop": stop})}
    fill(Store(directory / "store"), request.param, Published(resolve(sample, sample_home, ()).path, layers))
    values = {"template": "ollama", "data": str(material().rows), "steps": 8, "rank": 8, "eval_split": 0.2}
    stores, out = [directory / "store"], directory / "out"
    train(make_recipe({"model": name, **values}), out, Home(directory), stores)
    base = resolve(name, Home(directory), stores)
    bench = Bench(out, read_adapter(out), base, material_of(out, base), directory, ignore)
    return Trained(directory, base, bench, compare(bench))


def test_what_llama_cpp_computes_is_what_was_trained(trained: Trained):
    told = {line.what: line.verdict for line in trained.made.lines}

    assert "broken" not in told.values()
    judged = {"weights_base", "weights_tuned", "weights_merged", "engine", "engine_merged", "kept", "error"}
    assert {what for what, verdict in told.items() if verdict == "ok"} == judged


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_was_trained_on_the_blob_is_what_ollama_answers(generation: str, trained: Trained):
    base, bench, made = trained.base, trained.bench, trained.made
    with ollama_standin(trained.directory / "store", generation) as server:
        done = register(bench.path, base, Wish("mine", force=True), server.address, bench.workshop)
        side = made.beside if done.route == "adapter" else made.merged
        said = ask(Served(server.address, "mine"), bench.material, side, made.plain, ignore)

        listed = {tag.name for tag in client.models(server.address)}
        assert listed == {base.name.removeprefix("ollama:"), "mine:latest"}

    merged = generation == "refuses" or ("gemma3" in base.name and generation != "adapters")
    assert done.route == ("merged" if merged else "adapter")
    told = {line.what: line.verdict for line in said.lines}
    assert "broken" not in told.values() and told["prompt"] == "ok"
    assert said.answers and said.answers != made.base_answers
    if GENERATIONS[generation].logprobs:
        assert (told["served"], told["nearer"]) == ("ok", "ok")
