"""A pull job: it tells how far it is, ends when it is asked to, and fails in Ollama's words."""

import pytest

from llmlora.errors import OllamaFailed
from llmlora.jobs.pull import pull
from tests.ollama.scripted import ollama_server


@pytest.fixture
def ollama():
    with ollama_server() as running:
        yield running


def test_every_change_of_status_is_told_and_the_model_comes_out(ollama):
    told = []

    result = pull({"model": "tiny:latest", "ollama_address": ollama.address}, told.append, lambda: False)

    assert result == {"model": "tiny:latest"}
    assert {"event": "progress", "step": 0, "text": "pulling 0123456789ab", "done": 40, "total": 100} in told
    assert [event["text"] for event in told] == list(dict.fromkeys(step["status"] for step in ollama.steps))


def test_a_fast_download_is_not_told_byte_by_byte(ollama):
    told = []
    flood = [{"status": "pulling 01", "total": 10_000, "completed": number} for number in range(2000)]
    ollama.steps = [*flood, {"status": "success"}]

    pull({"model": "tiny", "ollama_address": ollama.address}, told.append, lambda: False)

    assert 2 <= len(told) < 50


def test_it_ends_when_it_is_asked_to(ollama):
    told = []

    assert pull({"model": "tiny", "ollama_address": ollama.address}, told.append, lambda: len(told) == 1) is None
    assert len(told) == 1


def test_what_ollama_refuses_fails_the_job(ollama):
    ollama.steps = [{"error": "file does not exist"}]

    with pytest.raises(OllamaFailed, match="file does not exist"):
        pull({"model": "tiny", "ollama_address": ollama.address}, [].append, lambda: False)
