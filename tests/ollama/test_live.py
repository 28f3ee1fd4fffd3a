"""The round trip on a true Ollama server: `OLLAMA_HOST=127.0.0.1:11434 make test`. It leaves nothing there."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from llmlora.certify.proof import certify
from llmlora.chat.engine import Sampling
from llmlora.chat.served import Made, Wanted, find_served
from llmlora.errors import OllamaFailed
from llmlora.export.ollama import Wish, register
from llmlora.export.registered import UNFINISHED
from llmlora.model.source import resolve
from llmlora.ollama import client
from llmlora.paths import Home
from llmlora.settings import read_settings
from llmlora.train.run import train
from tests.small_run import small_recipe

LIVE = os.environ.get("OLLAMA_HOST", "")  # as it is before any test begins
pytestmark = pytest.mark.skipif(not LIVE, reason="OLLAMA_HOST names no Ollama server")
NAME, SMOL = "llmlora-live-test", "sample:smollm2-135m"


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("OLLAMA_HOST", LIVE)
    told = read_settings().ollama_address
    yield told
    with suppress(OllamaFailed):  # it never came that far
        client.delete(told, NAME)


def test_an_adapter_is_registered_proved_and_answers(address: str, sample_home: Home, tmp_path: Path):
    recipe = small_recipe(tmp_path, model=SMOL, steps=4, save_every=4, learning_rate=1e-3)
    train(recipe, tmp_path / "out", sample_home)
    base = resolve(SMOL, sample_home, ())

    done = register(tmp_path / "out", base, Wish(NAME), address, tmp_path / "shop")
    certificate = certify(tmp_path / "out", base, tmp_path / "shop", address)
    wanted = Wanted(base, Made(done.name, done.digest), ("tuned",))
    with find_served(address, wanted, "ollama") as dialogue:
        answer = "".join(dialogue.ask("What is 2 plus 2?", Sampling(max_tokens=16, temperature=0)))

    assert [str(line.title) for line in certificate.broken] == []
    assert dialogue.engine_name() == f"Ollama {done.version} ({NAME}:latest)"
    assert answer
    names = [tag.name for tag in client.models(address)]
    assert f"{NAME}:latest" in names
    assert not any(UNFINISHED in name for name in names)
