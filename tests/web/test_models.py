"""The bases in the browser: what there is, why one cannot be trained, and downloads that go on without the page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.api.server import Serving, serving
from tests.ollama.scripted import Scripted, ollama_server
from tests.ollama_store import OllamaStore
from tests.tiny import tiny_gguf
from tests.web.reading import Reading, Watched

HOSTILE = "<img src=x onerror=alert(1)>"
FAR = {"name": "far:8b", "size": 4_200_000_000}


@pytest.fixture(scope="module")
def ollama() -> Iterator[Scripted]:
    with ollama_server() as running:
        yield running


@pytest.fixture(scope="module")
def server(built: None, ollama: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server beside an Ollama that has a model to train, one that cannot be trained, and one that lies elsewhere."""
    home = tmp_path_factory.mktemp("home")
    store, other = OllamaStore(home / "ollama"), Path(home / "other.gguf")
    store.add("registry.ollama.ai/library/tiny/latest", tiny_gguf(other).read_bytes(), license=HOSTILE.encode())
    store.add("registry.ollama.ai/library/odd/latest", tiny_gguf(other, "bert").read_bytes())
    ollama.tags = [{"name": "tiny:latest", "size": 1}, FAR]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_MODELS", str(store.root))
        patch.setenv("OLLAMA_HOST", ollama.address)
        with serving(home) as started:
            yield started


@pytest.fixture
def models(watched: Watched) -> Page:
    """The page of all models."""
    watched.page.goto(f"{watched.origin}/models/")
    return watched.page


def names(page: Page) -> list[str]:
    page.get_by_role("row").nth(1).wait_for()
    return page.get_by_role("row").get_by_role("link").all_inner_texts()


def test_every_base_is_there_with_its_verdict_and_what_it_is(page: Page):
    page.get_by_role("link", name="Choose a base model").click()
    tiny = page.get_by_role("row").filter(has_text="ollama:tiny:latest")
    expect(tiny).to_contain_text("Trainable")
    expect(tiny).to_contain_text(HOSTILE)
    odd = page.get_by_role("row").filter(has_text="ollama:odd:latest")
    expect(odd).to_contain_text("Not trainable")
    expect(odd).to_contain_text("cannot be trained yet")
    far = page.get_by_role("row").filter(has_text="ollama:far:8b")
    expect(far).to_contain_text("4.2 GB")

    tiny.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("ollama:tiny:latest")
    for fact in ("llama", "2 layers of the same form", "q_proj", HOSTILE, "a vocabulary of"):
        expect(page.get_by_text(fact, exact=fact == "llama").first).to_be_visible()
    shares = page.locator("li").filter(has_text=re.compile(r"\d tensor")).all_inner_texts()
    assert sum(float(re.search(r"([\d.]+)%", share)[1]) for share in shares) == pytest.approx(100, abs=0.2)
    page.get_by_text("Show the template").click()
    expect(page.get_by_text("<|im_start|>").first).to_be_visible()
    train = page.get_by_role("link", name="Train this model").get_attribute("href")
    assert train == "/training/new/?model=ollama%3Atiny%3Alatest"
    page.get_by_role("link", name="Talk to it").click()
    expect(page.get_by_role("link", name="ollama:tiny:latest")).to_be_visible()
    expect(page.get_by_label("Message")).to_be_visible()


def test_what_cannot_be_trained_says_why_and_what_to_do(watched: Watched):
    page = watched.page
    page.goto(f"{watched.origin}/models/?name=ollama:odd:latest")

    expect(page.get_by_text("architecture “bert” cannot be trained yet")).to_be_visible()
    expect(page.get_by_text("models list")).to_be_visible()
    expect(page.get_by_role("link", name="Train this model")).to_have_count(0)


def test_the_filter_stands_in_the_address(models: Page):
    everything = names(models)
    models.get_by_role("radio", name="Trainable").click()
    models.get_by_label("Search by name").fill("TINY")
    expect(models).to_have_url(re.compile(r"q=TINY"))
    expect(models).to_have_url(re.compile(r"only=trainable"))
    expect(models.get_by_text(f"1 of {len(everything)}")).to_be_visible()
    models.reload()
    assert names(models) == ["ollama:tiny:latest"]

    models.get_by_label("Search by name").fill("nothing like it")
    models.get_by_role("button", name="Show all").click()
    expect(models).to_have_url(re.compile(r"/models/$"))
    assert names(models) == everything


def test_a_download_shows_its_progress_survives_a_reload_and_ends(models: Page, ollama: Scripted):
    ollama.gate.clear()
    models.get_by_label("Name of the model").fill("far:8b")
    models.get_by_label("Name of the model").press("Enter")
    expect(models.get_by_label("Name of the model")).to_have_value("")
    expect(models.get_by_text("writing manifest")).to_be_visible()
    models.reload()
    expect(models.get_by_text("writing manifest")).to_be_visible()

    ollama.gate.set()

    expect(models.get_by_text("far:8b is downloaded")).to_be_visible()
    expect(models.get_by_role("progressbar")).to_have_count(0)


def test_a_download_can_be_ended(models: Page, ollama: Scripted):
    ollama.gate.clear()
    models.get_by_role("button", name="llama3.2:1b").click()
    models.get_by_role("button", name="Download", exact=True).click()
    cancel = models.get_by_role("button", name="Cancel the download of llama3.2:1b")
    cancel.click()
    ollama.gate.set()  # Ollama's next line is where we hear that it is not wanted

    expect(cancel).to_have_count(0)


def test_a_download_that_fails_says_why_and_can_be_dismissed(models: Page, ollama: Scripted):
    steps, ollama.steps = ollama.steps, [{"error": f"pull model manifest: {HOSTILE}"}]
    models.get_by_label("Name of the model").fill("nobody")
    models.get_by_role("button", name="Download", exact=True).click()
    expect(models.get_by_text(f"pull model manifest: {HOSTILE}")).to_be_visible()
    ollama.steps = steps
    models.reload()
    models.get_by_role("button", name="Dismiss the failure of nobody").click()

    expect(models.get_by_text("pull model manifest")).to_have_count(0)
    models.reload()
    names(models)
    expect(models.get_by_text("pull model manifest")).to_have_count(0)


def test_without_ollama_it_is_said_how_to_mend_that(models: Page, ollama: Scripted):
    ollama.status = 500
    expect(models.get_by_text("Ollama refused")).to_be_visible()
    expect(models.get_by_label("Name of the model")).to_have_count(0)
    ollama.status = 200

    models.get_by_role("button", name="Check again").click()

    expect(models.get_by_label("Name of the model")).to_be_visible()


def test_models_can_be_read_by_all(reading: Reading):
    for query in ("", "?q=nothing", "?name=ollama:tiny:latest", "?name=ollama:odd:latest"):
        reading.open(f"/models/{query}")
        reading.check()
