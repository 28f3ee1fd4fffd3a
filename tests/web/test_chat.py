"""Conversations in the browser: answers stream, both sides stand beside each other, and nothing is lost."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from llmlora.api.context import Context
from llmlora.paths import Home
from llmlora.settings import read_settings
from llmlora.store.database import Database
from tests.api.server import Serving, serving
from tests.api.trained import trained_job


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A data directory without Ollama."""
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_MODELS", str(root / "no-ollama"))
        patch.setenv("OLLAMA_HOST", "127.0.0.1:1")
        yield Home(root)


@pytest.fixture(scope="module")
def job(home: Home) -> str:
    """A training job that is over, made before there is a runner that could take it."""
    database = Database(f"sqlite:///{home.root}/llmlora.db")
    with closing(Context(replace(read_settings(), home=home), database)) as context:
        return trained_job(context, sample_prompts=["<img src=x onerror=alert(1)>"])


@pytest.fixture(scope="module")
def server(built: None, home: Home, job: str) -> Iterator[Serving]:
    """A server with a trained job."""
    with serving(home.root) as started:
        yield started
