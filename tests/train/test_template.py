"""A run that follows Ollama's template keeps its text: while it trains, when it goes on, and wherever it answers."""

import json
from pathlib import Path

import pytest

from llmlora.adapter import template_beside, template_of
from llmlora.chat.session import Session
from llmlora.data.conversation import Turn
from llmlora.data.render import Renderer
from llmlora.errors import NotAnAdapter, TemplateNotFollowed
from llmlora.export.activations import calibration_examples
from llmlora.export.adapter import export_adapter
from llmlora.gguf.reader import GgufFile
from llmlora.importing import import_adapter
from llmlora.model.source import resolve
from llmlora.recipe import Recipe
from llmlora.train.prepare import draft
from llmlora.train.run import resume, train
from tests.ollama_store import OllamaStore
from tests.small_run import EXACT, adapter_bytes, home, on_machine, small_recipe
from tests.tiny import tiny_gguf

GO = (
    "{{ if .System }}<{{ .System }}>{{ end }}"
    '{{ range .Messages }}{{ if ne .Role "system" }}[{{ .Role }}] {{ .Content }}<|im_end|>\n{{ end }}{{ end }}'
    "[assistant] "
)
MODEL = "registry.ollama.ai/library/m/latest"


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    on_machine(monkeypatch, EXACT)


@pytest.fixture
def store(tmp_path: Path) -> OllamaStore:
    store = OllamaStore(tmp_path / "models")
    store.add(MODEL, tiny_gguf(tmp_path / "m.gguf").read_bytes(), template=GO.encode(), system=b"Be a fox.")
    return store


def followed(directory: Path, **values: object) -> Recipe:
    return small_recipe(directory, model="ollama:m", template="ollama", **values)


def forget(store: OllamaStore, tmp_path: Path) -> None:
    """The model is pulled again, and has another template now."""
    store.add(MODEL, (tmp_path / "m.gguf").read_bytes(), template=b"{{ .Prompt }}")


def test_rows_and_samples_are_written_by_ollamas_template(store: OllamaStore, tmp_path: Path):
    made = draft(followed(tmp_path, sample_prompts=["Hi"]), home(tmp_path), [store.root])

    texts = ["".join(made.tokenizer.pieces(example.ids.tolist())) for example in made.train]
    assert all(text.startswith("<Be a fox.>[user] What is ") for text in texts)
    trained = made.train[0].ids[made.train[0].trained].tolist()
    assert "".join(made.tokenizer.pieces(trained)).endswith("<|im_end|>")
    assert "".join(made.tokenizer.pieces(made.prompts["Hi"])) == "<Be a fox.>[user] Hi<|im_end|>\n[assistant] "


def test_without_being_asked_the_models_own_template_stays(store: OllamaStore, tmp_path: Path):
    made = draft(small_recipe(tmp_path, model="ollama:m"), home(tmp_path), [store.root])

    assert (made.template.language, made.template.origin) == ("jinja", "model")


def test_a_base_that_does_not_come_from_ollama_is_refused(tmp_path: Path):
    with pytest.raises(TemplateNotFollowed):
        draft(small_recipe(tmp_path, template="ollama"), home(tmp_path), [])


def test_a_run_goes_on_to_the_same_bytes_when_the_store_has_another_template(store: OllamaStore, tmp_path: Path):
    recipe = followed(tmp_path)
    train(recipe, tmp_path / "whole", home(tmp_path), [store.root])
    asked: list[int] = []
    train(
        recipe,
        tmp_path / "cut",
        home(tmp_path),
        [store.root],
        should_stop=lambda: bool(asked.append(1)) or len(asked) > 2,
    )
    assert not (tmp_path / "cut" / "final_model").exists()
    forget(store, tmp_path)

    resume(tmp_path / "cut", home(tmp_path), [store.root])

    assert adapter_bytes(tmp_path / "cut") == adapter_bytes(tmp_path / "whole")
    found = template_of(tmp_path / "cut")
    assert found
    assert found.source == GO


@pytest.fixture
def out(store: OllamaStore, tmp_path: Path) -> Path:
    """A finished run; the store has changed since."""
    train(followed(tmp_path, steps=1), tmp_path / "out", home(tmp_path), [store.root])
    forget(store, tmp_path)
    return tmp_path / "out"


def test_the_artefact_says_what_its_prompts_are_written_with(out: Path):
    found = template_of(out / "final_model")

    assert found
    assert (found.source, found.language, found.origin, found.system) == (GO, "go", "ollama", "Be a fox.")
    facts = json.loads((out / "final_model" / "MANIFEST.json").read_text("utf-8"))["template"]
    assert facts == {"language": "go", "origin": "ollama", "name": "ollama", "end_of_turn": "<|im_end|>"}
    assert not (out / "final_model" / "chat_template.jinja").exists()


def test_an_artefact_of_the_models_own_template_says_so_too(tmp_path: Path):
    train(small_recipe(tmp_path, steps=1), tmp_path / "own", home(tmp_path))

    found = template_of(tmp_path / "own")

    assert found
    assert (found.language, found.origin) == ("jinja", "model")
    assert (tmp_path / "own" / "final_model" / "chat_template.jinja").read_text("utf-8") == found.source
    assert template_of(tmp_path) is None


def test_the_adapter_answers_with_the_template_it_was_trained_with(out: Path, store: OllamaStore, tmp_path: Path):
    base, gguf = resolve("ollama:m", home(tmp_path), [store.root]), tmp_path / "a.gguf"
    export_adapter(out, base, gguf)

    session = Session(base.path, gguf)
    session.close()
    with Renderer(session.template) as renderer:
        prompt = renderer.prompt((Turn("user", "Hi"),))

    assert prompt == "<Be a fox.>[user] Hi<|im_end|>\n[assistant] "


def test_an_export_of_another_adapter_leaves_no_template_behind(out: Path, store: OllamaStore, tmp_path: Path):
    base, gguf = resolve("ollama:m", home(tmp_path), [store.root]), tmp_path / "a.gguf"
    export_adapter(out, base, gguf)
    assert template_beside(gguf).exists()
    train(small_recipe(tmp_path, model="ollama:m", steps=1), tmp_path / "other", home(tmp_path), [store.root])

    export_adapter(tmp_path / "other", base, gguf)

    assert template_of(gguf) is None


def test_merging_is_judged_by_rows_as_they_were_trained(out: Path, tmp_path: Path):
    with GgufFile(tmp_path / "m.gguf") as file:
        examples, _, base_template = calibration_examples(out / "final_model", file)

    own = draft(small_recipe(tmp_path), home(tmp_path), []).tokenizer
    assert "".join(own.pieces(examples[0].ids.tolist())).startswith("<Be a fox.>[user] ")
    assert "<|im_start|>" in base_template  # what a merged file carries is Jinja


def test_an_import_takes_the_template_along(out: Path, store: OllamaStore, tmp_path: Path):
    done = import_adapter(out / "final_model", "ollama:m", "mine", home(tmp_path), [store.root])

    assert template_of(done.path) == template_of(out)


def test_a_damaged_template_is_no_adapters(out: Path):
    (out / "final_model" / "template.json").write_text('{"source": 1}', "utf-8")

    with pytest.raises(NotAnAdapter, match=r"template\.json"):
        template_of(out)
