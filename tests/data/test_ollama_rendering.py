"""Which rendering is in force is told from a store as Ollama would decide it, and what cannot be told is said."""

from pathlib import Path
from typing import Any

import pytest

from llmlora.data.ollama_rendering import release, rendering_of
from llmlora.ollama.names import Name
from llmlora.ollama.store import StoredModel, find
from tests.ollama_store import OllamaStore
from tests.tiny import CHATML

GO = "CUSTOM {{ .Prompt }}"
TOOLS = "{% if tools %}{{ tools }}{% endif %}{{ messages[0]['content'] }}"
THINKING_GO = "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }}"
ROUND_TRIP = (
    "{% if tools %}{{ tools }}{% endif %}{% for message in messages %}{% if message.tool_calls %}"
    "{{ message.tool_calls }}{% endif %}{% if message.role == 'tool' %}{{ message.content }}{% endif %}{% endfor %}"
)
TOOLS_GO = (
    "{{ if .Tools }}tools{{ end }}{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Name }}{{ end }}{{ end }}"
)
ROUND_TRIP_GO = TOOLS_GO + '{{ range .Messages }}{{ if eq .Role "tool" }}tool_response{{ end }}{{ end }}'
WEAKER = "{% if tools %}{{ tools }}{% endif %}{% if thinking %}<think></think>{% endif %}"


def model(directory: Path, config: dict[str, Any] | None = None, **layers: bytes) -> StoredModel:
    store = OllamaStore(directory / "models")
    store.add("registry.ollama.ai/library/m/latest", b"weights", {"model_format": "gguf", **(config or {})}, **layers)
    name = Name.parse("m")
    assert name
    found = find(name, [store.root])
    assert found
    return found


def test_code_inside_ollama_goes_before_all_others(tmp_path: Path):
    found = rendering_of(model(tmp_path, {"renderer": "qwen3-coder"}, template=GO.encode()), CHATML)

    assert (found.kind, found.source, found.doubt) == ("renderer", "qwen3-coder", None)
    assert "qwen3-coder" in str(found.words())


@pytest.mark.parametrize(
    ("go", "jinja", "kind"),
    [
        (GO, "", "go"),
        (GO, CHATML, "go"),
        (GO, TOOLS, "jinja"),
        (THINKING_GO, "{{ tools }}{% set content = (content.split('</think>')|last) %}", "jinja"),
        (THINKING_GO, "<think></think>", "go"),
        (THINKING_GO.replace(".Messages", ".Others"), "<think></think>", "jinja"),
        (TOOLS_GO, ROUND_TRIP, "jinja"),
        (TOOLS_GO, TOOLS, "go"),
        (ROUND_TRIP_GO, ROUND_TRIP, "go"),
        (ROUND_TRIP_GO, WEAKER, "go"),
        ("{{ .Suffix }}{{ .Prompt }}", TOOLS, "go"),
        ("{{ if", TOOLS, "go"),
        (None, CHATML, "jinja"),
        (None, "", "none"),
    ],
)
def test_a_go_template_is_in_force_unless_the_files_own_knows_more(tmp_path: Path, go, jinja, kind):
    one = model(tmp_path, **({"template": go.encode()} if go else {}))

    found = rendering_of(one, jinja, "0.33.0")

    assert (found.kind, found.doubt) == (kind, None)
    assert found.source == {"go": go, "jinja": jinja, "none": ""}[kind]


def test_before_0_30_the_files_own_template_is_never_used(tmp_path: Path):
    one = model(tmp_path, template=GO.encode())

    assert rendering_of(one, TOOLS, "0.24.0").kind == "go"
    assert rendering_of(model(tmp_path / "b"), TOOLS, "0.24.0").kind == "none"
    unknown = rendering_of(one, TOOLS)
    assert unknown.kind == "jinja"
    assert "before: the Go template" in str(unknown.words())


def test_what_a_server_shows_decides(tmp_path: Path):
    one = model(tmp_path, template=GO.encode())

    assert rendering_of(one, TOOLS, "0.33.0", GO).kind == "go"
    assert rendering_of(one, CHATML, "0.33.0", CHATML).kind == "jinja"
    assert rendering_of(model(tmp_path / "b"), "", "0.33.0", "{{ .Prompt }}").kind == "none"


def test_parsers_and_harmony_keep_the_go_template(tmp_path: Path):
    assert rendering_of(model(tmp_path, {"parser": "p"}, template=GO.encode()), TOOLS, "0.33.0").kind == "go"
    harmony = b"<|start|>{{ .Prompt }}<|end|>"
    family = {"model_family": "gptoss"}
    assert rendering_of(model(tmp_path / "b", family, template=harmony), TOOLS, "0.33.0").kind == "go"
    assert rendering_of(model(tmp_path / "c", family, template=GO.encode()), TOOLS, "0.33.0").kind == "jinja"


def test_the_models_words_are_those_of_its_last_layers(tmp_path: Path):
    one = model(tmp_path, prompt=b"old {{ .Prompt }}", template=GO.encode(), system=b"Be brief.", messages=b"[]")

    assert (one.template(), one.system(), one.begins_with_messages()) == (GO, "Be brief.", True)
    assert rendering_of(one, "").system == "Be brief."
    assert model(tmp_path / "b", prompt=b"old {{ .Prompt }}").template() == "old {{ .Prompt }}"


def test_versions_are_compared_by_number():
    assert release("0.33.0-rc2") == (0, 33, 0) > release("0.9.9")
    assert release("dev") == ()
