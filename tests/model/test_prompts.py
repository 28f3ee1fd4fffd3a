"""Prompts of training are held against Ollama's, byte for byte, and can be those."""

from dataclasses import replace
from pathlib import Path

import pytest

from llmlora.data.base_text import template_and_tokenizer
from llmlora.errors import TemplateNotFollowed
from llmlora.model.prompts import Comparison, compare_prompts, followed, rendering_in_force
from llmlora.model.source import Base, resolve
from llmlora.paths import Home
from tests.ollama.standin.faults import Answer, Leave
from tests.ollama.standin.generations import GENERATIONS
from tests.ollama.standin.server import StandIn, ollama_standin
from tests.ollama_store import OllamaStore
from tests.tiny import CHATML, tiny_gguf

NOBODY = "http://127.0.0.1:1"
SAME = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
OTHER = SAME.replace("\n{{ .Content }}", " {{ .Content }}")


class Place:
    """A store with the model `m`, and what is asked of it."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.store = directory, OllamaStore(directory / "models")
        self.weights = tiny_gguf(directory / "m.gguf").read_bytes()

    def add(self, name: str = "m", config: dict | None = None, jinja: str | None = CHATML, **layers: bytes) -> None:
        weights = self.weights if jinja == CHATML else tiny_gguf(self.directory / "o.gguf", template=jinja).read_bytes()
        described = {"model_format": "gguf", "model_family": "llama", **(config or {})}
        self.store.add(f"registry.ollama.ai/library/{name}/latest", weights, described, **layers)

    def base(self, name: str = "ollama:m") -> Base:
        return resolve(name, Home(self.directory), [self.store.root])

    def compared(self, address: str = NOBODY, follow: bool = False) -> Comparison:
        base = self.base()
        template, tokenizer = template_and_tokenizer(base.path)
        if follow:
            template = followed(base, [self.store.root], template)
        found = compare_prompts(template, tokenizer, base, [self.store.root], address)
        assert found
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def asked_of(server: StandIn) -> list[str]:
    return [one.path for one in server.seen]


def test_without_a_server_a_go_template_is_run_here(place: Place):
    place.add(template=SAME.encode())
    found = place.compared()
    assert (found.verdict, found.by, found.rendering.kind) == ("same", "interpreter", "go")

    place.add(template=OTHER.encode())
    found = place.compared()
    assert (found.verdict, found.by) == ("different", "interpreter")
    assert found.diff.splitlines()[:2] == ["--- training (system)", "+++ Ollama (system)"]
    assert "-<|im_start|>system↵" in found.diff
    assert "+<|im_start|>system␣Be␣brief.<|im_end|>↵" in found.diff
    assert "--template ollama" in str(found.words())


def test_what_is_followed_is_the_same(place: Place):
    place.add(template=OTHER.encode())

    assert place.compared(follow=True).verdict == "same"


def test_a_models_system_text_makes_a_difference_that_can_be_followed(place: Place):
    place.add(template=SAME.encode(), system=b"You are a fox.")

    found = place.compared()

    assert found.verdict == "different"
    assert "training (user)" in found.diff
    assert "+You␣are␣a␣fox.<|im_end|>↵" in found.diff
    assert place.compared(follow=True).verdict == "same"


@pytest.mark.parametrize("layers", [{}, {"config": {"renderer": "fox"}}, {"template": SAME, "messages": "[]"}])
def test_what_only_a_server_can_tell_is_unknown_without_one(place: Place, layers):
    place.add(**{name: text.encode() if isinstance(text, str) else text for name, text in layers.items()})

    found = place.compared()

    assert found.verdict == "unknown"
    assert "start Ollama" in str(found.words())


def test_a_template_that_ollama_could_not_run_is_told_with_its_reason(place: Place):
    place.add(template=b"{{ range .Messages }}{{ nosuch }}{{ end }}")

    found = place.compared()

    assert found.verdict == "unknown"
    assert "nosuch" in str(found.words())


def test_a_server_is_asked_once_and_left_as_it_was(place: Place):
    place.add(template=OTHER.encode())

    with ollama_standin(place.store.root) as server:
        assert place.compared(server.address).by == "ollama"
        assert place.compared(server.address, follow=True).verdict == "same"

        assert asked_of(server).count("/api/chat") == 6
        assert asked_of(server).count("/api/generate") == 1  # out of memory again
        assert not list(server.engines.models())


def test_the_files_own_template_is_compared_by_a_server(place: Place):
    place.add()

    with ollama_standin(place.store.root) as server:
        found = place.compared(server.address)

    assert (found.verdict, found.by, found.rendering.kind) == ("same", "ollama", "jinja")
    assert found.rendering.doubt is None


def test_code_inside_ollama_is_compared_by_a_server(place: Place):
    place.add(config={"renderer": "fox"})
    renderers = {"fox": lambda turns: f"fox: {turns[-1]['content']}"}

    with ollama_standin(place.store.root, renderers=renderers) as server:
        found = place.compared(server.address)

    assert (found.verdict, found.by, found.rendering.source) == ("different", "ollama", "fox")
    assert "no Go template that training could follow" in str(found.words())


def test_the_token_a_text_begins_with_is_left_out_on_both_sides(place: Place, monkeypatch: pytest.MonkeyPatch):
    base = "<bos>" + SAME
    place.add(template=base.encode())
    template, tokenizer = template_and_tokenizer(place.base().path)
    monkeypatch.setattr(type(tokenizer), "add_bos", True)
    begun = replace(template, source="{{ bos_token }}" + CHATML)

    found = compare_prompts(begun, tokenizer, place.base(), [place.store.root], NOBODY)

    assert found
    assert found.verdict == "same"


def test_a_server_that_is_too_old_has_another_file_or_fails_is_not_believed(place: Place, tmp_path: Path):
    place.add(config={"renderer": "fox"})
    old = replace(GENERATIONS["stream-errors"], version="0.11.4", shows_prompt=False)
    with ollama_standin(place.store.root, old) as server:
        assert "from 0.11.5 on" in str(place.compared(server.address).words())
        assert "/api/chat" not in asked_of(server)

    other = OllamaStore(tmp_path / "others")
    other.add("registry.ollama.ai/library/m/latest", tiny_gguf(tmp_path / "n.gguf", seed=1).read_bytes())
    with ollama_standin(other.root) as server:
        assert "another file" in str(place.compared(server.address).words())

    with ollama_standin(place.store.root) as server:
        assert "no renderer 'fox'" in str(place.compared(server.address).words())
        server.faults.append(Answer(path="/api/show", body=b"hello"))
        assert "does not speak as Ollama" in str(place.compared(server.address).words())
        server.faults.append(Leave(path="/api/chat"))
        assert "No Ollama server answers" in str(place.compared(server.address).words())


def test_a_server_that_fails_leaves_the_interpreter(place: Place):
    place.add(template=SAME.encode())

    with ollama_standin(place.store.root) as server:
        server.faults.append(Answer(path="/api/chat", status=500, body=b'{"error": "no memory"}'))
        assert (place.compared(server.address).verdict, place.compared(server.address).by) == ("same", "ollama")
        server.faults.append(Leave(path="/api/show"))
        assert place.compared(server.address).by == "interpreter"


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"config": {"renderer": "fox"}}, "code inside Ollama (fox)"),
        ({}, "the chat template in the GGUF file"),
        ({"jinja": None}, "no template"),
        ({"template": SAME.encode(), "messages": b"[]"}, "turns of its own"),
        ({"template": SAME.encode(), "jinja": CHATML + "{{ tools }}"}, "as Ollama 0.30 and later"),
    ],
)
def test_only_a_go_template_that_is_certain_is_followed(place: Place, layers, words):
    place.add(**layers)
    template, _ = template_and_tokenizer(place.base().path)

    with pytest.raises(TemplateNotFollowed) as caught:
        followed(place.base(), [place.store.root], template)

    assert words in str(caught.value)


def test_other_bases_have_no_rendering_in_ollama(place: Place):
    base = place.base(f"gguf:{place.directory / 'm.gguf'}")
    template, tokenizer = template_and_tokenizer(base.path)

    assert rendering_in_force(base, []) is None
    assert compare_prompts(template, tokenizer, base, [], NOBODY) is None
    with pytest.raises(TemplateNotFollowed, match="does not come from Ollama's store"):
        followed(base, [], template)
