"""The round trip in the browser: a result becomes a model in Ollama, is proved there, and answers from there."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from llmlora.api.context import Context
from llmlora.paths import Home
from llmlora.settings import read_settings
from llmlora.store.database import Database
from tests.api.server import Serving, serving
from tests.api.trained import succeeded_job
from tests.blob_run import NAME, BlobRun, blob_run
from tests.ollama.standin.faults import Cut, Hang
from tests.ollama.standin.pull import Published, fill
from tests.ollama.standin.server import StandIn, ollama_standin
from tests.tiny import tiny_gguf
from tests.web.conftest import PATIENCE_MS
from tests.web.reading import Reading, Watched

GO = "{{ range .Messages }}[{{ .Role }}] {{ .Content }}<|im_end|>\n{{ end }}[assistant] "
VERSION = "Ollama 0.33.0"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BlobRun:
    return blob_run(tmp_path_factory.mktemp("run"), learning_rate=0.1)


@pytest.fixture(scope="module")
def ollama(run: BlobRun) -> Iterator[StandIn]:
    """A server with the base of a run, and one that writes its prompts in another way than training."""
    with ollama_standin(run.store, "adapters") as running:
        other = tiny_gguf(run.store.parent / "other.gguf", seed=1)
        fill(running.store, "other", Published(other, {"template": GO.encode()}))
        yield running


@pytest.fixture(scope="module")
def home(ollama: StandIn, run: BlobRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A data directory beside that Ollama."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_MODELS", str(run.store))
        patch.setenv("OLLAMA_HOST", ollama.address)
        yield Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def jobs(home: Home, run: BlobRun) -> list[str]:
    """Jobs with the run's adapter, made before there is a runner that could take them."""
    database = Database(f"sqlite:///{home.database}")
    with closing(Context(replace(read_settings(), home=home), database)) as context:
        made = [succeeded_job(context, f"ollama:{NAME}") for _ in range(2)]
    for job_id in made:
        shutil.copytree(run.out, home.attempt(job_id, 1))
    return made


@pytest.fixture(scope="module")
def server(built: None, home: Home, jobs: list[str]) -> Iterator[Serving]:
    with serving(home.root) as started:
        yield started


def results(page: Page, server: Serving, job: str) -> None:
    page.goto(f"{origin(server)}/training/?id={job}&tab=results")


def origin(server: Serving) -> str:
    return f"http://{server.name}:{server.port}"


def registered(page: Page, server: Serving, job: str, name: str = "mine") -> None:
    """The result of a job is in Ollama, and proved."""
    results(page, server, job)
    page.get_by_label("Name of the model").fill(name)
    page.get_by_role("button", name=re.compile("^Register")).click()
    expect(page.get_by_text("Proved", exact=True)).to_be_visible(timeout=3 * PATIENCE_MS)


def answer(page: Page, side: str) -> Locator:
    return page.get_by_role("article", name=side).last


def finished(page: Page) -> None:
    expect(page.get_by_role("article").last).to_contain_text(" tokens (", timeout=30_000)


def draw_answers(page: Page, server: Serving, **options: object) -> None:
    """Short and always the same; a page of the server's reads how when it is opened next."""
    drawn = {"state": {"temperature": 0, "max_tokens": 8, "seed": 7, **options}, "version": 0}
    page.goto(f"{origin(server)}/healthz")
    page.evaluate("told => localStorage.setItem('llmlora.chat', told)", json.dumps(drawn))


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


def test_a_result_is_registered_proved_and_answers_from_ollama(watched: Watched, server, ollama: StandIn, jobs):
    page = watched.page
    results(page, server, jobs[0])
    name = page.get_by_label("Name of the model")
    expect(name).to_have_value("my-job")
    name.fill("ねこ")
    name.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("cannot be the name of a model")
    watched.forgive("422")
    registered(page, server, jobs[0])

    assert "mine:latest" in {str(one) for one in ollama.store.names()}
    expect(page.get_by_text("The adapter lies beside its base")).to_be_visible()
    expect(page.get_by_role("region", name="Command to talk to it")).to_have_text("ollama run mine:latest")
    for words in ("Yes: every comparison", "Served by Ollama, against training", "Ollama writes it as training did"):
        expect(page.get_by_text(words).first).to_be_visible()
    page.reload()
    expect(page.get_by_text("Proved", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the certificate as JSON").click()
    assert json.loads(Path(download.value.path()).read_text("utf-8"))["passed"] is True

    draw_answers(page, server, who="compare")
    page.go_back()
    page.get_by_role("link", name="Talk to it here").click()
    expect(page.get_by_role("combobox", name="What answers")).to_have_text(f"Automatic: {VERSION}")
    ask(page, "Hello")
    finished(page)
    expect(answer(page, "Tuned")).to_contain_text(f"{VERSION} (mine:latest)")
    expect(answer(page, "Base")).to_contain_text(f"{VERSION} ({NAME})")

    page.get_by_role("combobox", name="What answers").click()
    page.get_by_role("option", name="llama.cpp (embedded)").click()
    page.reload()
    ask(page, "Hello again")
    expect(page.get_by_role("article")).to_have_count(4)
    finished(page)
    for side in ("Tuned", "Base"):
        expect(answer(page, side)).to_contain_text("llama.cpp (embedded)")


def test_an_engine_that_is_chosen_and_cannot_answer_says_so(watched: Watched, server: Serving, jobs: list[str]):
    page = watched.page
    draw_answers(page, server, who="tuned", engine="ollama")
    page.goto(f"{origin(server)}/chat/?job={jobs[1]}")
    page.get_by_role("combobox", name="What answers").click()
    expect(page.get_by_role("option", name="Ollama").last).to_contain_text("not registered in Ollama yet")
    page.keyboard.press("Escape")

    ask(page, "Hello")

    expect(page.get_by_role("alert").first).to_contain_text("Ollama cannot answer here")
    expect(page.get_by_role("article")).to_have_count(0)
    watched.forgive("422")


def test_an_ollama_that_goes_away_is_said_and_what_it_said_stays(watched: Watched, server: Serving, ollama: StandIn):
    page = watched.page
    draw_answers(page, server)
    page.goto(f"{origin(server)}/chat/?model=ollama:{NAME}")
    ollama.faults.append(Cut(path="/api/chat", lines=3))
    ask(page, "Hello")

    expect(page.get_by_role("alert").first).to_contain_text("went away in the middle of its answer")
    expect(page.get_by_role("article")).to_contain_text(f"{VERSION} ({NAME})")
    page.get_by_role("button", name="Try again").click()
    finished(page)
    expect(page.get_by_role("article")).to_have_count(1)


def test_a_name_that_is_somebody_elses_is_taken_only_when_one_says_so(watched: Watched, server, ollama, jobs):
    page = watched.page
    fill(ollama.store, "theirs", Published(ollama.store.root.parent / "other.gguf"))
    results(page, server, jobs[1])
    page.get_by_label("Name of the model").fill("theirs")
    page.get_by_role("button", name="Register in Ollama").click()
    expect(page.get_by_role("alert").first).to_contain_text("llmlora did not make it")
    watched.forgive("409")

    ollama.faults.append(hang := Hang(path="/api/create"))
    page.get_by_role("button", name="Replace it").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Replace it").click()
    expect(page.get_by_role("progressbar", name="Registering “theirs:latest”")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    hang.released.set()

    expect(page.get_by_role("button", name="Register in Ollama")).to_be_enabled()
    assert not any("unfinished" in str(one) for one in ollama.store.names())


def test_a_form_shows_how_ollama_would_write_otherwise_and_follows_it(page: Page, server: Serving):
    ours = {"headers": {"x-llmlora": "1"}}
    rows = [{"instruction": f"What is {n}?", "output": f"It is {n}."} for n in range(12)]
    page.request.post(f"{origin(server)}/api/datasets", data={"name": "rows", "rows": rows}, **ours)
    page.goto(f"{origin(server)}/training/new/?model=ollama:other:latest")
    expect(page.get_by_text("Ollama writes this model's prompts differently")).to_be_visible()
    page.get_by_text("Show the difference").click()
    difference = page.get_by_role("region", name="How the prompts of training")
    expect(difference).to_contain_text("+[user]␣What␣is␣a␣fox?<|im_end|>↵")

    page.get_by_role("button", name="Follow Ollama").click()

    expect(page.get_by_text("Ollama writes the same prompts as this training")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Ollama writes the same prompts as this training")).to_be_visible()


def test_the_page_of_a_model_says_how_ollama_writes_its_prompts(page: Page, server: Serving):
    page.goto(f"{origin(server)}/models/?name=ollama:other:latest")

    expect(page.get_by_text("Prompts in Ollama: the Go template of the model")).to_be_visible()
    page.get_by_text("Show Ollama’s Go template").click()
    expect(page.get_by_text("[assistant]")).to_be_visible()


def test_the_round_trip_can_be_read_by_all(reading: Reading, jobs: list[str]):
    for address in (*(f"training/?id={job}&tab=results" for job in jobs), "training/new/?model=ollama:other:latest"):
        reading.open(f"/{address}")
        for fold in reading.page.locator("main summary").all():
            fold.click()
        reading.check()
    for address in ("models/?name=ollama:other:latest", f"chat/?job={jobs[0]}"):
        reading.open(f"/{address}")
        reading.check()
