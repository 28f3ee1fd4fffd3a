"""Contexts of the API whose questions one child answers: it loads torch once for all tests."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmlora.api.context import Context
from llmlora.jobs.inspection import Inspection
from llmlora.paths import Home
from llmlora.settings import read_settings
from tests.api.app import context_at


@pytest.fixture(scope="session")
def inspection(sample_home: Home) -> Iterator[Inspection]:
    shared = Inspection(replace(read_settings(), home=sample_home, ollama_stores=()))
    yield shared
    shared.close()


@pytest.fixture
def here(tmp_path: Path, inspection: Inspection) -> Iterator[Context]:
    context = context_at(tmp_path)
    context.inspection = inspection
    yield context
    context.database.close()
