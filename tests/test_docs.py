"""The documents name what there is: every route and every setting."""

import re
from pathlib import Path

import pytest

from llmlora import settings
from llmlora.api.app import create_app
from tests.api.app import context_at
from tests.ollama.standin.generations import GENERATIONS

DOCS = Path(__file__).parent.parent / "docs"
METHODS = {"get", "post", "put", "patch", "delete"}


def routes_in(text: str) -> set[tuple[str, str]]:
    """(method, path) of a table; `…/x` continues the first path of its row, and methods count until others come."""
    found: set[tuple[str, str]] = set()
    for row in re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE):
        methods: list[str] = []
        whole = ""
        for part in re.findall(r"`([^`]+)`", row):
            *words, path = part.split()
            methods = [word.lower() for word in words] or methods
            whole = whole if path.startswith("…") else path
            root = re.sub(r"(\{\w+\}).*", r"\1", whole)
            found |= {(method, root + path[1:] if path.startswith("…") else path) for method in methods}
    return found


@pytest.mark.parametrize("name", ["server.md", "server.en.md"])
def test_every_route_is_in_the_table(name: str, tmp_path: Path):
    here = context_at(tmp_path)
    paths = create_app(here).openapi()["paths"]
    here.close()

    there = {(method, path) for path, item in paths.items() for method in item if method in METHODS}

    assert routes_in((DOCS / name).read_text("utf-8")) == there


@pytest.mark.parametrize("name", ["server.md", "server.en.md"])
def test_every_setting_is_named(name: str):
    text = (DOCS / name).read_text("utf-8")
    told = [line.split()[0] for line in (settings.__doc__ or "").splitlines() if re.match(r"[A-Z_]{4,}\s", line)]

    assert len(told) == 10
    assert [one for one in told if one not in text] == []


@pytest.mark.parametrize("name", ["ollama.md", "ollama.en.md"])
def test_every_version_of_ollama_that_is_stood_in_for_is_in_the_table(name: str):
    rows = re.findall(r"^\| \d\.\d.*\|$", (DOCS / name).read_text("utf-8"), re.MULTILINE)

    tried = {version for row in rows for version in re.split("[、, ]+", row.strip("| ").rpartition("| ")[2])}
    assert tried == {one.version for one in GENERATIONS.values()}
