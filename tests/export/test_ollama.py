"""An adapter becomes a model in Ollama: by the route that works there, whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from llmlora.errors import BadModelName, ModelNameTaken, NoGguf, OllamaFailed, OllamaUnreachable
from llmlora.export.ollama import Wish, register
from llmlora.export.registered import UNFINISHED, Registered, last_registered
from llmlora.model.source import resolve
from llmlora.ollama import client
from tests.blob_run import LICENSE, NAME, BlobRun, blob_run
from tests.ollama.standin.faults import Answer, Cut, Fault, Leave, redirect
from tests.ollama.standin.generations import GENERATIONS
from tests.ollama.standin.server import StandIn, ollama_standin
from tests.tiny_hf import tiny_hf

ROUTES = {"adapters": "adapter", "fails-at-load": "merged", "refuses": "merged", "stream-errors": "merged"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> BlobRun:
    """A run on gemma3, which the older servers load no adapter for."""
    return blob_run(tmp_path_factory.mktemp("gemma3"), "gemma3")


@pytest.fixture
def run(trained: BlobRun, tmp_path: Path) -> BlobRun:
    return trained.copy(tmp_path)


@pytest.fixture
def server(run: BlobRun) -> Iterator[StandIn]:
    with ollama_standin(run.store, "adapters") as running:
        yield running


def registered(run: BlobRun, server: StandIn, name: str = "mine", tmp: str = "shop", **wish: object) -> Registered:
    return register(run.out, run.base, Wish(name, **wish), server.address, run.out.parent / tmp)


def names(server: StandIn) -> set[str]:
    return {str(name) for name in server.store.names()}


def said(server: StandIn, name: str) -> str:
    options = {"num_predict": 12, "temperature": 0}
    return "".join(piece.text for piece in client.generate(server.address, name, "What is 2 plus 2?", options))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_each_generation_gets_the_adapter_by_the_route_that_works_there(generation: str, run: BlobRun):
    with ollama_standin(run.store, generation) as server:
        done = registered(run, server)

        assert (done.route, done.version) == (ROUTES[generation], GENERATIONS[generation].version)
        assert bool(done.why) == (done.route == "merged")
        assert names(server) == {NAME, "mine:latest"}
        assert said(server, "mine") != said(server, NAME)
        assert (done, done.digest) == (
            last_registered(run.out),
            "sha256:" + next(tag.digest for tag in client.models(server.address) if tag.name == "mine:latest"),
        )


@pytest.mark.parametrize("generation", ["adapters", "refuses"])
def test_the_model_keeps_what_its_base_says_and_adds_where_it_comes_from(generation: str, run: BlobRun):
    with ollama_standin(run.store, generation) as server:
        registered(run, server, label="my job")

        told = client.show(server.address, "mine")
        assert [one for one in told.modelfile.splitlines() if one.startswith("PARAMETER")] == [
            "PARAMETER stop <|im_end|>",
            "PARAMETER top_k 7",
        ]
        assert told.template == client.show(server.address, NAME).template
        license_text = told.license
        assert license_text.startswith(LICENSE.decode())
        assert "Made with llmlora as mine:latest" in license_text.splitlines()
        assert all(part in license_text for part in ("my job", f"ollama:{NAME}", run.base.digest))


def test_a_model_that_is_not_ours_is_replaced_only_by_force(run: BlobRun, server: StandIn):
    registered(run, server, "first")
    client.copy(server.address, "first", "copied")
    client.copy(server.address, NAME, "theirs")
    before = client.models(server.address)

    for name in ("theirs", "Theirs:Latest", "copied", NAME):
        with pytest.raises(ModelNameTaken):
            registered(run, server, name)
    assert client.models(server.address) == before

    registered(run, server, "first")  # ours: no force is needed
    registered(run, server, "theirs", force=True)
    assert said(server, "theirs") == said(server, "first")


BAD = ("", "a b", "日本語", "../up", "a/b/c/d/e", "a:b:c", "-x", "a" * 81, f"{UNFINISHED}/x", f"{UNFINISHED.upper()}/x")


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_a_name_is_refused_before_anything_is_asked(name: str, run: BlobRun, server: StandIn):
    with pytest.raises(BadModelName):
        registered(run, server, name)

    assert server.seen == []


@pytest.mark.parametrize("name", ["me/mine", "me/mine:v1.0", "host.example:5000/me/mine:x", "M_1-a.b:8B"])
def test_names_with_slashes_and_colons_are_names(name: str, run: BlobRun, server: StandIn):
    done = registered(run, server, name)

    assert done.name in names(server)
    assert done.name.lower().removesuffix(":latest") == name.lower()


# each request of the whole way that has an answer to cut, and after how many of its lines
WAY = [
    *(Cut(path="/api/create", lines=lines) for lines in range(6)),
    *(Leave(path=path) for path in ("/api/version", "/api/tags", "/api/show", "/api/blobs", "/api/generate")),
    Leave(path="/api/create", lines=2),
    Answer(path="/api/copy", status=500, body=b'{"error":"disk full"}'),
]


@pytest.mark.parametrize("fault", WAY, ids=lambda fault: f"{type(fault).__name__}-{fault.path}-{fault.lines}")
def test_a_cut_anywhere_leaves_nothing_half_registered(fault: Fault, run: BlobRun):
    with ollama_standin(run.store, "adapters") as server:
        registered(run, server)
        old = client.show(server.address, "mine")
        server.faults.append(replace(fault))

        with pytest.raises((OllamaUnreachable, OllamaFailed)):
            registered(run, server)

    with ollama_standin(run.store, "adapters") as server:  # started again
        if not isinstance(fault, Leave):
            assert names(server) == {NAME, "mine:latest"}
        assert client.show(server.address, "mine") == old
        registered(run, server)
        assert names(server) == {NAME, "mine:latest"}


@pytest.mark.parametrize("phase", ["asking", "uploading", "creating", "loading", "merging", "naming"])
def test_whoever_stops_listening_ends_it_and_nothing_is_left(phase: str, run: BlobRun):
    def stop(now: str, _done: int, _total: int) -> None:
        if now == phase:
            raise KeyboardInterrupt

    with ollama_standin(run.store, "fails-at-load") as server:
        with pytest.raises(KeyboardInterrupt):
            register(run.out, run.base, Wish("mine"), server.address, run.out.parent / "shop", stop)

        assert names(server) == {NAME}
        assert last_registered(run.out) is None


def test_an_error_line_in_a_stream_that_began_well_is_a_failure(run: BlobRun):
    with ollama_standin(run.store, "refuses") as server:
        lines = [{"status": "parsing GGUF"}, {"error": "no space left on device"}, {"status": "success"}]
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        server.faults.extend([Answer(path="/api/create", status=400, body=b'{"error":"no adapters"}')])
        server.faults.extend([Answer(path="/api/create", body=body)])

        with pytest.raises(OllamaFailed, match="no space left on device"):
            registered(run, server)

        assert names(server) == {NAME}


def test_a_server_that_drops_the_adapter_without_a_word_is_not_believed(run: BlobRun, server: StandIn):
    shown = {"modelfile": "FROM /blobs/sha256-00", "template": ""}
    lie = Answer(path="/api/show", body=json.dumps(shown).encode())
    server.faults.extend([lie, lie])  # of its base: other bytes; of what it has made

    done = registered(run, server)

    assert done.route == "merged"
    assert "without the adapter" in str(done.why)
    assert [seen.json.get("from") for seen in server.seen if seen.path == "/api/create"] == [None, None]


def test_a_base_that_the_server_has_under_another_name_is_not_sent_again(run: BlobRun, server: StandIn):
    client.copy(server.address, NAME, "renamed")
    client.delete(server.address, NAME)
    base = resolve("ollama:renamed", run.home, [run.store])
    client.copy(server.address, "renamed", "kept")
    client.delete(server.address, "renamed")

    register(run.out, base, Wish("mine"), server.address, run.out.parent / "shop")

    uploads = [seen.path for seen in server.seen if seen.method == "POST" and "/blobs/" in seen.path]
    assert [path for path in uploads if base.digest in path] == []


@pytest.mark.parametrize("recipe", [{"dora": True}])
def test_dora_goes_merged_at_once(recipe, tmp_path: Path):
    run = blob_run(tmp_path, **recipe)
    with ollama_standin(run.store, "adapters") as server:
        done = registered(run, server)

        assert (done.route, str(done.why)) == ("merged", "a DoRA adapter only works merged into its base")
        assert [seen.json.get("adapters") for seen in server.seen if seen.path == "/api/create"] == [None]


def test_a_file_that_ollama_does_not_have_is_sent_and_its_licence_with_it(run: BlobRun, tmp_path: Path):
    with ollama_standin(tmp_path / "empty", "adapters") as server:
        done = registered(run, server)

        assert done.route == "adapter"
        assert names(server) == {"mine:latest"}
        assert LICENSE.decode() in client.show(server.address, "mine").license


def test_what_a_kill_left_is_swept_once_it_is_old(run: BlobRun, server: StandIn):
    for model in ("old", "young"):
        client.copy(server.address, NAME, f"{UNFINISHED}/{model}")
    old = server.store.root / "manifests" / "registry.ollama.ai" / UNFINISHED / "old" / "latest"
    os.utime(old, (0, 0))

    registered(run, server)

    assert names(server) == {NAME, "mine:latest", f"{UNFINISHED}/young:latest"}


@pytest.mark.parametrize("path", ["/api/version", "/api/tags", "/api/show", "/api/blobs", "/api/create", "/api/copy"])
def test_no_other_address_is_ever_asked(path: str, run: BlobRun, server: StandIn, tmp_path: Path):
    with ollama_standin(tmp_path / "elsewhere", "adapters") as other:
        server.faults.extend([redirect(path, f"{other.address}{path}")] * 9)

        with suppress(OllamaFailed):  # a question that decides nothing may stay open
            registered(run, server)

        assert other.seen == []
        assert {seen.host for seen in server.seen} == {server.address.removeprefix("http://")}


def test_a_hugging_face_base_is_refused_with_the_way(run: BlobRun, server: StandIn, tmp_path: Path):
    tiny_hf(tmp_path / "hf")
    base = resolve(f"hf:{tmp_path / 'hf'}", run.home, ())

    with pytest.raises(NoGguf):
        register(run.out, base, Wish("mine"), server.address, tmp_path)

    assert server.seen == []
