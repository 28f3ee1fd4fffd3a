"""The client: what Ollama says is understood, and whatever else may answer there does no harm."""

import pytest

from llmlora.errors import OllamaFailed, OllamaUnreachable
from llmlora.ollama import client, transport
from tests.ollama.scripted import ollama_server


@pytest.fixture
def ollama():
    with ollama_server() as running:
        yield running


def test_version_and_models_are_read(ollama):
    ollama.tags = [{"name": "llama3.2:1b", "model": "llama3.2:1b", "size": 5, "details": {"family": "llama"}}]

    assert client.version(ollama.address) == "0.36.1"
    assert [(tag.name, tag.size) for tag in client.models(ollama.address)] == [("llama3.2:1b", 5)]


def test_a_download_tells_how_far_it_is(ollama):
    told = list(client.pull(ollama.address, "tiny:latest"))

    assert ollama.asked == [("/api/pull", {"model": "tiny:latest"})]
    assert client.Progress("pulling 0123456789ab", 40, 100) in told
    assert told[-1].status == "success"


def test_a_slow_download_is_told_line_by_line(ollama):
    ollama.gate.clear()
    told = client.pull(ollama.address, "tiny")

    first = next(told)
    ollama.gate.set()

    assert first.status == "pulling manifest"
    assert [line.status for line in told][-1] == "success"


def test_an_error_inside_a_stream_that_began_well_is_an_error(ollama):
    ollama.steps = [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}]

    with pytest.raises(OllamaFailed, match="file does not exist"):
        list(client.pull(ollama.address, "tiny"))


def test_a_stream_that_ends_without_success_is_an_error(ollama):
    ollama.steps = ollama.steps[:2]

    with pytest.raises(OllamaFailed, match="ended early"):
        list(client.pull(ollama.address, "tiny"))


def test_a_refusal_is_told_in_ollamas_words_and_nothing_else_is(ollama):
    ollama.status, ollama.error = 400, b'{"error": "invalid model\\u001b[2J name"}'
    with pytest.raises(OllamaFailed, match=r"invalid model\[2J name"):
        list(client.pull(ollama.address, "tiny"))

    ollama.status, ollama.error = 403, b"<p>secret page</p>"
    with pytest.raises(OllamaFailed, match="status 403") as caught:
        client.version(ollama.address)
    assert "secret" not in str(caught.value)


def test_a_redirect_is_not_followed(ollama):
    with ollama_server() as other:
        ollama.status, ollama.error = 302, b""
        ollama.headers = {"location": f"{other.address}/api/version"}

        with pytest.raises(OllamaFailed, match="status 302"):
            client.version(ollama.address)

        assert other.asked == []


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"version": 7}', b'{"version": "' + b"9" * 200 + b'"}', b""])
def test_what_is_not_ollama_is_recognised(ollama, body):
    ollama.version = body

    with pytest.raises(OllamaFailed, match="does not speak as Ollama"):
        client.version(ollama.address)


def test_answers_are_bounded(ollama, monkeypatch):
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 10)
    with pytest.raises(OllamaFailed, match="longer than 10 bytes"):
        client.version(ollama.address)

    monkeypatch.setattr(transport, "MAX_LINE_BYTES", 10)
    ollama.version, ollama.steps = b"", [{"status": "s" * 2**20}]
    with pytest.raises(OllamaFailed, match="a line of its answer"):
        list(client.pull(ollama.address, "tiny"))


def test_an_answer_that_drips_is_given_up(ollama, monkeypatch):
    ticks = iter(range(0, 1000, 100))
    monkeypatch.setattr(transport.time, "monotonic", lambda: float(next(ticks)))

    with pytest.raises(OllamaFailed, match="took longer"):
        client.version(ollama.address)


def test_silence_is_unreachable(ollama, monkeypatch):
    ollama.gate.clear()
    monkeypatch.setattr(transport, "SILENCE_SECONDS", 0.05)

    with pytest.raises(OllamaUnreachable):
        list(client.pull(ollama.address, "tiny"))


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70",
        "http://169.254.169.254",
        "http://2852039166",
        "http://[::ffff:169.254.169.254]",
        "http://100.100.100.200",
        "http://[fe80::1%25lo]:11434",
        "http://127.0.0.1:99999",
        "http://[",
        "",
    ],
)
def test_addresses_that_are_no_ollamas_are_not_even_tried(address, monkeypatch):
    if address != "http://127.0.0.1:1":
        monkeypatch.setattr(transport.httpx.Client, "send", lambda *_, **__: pytest.fail("it was tried"))

    with pytest.raises(OllamaUnreachable):
        client.version(address)


def test_a_proxy_of_the_environment_is_not_used(ollama, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert client.version(ollama.address) == "0.36.1"


def test_a_name_is_looked_up_once_and_its_addresses_are_tried_in_turn(ollama, monkeypatch):
    port, real, asked = int(ollama.address.rpartition(":")[2]), transport.socket.getaddrinfo, []

    def look_up(host, *rest, **options):
        if host != "ollama.example":
            return real(host, *rest, **options)
        asked.append(host)
        safe, secret = ("127.0.0.9", "127.0.0.1"), ("169.254.169.254",)
        return [(2, 1, 6, "", (number, port)) for number in (safe if len(asked) == 1 else secret)]

    monkeypatch.setattr(transport.socket, "getaddrinfo", look_up)

    assert client.version(f"http://ollama.example:{port}") == "0.36.1"
    assert asked == ["ollama.example"]
    assert ollama.hosts == [f"ollama.example:{port}"]
    with pytest.raises(OllamaUnreachable):
        client.version(f"http://ollama.example:{port}")
