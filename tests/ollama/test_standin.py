"""The client and the stand-in: every call of ours against a server with a real store and a real engine."""

import hashlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import httpx
import psutil
import pytest

from llmlora.errors import OllamaFailed, OllamaUnreachable
from llmlora.ollama import client
from llmlora.ollama.names import Name
from llmlora.ollama.store import find
from tests.chat.test_engine import random_adapter
from tests.ollama.standin.faults import Answer, Cut, Hang, Leave, redirect
from tests.ollama.standin.generations import GENERATIONS
from tests.ollama.standin.pull import Published, fill
from tests.ollama.standin.server import StandIn, ollama_standin
from tests.tiny import tiny_gguf

GREEDY = {"temperature": 0, "num_predict": 3}
HELLO = [{"role": "user", "content": "Hello"}]
LICENSE = 'Say "yes".\nFROM /etc/passwd\nADAPTER /etc/shadow\n'
SYSTEM = "Be kind.\nRENDERER evil\n"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="module")
def adapter(tiny: Path) -> Path:
    return random_adapter(tiny, tiny.with_name("adapter.gguf"), size=1.0)


@pytest.fixture(scope="module")
def catalogue(tiny: Path) -> dict[str, Published]:
    layers = {"params": b'{"stop":["<|im_end|>"],"temperature":0.5}\n', "license": LICENSE.encode()}
    return {"tiny": Published(tiny, {**layers, "system": SYSTEM.encode()})}


@pytest.fixture
def start(tmp_path: Path, catalogue: dict[str, Published]):
    """A server that has the tiny model."""

    def started(generation="adapters", **options):
        server = ollama_standin(tmp_path / "models", generation, **{"catalogue": catalogue, **options})
        running = server.__enter__()
        servers.append(server)
        fill(running.store, "tiny", catalogue["tiny"])
        return running

    servers = []
    yield started
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, catalogue: dict[str, Published]) -> Iterator[StandIn]:
    """A server for tests that change nothing."""
    with ollama_standin(tmp_path_factory.mktemp("ollama"), "adapters") as running:
        fill(running.store, "tiny", catalogue["tiny"])
        yield running


@pytest.fixture
def ollama(start) -> StandIn:
    return start()


def upload(ollama: StandIn, file: Path) -> str:
    digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    client.put_blob(ollama.address, digest, file)
    return digest


def created(ollama: StandIn, **request) -> list[str]:
    return [line.status for line in client.create(ollama.address, request)]


def text(pieces: Iterator[client.Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def test_a_model_is_pulled_listed_and_read_from_its_store(ollama, catalogue, tiny):
    client.delete(ollama.address, "tiny")

    told = list(client.pull(ollama.address, "tiny"))

    size = tiny.stat().st_size
    assert [line.completed for line in told if line.total == size][-1] == size
    assert [line.status for line in told][-3:] == ["verifying sha256 digest", "writing manifest", "success"]
    (tag,) = client.models(ollama.address)
    manifest = (ollama.store.manifests / "registry.ollama.ai/library/tiny/latest").read_bytes()
    assert (tag.name, tag.digest) == ("tiny:latest", hashlib.sha256(manifest).hexdigest())
    path, digest = find(Name.parse("tiny"), [ollama.store.root]).gguf()
    assert path.read_bytes() == tiny.read_bytes()
    assert digest == f"sha256:{hashlib.sha256(tiny.read_bytes()).hexdigest()}"


def test_a_broken_download_goes_on_where_it_was(ollama):
    client.delete(ollama.address, "tiny")
    ollama.faults.append(Cut(path="/api/pull", lines=3))

    with pytest.raises(OllamaUnreachable):
        list(client.pull(ollama.address, "tiny"))

    told = list(client.pull(ollama.address, "tiny"))
    assert next(line for line in told if line.total).completed > 0
    assert ollama.store.orphans() == set()


def test_what_is_quoted_in_a_modelfile_is_no_command(shared):
    shown = client.show(shared.address, "tiny")

    assert LICENSE in shown.modelfile
    assert SYSTEM in shown.modelfile
    assert [Path(path).parent for path in shown.commands("FROM")] == [shared.store.blobs]
    assert (shown.commands("ADAPTER"), shown.commands("RENDERER")) == ([], [])
    assert "<|im_start|>" in shown.template
    assert shown.capabilities == ["completion"]


def test_a_model_is_made_of_another_and_keeps_what_is_not_replaced(ollama):
    lines = created(
        ollama,
        model="mine",
        **{"from": "tiny"},
        template="{{ .Prompt }}!",
        system="New.",
        parameters={"temperature": 0.1},
        license="Mine too",
    )

    assert lines[-2:] == ["writing manifest", "success"]
    stored = find(Name.parse("mine"), [ollama.store.root])
    assert [layer.kind for layer in stored.manifest.layers].count("license") == 2
    assert stored.template() == "{{ .Prompt }}!"
    assert json.loads(stored.params()) == {"stop": ["<|im_end|>"], "temperature": 0.1}
    assert client.show(ollama.address, "mine").template == "{{ .Prompt }}!"
    assert stored.gguf() == find(Name.parse("tiny"), [ollama.store.root]).gguf()


def test_deleting_removes_what_no_other_model_has(ollama, adapter):
    created(ollama, model="mine", **{"from": "tiny"}, adapters={"a.gguf": upload(ollama, adapter)})
    client.copy(ollama.address, "mine", "again:v1")
    client.delete(ollama.address, "mine")
    client.delete(ollama.address, "tiny")
    assert [tag.name for tag in client.models(ollama.address)] == ["again:v1"]
    assert client.show(ollama.address, "again:v1").commands("ADAPTER")

    client.delete(ollama.address, "again:v1")

    assert client.models(ollama.address) == []
    assert list(ollama.store.blobs.iterdir()) == []


def test_making_a_model_anew_leaves_nothing_of_the_old_one(ollama):
    created(ollama, model="mine", **{"from": "tiny"}, system="One.")
    created(ollama, model="mine", **{"from": "tiny"}, system="Two.")

    assert ollama.store.orphans() == set()


def test_a_file_is_uploaded_once_and_must_be_what_it_says(ollama, adapter):
    told: list[tuple[int, int]] = []
    digest = f"sha256:{hashlib.sha256(adapter.read_bytes()).hexdigest()}"
    assert not client.has_blob(ollama.address, digest)

    client.put_blob(ollama.address, digest, adapter, lambda done, total: told.append((done, total)))
    client.put_blob(ollama.address, digest, adapter, lambda *_: pytest.fail("it is there"))

    size = adapter.stat().st_size
    assert told[-1] == (size, size)
    assert client.has_blob(ollama.address, digest)
    with pytest.raises(OllamaFailed, match="digest mismatch"):
        client.put_blob(ollama.address, "sha256:" + "0" * 64, adapter)
    with pytest.raises(OllamaFailed, match="status 400"):
        client.has_blob(ollama.address, "sha256:7")


def test_an_adapter_changes_what_the_model_says(ollama, adapter):
    lines = created(ollama, model="mine", **{"from": "tiny"}, adapters={"a.gguf": upload(ollama, adapter)})

    assert "parsing GGUF" in lines
    (path,) = client.show(ollama.address, "mine").commands("ADAPTER")
    assert Path(path).read_bytes() == adapter.read_bytes()
    base, tuned = (
        [position for piece in told for position in piece.logprobs]
        for told in (
            list(client.generate(ollama.address, name, "Hello", GREEDY, top_logprobs=20)) for name in ("tiny", "mine")
        )
    )
    assert len(base) == GREEDY["num_predict"]
    assert all(len(position.top_logprobs) == 20 for position in base)
    assert base[0].logprob == base[0].top_logprobs[0].logprob
    assert abs(base[0].logprob - tuned[0].logprob) > 0.01


def test_some_create_adapters_that_fail_at_load(start, adapter):
    generation = replace(GENERATIONS["fails-at-load"], no_adapters_for=frozenset({"llama"}))
    ollama = start(generation)
    assert created(ollama, model="mine", **{"from": "tiny"}, adapters={"a": upload(ollama, adapter)})[-1] == "success"

    with pytest.raises(OllamaFailed, match="loras are not yet implemented"):
        list(client.generate(ollama.address, "mine", "Hello", GREEDY))

    assert text(client.generate(ollama.address, "tiny", "Hello", GREEDY))


def test_the_newest_refuses_adapters_and_wraps_merged_files_as_they_are(start, adapter, tiny):
    ollama = start("refuses")
    lora, merged = upload(ollama, adapter), upload(ollama, tiny)
    with pytest.raises(OllamaFailed, match="LoRA adapters are no longer supported"):
        created(ollama, model="", **{"from": "nothing"}, adapters={"a.gguf": lora})
    with pytest.raises(OllamaFailed, match=r"a\.gguf is a LoRA adapter"):
        created(ollama, model="mine", files={"a.gguf": lora})

    lines = created(ollama, model="mine", files={"m.gguf": merged})

    assert lines == ["parsing GGUF", f"using existing layer {merged}", "writing manifest", "success"]
    assert find(Name.parse("mine"), [ollama.store.root]).gguf()[1] == merged


def test_some_go_on_after_an_error_and_leave_half_a_model(start):
    ollama = start("stream-errors", catalogue={})

    lines = httpx.post(f"{ollama.address}/api/create", json={"model": "mine", "from": "missing"}).text.splitlines()

    assert [next(iter(json.loads(line))) for line in lines] == ["status", "error", "status", "status"]
    assert json.loads(lines[-1]) == {"status": "success"}
    with pytest.raises(OllamaFailed, match="file does not exist"):
        created(ollama, model="mine", **{"from": "missing"})


def test_others_end_with_the_error(ollama):
    with pytest.raises(OllamaFailed, match="file does not exist"):
        created(ollama, model="mine", **{"from": "missing"})

    assert [tag.name for tag in client.models(ollama.address)] == ["tiny:latest"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"model": "a b", "from": "tiny"}, "invalid model name"),
        ({"model": "mine"}, "neither 'from' or 'files'"),
        ({"model": "mine", "files": {"../a": "sha256:" + "0" * 64}}, "must be relative"),
        ({"model": "mine", "files": {"a": "sha256:7"}}, "invalid digest"),
        ({"model": "mine", "files": {"a": "sha256:" + "0" * 64}}, "no such file"),
        ({"model": "mine", "from": "tiny", "quantize": "q8_0"}, "quantization"),
    ],
)
def test_what_cannot_be_made_is_refused_in_words(shared, request_, words):
    with pytest.raises(OllamaFailed, match=words):
        created(shared, **request_)


def test_a_conversation_is_rendered_and_answered(shared):
    prompt = client.render(shared.address, "tiny", HELLO)
    told = list(client.chat(shared.address, "tiny", HELLO, GREEDY))

    assert (
        prompt == f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )
    assert text(told) == text(client.generate(shared.address, "tiny", prompt, GREEDY)) != ""
    assert (told[-1].done, told[-1].done_reason) == (True, "length")
    assert told[-1].prompt_tokens > len("Hello")


def test_a_go_template_writes_the_prompt_unless_the_files_own_can_do_more(ollama, tiny):
    created(ollama, model="mine", **{"from": "tiny"}, template="{{ .System }}|{{ .Prompt }}>")
    able = tiny_gguf(tiny.with_name("able.gguf"), template="{{ messages[-1].content }}{% if tools %}…{% endif %}")
    fill(ollama.store, "able", Published(able, {"template": b"never"}))

    assert client.render(ollama.address, "mine", HELLO) == f"{SYSTEM}|Hello>"
    assert client.render(ollama.address, "able", HELLO) == "Hello"
    assert client.show(ollama.address, "able").capabilities == ["completion", "tools"]
    with pytest.raises(OllamaFailed, match="template error"):
        created(ollama, model="mine", **{"from": "tiny"}, template="{{ .System ")


def test_before_llama_server_no_jinja_was_used(start):
    ollama = start("fails-at-load")

    assert client.render(ollama.address, "tiny", HELLO) == "Hello"
    assert client.show(ollama.address, "tiny").template == "{{ .Prompt }}"


def test_an_old_server_answers_instead_of_rendering(start):
    ollama = start(replace(GENERATIONS["adapters"], shows_prompt=False))

    assert client.render(ollama.address, "tiny", HELLO) is None


def test_a_renderer_of_the_config_writes_the_prompt(start, tiny):
    ollama = start(renderers={"loud": lambda turns: turns[-1]["content"].upper()})
    fill(ollama.store, "loud", Published(tiny, config={"renderer": "loud"}))

    assert client.render(ollama.address, "loud", HELLO) == "HELLO"
    assert client.show(ollama.address, "loud").commands("RENDERER") == ["loud"]


def test_options_are_kept_to(shared):
    whole = text(client.generate(shared.address, "tiny", "Hello", {**GREEDY, "num_predict": 8}))
    stopped = list(client.generate(shared.address, "tiny", "Hello", {**GREEDY, "stop": [whole[0]]}))

    assert len(whole) == 8
    assert (text(stopped), stopped[-1].done_reason) == ("", "stop")
    wild = [
        text(
            client.generate(
                shared.address, "tiny", "A", {"seed": n, "temperature": 9, "top_k": 0, "top_p": 1, "num_predict": 8}
            )
        )
        for n in (1, 1, 2)
    ]
    assert wild[0] == wild[1] != wild[2]


def test_memory_is_told_and_freed(ollama):
    assert client.running(ollama.address) == []
    text(client.generate(ollama.address, "tiny", "Hello", GREEDY))
    assert [one.name for one in client.running(ollama.address)] == ["tiny:latest"]

    client.copy(ollama.address, "tiny", "other")
    client.delete(ollama.address, "tiny")
    assert [one.name for one in client.running(ollama.address)] == ["tiny:latest"]
    text(client.generate(ollama.address, "other", "Hello", GREEDY))
    client.unload(ollama.address, "other")
    client.copy(ollama.address, "other", "tiny")
    client.unload(ollama.address, "tiny")

    assert client.running(ollama.address) == []


def test_an_answer_can_be_left_in_the_middle(shared):
    with closing(client.generate(shared.address, "tiny", "Hello", {"temperature": 0})) as told:
        assert next(told).text

    assert text(client.generate(shared.address, "tiny", "Hello", GREEDY))


def test_nothing_is_left_running(tmp_path, catalogue):
    before = psutil.Process().children()
    with ollama_standin(tmp_path / "models") as ollama:
        fill(ollama.store, "tiny", catalogue["tiny"])
        text(client.generate(ollama.address, "tiny", "Hello", GREEDY))
        children = set(psutil.Process().children()) - set(before)
        assert children

    assert not any(child.is_running() for child in children)
    with pytest.raises(OllamaUnreachable):
        client.version(ollama.address)


@pytest.mark.trip
def test_the_command_serves_the_samples_until_it_is_ended():
    command = [sys.executable, "-m", "tests.ollama.standin", "--port", "0", "--generation", "adapters"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        told = "".join(takewhile(lambda line: "Ctrl-C" not in line, process.stdout))
        address, store = re.search("OLLAMA_HOST=(.*) OLLAMA_MODELS=(.*)", told).groups()
        question = [{"role": "user", "content": "What is the capital of Japan?"}]
        said = text(client.chat(address, "smollm2:135m", question, {"temperature": 0, "num_predict": 16}))
        found = {tag.name for tag in client.models(address)}
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert "not Ollama" in told
    assert "Tokyo" in said
    assert found == {"smollm2:135m", "gemma3:270m"}
    assert (process.returncode, rest.strip(), Path(store).exists()) == (0, "", False)


@pytest.mark.parametrize(
    "call",
    [
        client.show,
        client.delete,
        lambda *asked: list(client.generate(*asked, "x", {})),
        lambda *asked: list(client.chat(*asked, HELLO, {})),
    ],
)
def test_an_unknown_model_is_not_found(shared, call):
    with pytest.raises(OllamaFailed, match=r"model 'nothing(:latest)?' not found"):
        call(shared.address, "nothing")


def test_a_blob_that_lies_fails_at_load(ollama, tiny):
    (layer, *_) = find(Name.parse("tiny"), [ollama.store.root]).manifest.layers
    whole = tiny.read_bytes()
    for lie, words in (
        (b"no model" * 9, "GGUF"),
        (whole.replace(b"attn_q.weight", b"attn_x.weight"), "terminated: .*attn_q"),
    ):
        ollama.store.lie(layer.digest, lie)
        with pytest.raises(OllamaFailed, match=words):
            list(client.generate(ollama.address, "tiny", "Hello", GREEDY))

    assert tiny.read_bytes() == whole


def test_a_cut_answer_is_a_broken_connection(ollama):
    for fault in (Cut(path="/api/create", lines=1), Cut(path="/api/create", nbytes=5)):
        ollama.faults.append(fault)
        with pytest.raises(OllamaUnreachable):
            created(ollama, model="mine", **{"from": "tiny"})
    assert ollama.faults == []


def test_a_server_that_leaves_is_gone(ollama):
    ollama.faults.append(Leave(path="/api/create", lines=1))

    with pytest.raises(OllamaUnreachable):
        created(ollama, model="mine", **{"from": "tiny"})

    with pytest.raises(OllamaUnreachable):
        client.version(ollama.address)


def test_a_hanging_answer_comes_when_it_is_released(ollama):
    hang = Hang(path="/api/create", lines=1)
    ollama.faults.append(hang)
    told = client.create(ollama.address, {"model": "mine", "from": "tiny"})
    next(told)

    assert hang.reached.wait(10)
    hang.released.set()

    assert [line.status for line in told][-1] == "success"


def test_another_answer_can_be_put_in_the_place_of_one(ollama):
    ollama.faults.append(redirect("/api/version", "http://127.0.0.1:1/"))
    ollama.faults.append(Answer(path="/api/version", body=b"<html>"))

    with pytest.raises(OllamaFailed, match="status 302"):
        client.version(ollama.address)
    with pytest.raises(OllamaFailed, match="does not speak"):
        client.version(ollama.address)
    assert client.version(ollama.address) == "0.33.0"
    assert [seen.path for seen in ollama.seen] == ["/api/version"] * 3


@pytest.mark.parametrize(
    ("host", "status"),
    [("ollama:11434", 403), ("evil.example", 403), ("localhost", 200), ("10.0.0.7:80", 200), ("[::1]:1", 200)],
)
def test_a_foreign_name_is_forbidden(shared, host, status):
    answer = httpx.get(f"{shared.address}/api/version", headers={"host": host})

    assert (answer.status_code, bool(answer.content)) == (status, status == 200)
