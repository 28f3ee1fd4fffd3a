"""Fixtures of all tests: the real sample models, and a data directory of its own for each test."""

import os
import sys
from pathlib import Path

import pytest

# as `llmlora` itself does: tests run beside each other, and threads that spin would slow all of them
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from llmlora.model.source import resolve
from llmlora.paths import Home


@pytest.fixture(scope="session")
def sample_home() -> Home:
    """Where samples are assembled: beside the virtual environment, so that it happens once."""
    return Home(Path(sys.prefix) / "sample-models")


@pytest.fixture(scope="session")
def smollm2_path(sample_home: Home) -> Path:
    return resolve("sample:smollm2-135m", sample_home, ()).path


@pytest.fixture(scope="session")
def gemma3_path(sample_home: Home) -> Path:
    return resolve("sample:gemma3-270m", sample_home, ()).path


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMLORA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LLMLORA_LANG", "en")
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "no-ollama"))
