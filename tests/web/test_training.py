"""The list of training jobs, and the form that makes them."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from llmlora.api.errors import problem
from llmlora.errors import NotEnoughMemory
from tests.api.server import Serving, serving, until
from tests.ollama_store import OllamaStore
from tests.tiny import tiny_gguf
from tests.web.reading import Reading, Watched

LIBRARY = "registry.ollama.ai/library"
MODEL = "ollama:tiny:latest"
HOSTILE = "<img src=x onerror=alert(1)>"


class Jobs:
    """Asks the server as a script would."""

    def __init__(self, server: Serving) -> None:
        self.server = server
        rows = [{"instruction": f"{number}は？", "output": f"{number}でござる"} for number in range(12)]
        self.dataset = self.ask("/api/datasets", {"name": HOSTILE, "rows": rows})["id"]

    def ask(self, path: str, body: object = None, method: str | None = None) -> dict:
        headers = {"content-type": "application/json"}
        text = None if body is None else json.dumps(body)
        with self.server.ask(path, method or ("GET" if body is None else "POST"), text, **headers) as answer:
            return json.loads(answer.read() or "null")

    def start(self, name: str, **recipe: object) -> str:
        recipe = {"model": MODEL, "rank": 2, "max_length": 64, "eval_split": 0, **recipe}
        return self.ask("/api/training/jobs", {"name": name, "dataset_id": self.dataset, "recipe": recipe})["id"]

    def steer(self, job: str, wish: str) -> None:
        self.ask(f"/api/training/jobs/{job}/{wish}", {})

    def state(self, job: str) -> str:
        return self.ask(f"/api/training/jobs/{job}/progress")["state"]

    def named(self, name: str) -> list[dict]:
        return [one for one in self.ask("/api/training/jobs") if one["name"] == name]


@pytest.fixture(scope="module")
def server(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server whose Ollama has a small model and one that cannot be trained."""
    home = tmp_path_factory.mktemp("home")
    store = OllamaStore(home / "ollama")
    store.add(f"{LIBRARY}/tiny/latest", tiny_gguf(home / "tiny.gguf", context=2048).read_bytes())
    store.add(f"{LIBRARY}/odd/latest", b"no model at all")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_MODELS", str(store.root))
        patch.setenv("OLLAMA_HOST", "127.0.0.1:1")
        with serving(home) as started:
            yield started


@pytest.fixture(scope="module")
def jobs(server: Serving) -> Jobs:
    return Jobs(server)


@pytest.fixture
def form(watched: Watched, jobs: Jobs) -> Page:
    """The form with a plan, of a model that is planned in a moment."""
    watched.page.goto(f"{watched.origin}/training/new/?model={MODEL}&dataset={jobs.dataset}")
    expect(watched.page.get_by_text("Trained parameters")).to_be_visible()
    return watched.page


def figure(page: Page, name: str):
    return page.locator("dl > div", has=page.get_by_text(name, exact=True)).locator("dd")


def test_from_the_form_to_a_job_that_ends_under_ones_eyes(form: Page, jobs: Jobs, watched: Watched):
    expect(figure(form, "Steps")).to_have_text("30")
    form.get_by_label("Steps", exact=True).fill("６")  # typed by an input method
    expect(figure(form, "Steps")).to_have_text("6")
    expect(form.get_by_text("Only 6 steps")).to_be_visible()
    form.get_by_role("button", name="q_proj").click()
    form.get_by_label("Name").fill("under my eyes")
    form.reload()
    expect(form.get_by_label("Name")).to_have_value("under my eyes")
    expect(form.get_by_label("Target modules")).to_have_value("q_proj")
    expect(form.get_by_text("Only 6 steps")).to_be_visible()

    form.get_by_role("button", name="Start training").dblclick()

    form.wait_for_url(re.compile(r"/training/\?id="))
    (job,) = jobs.named("under my eyes")
    assert (job["recipe"]["steps"], job["recipe"]["target_modules"]) == (6, ["q_proj"])
    form.goto(f"{watched.origin}/training/")
    row = form.get_by_role("row").filter(has_text="under my eyes")
    expect(row).to_contain_text("Succeeded")
    expect(row).to_contain_text("6 / 6")
    expect(row.get_by_role("img", name=re.compile("Loss"))).to_be_visible()
    expect(row).to_contain_text(HOSTILE)

    row.get_by_role("button", name="Actions").click()
    form.get_by_role("menuitem", name="Train again with changes").click()
    expect(form.get_by_label("Target modules")).to_have_value("q_proj")
    expect(form.get_by_label("Name")).to_have_attribute("placeholder", "under my eyes 2")
    expect(form.get_by_label("Base model")).to_have_text(MODEL)


def test_what_is_wrong_is_said_at_its_field_and_the_plan_comes_back(form: Page, watched: Watched):
    form.get_by_label("Rank", exact=True).fill("9999")
    field = form.get_by_label("Rank", exact=True).locator("xpath=..")
    expect(field).to_contain_text("must be 512 or less")
    expect(form.get_by_label("Rank", exact=True)).to_have_attribute("aria-invalid", "true")
    form.get_by_role("button", name="Start training").click()
    expect(form.get_by_role("alert").first).to_contain_text("One setting to put right")

    form.get_by_label("Rank", exact=True).fill("4")

    expect(field).not_to_contain_text("must be 512 or less")
    expect(form.get_by_text("Trained parameters")).to_be_visible()
    watched.forgive("422")


def test_a_preset_sets_everything_and_a_model_that_cannot_be_trained_says_why(form: Page):
    form.get_by_role("radio", name="Careful").click()
    expect(form.get_by_label("Rank", exact=True)).to_have_value("32")
    expect(form.get_by_label("Alpha")).to_have_value("32")
    form.get_by_label("Alpha").fill("")
    expect(form.get_by_role("radio", name="Careful")).not_to_be_checked()
    expect(form.get_by_label("Alpha")).to_have_attribute("placeholder", "automatic: 64")
    form.get_by_text("Command", exact=True).click()
    expect(form.get_by_role("region", name="Command")).to_contain_text(f"llmlora train --model {MODEL}")

    form.get_by_label("Base model").click()

    odd = form.get_by_role("option").filter(has_text="ollama:odd")
    expect(odd).to_have_attribute("aria-disabled", "true")
    expect(odd).to_contain_text("Cannot be trained: ")


def test_too_little_memory_is_mended_by_a_knob(form: Page, watched: Watched):
    """No machine of the tests is too small: its answer is that of the error itself."""
    small = {"error": problem(NotEnoughMemory(9000, 4000, 512, 8, 14), "en").model_dump()}

    def answer(route: Route) -> None:
        if json.loads(route.request.post_data)["recipe"]["max_length"] == 256:
            route.continue_()
        else:
            route.fulfill(status=422, json=small)

    form.route("**/api/training/plan", answer)
    form.get_by_label("Dropout").fill("0.1")
    expect(form.get_by_text("needs about 9000 MB")).to_be_visible()

    form.get_by_role("group", name="Take less memory").get_by_role("button", name="Maximum length").click()

    expect(form.get_by_label("Maximum length")).to_have_value("256")
    expect(form.get_by_text("Trained parameters")).to_be_visible()
    watched.forgive("422")


def test_an_option_that_nobody_knew_is_asked_for_too(form: Page):
    fresh = {"name": "sparkle", "kind": "text", "help": "Shines.", "default": None, "required": False, "nullable": True}

    def more(route: Route) -> None:
        told = route.fetch().json()
        bounds = {"minimum": None, "maximum": None, "above_minimum": False, "choices": []}
        route.fulfill(json={**told, "fields": [*told["fields"], fresh | bounds]})

    form.route("**/api/training/recipe", more)
    form.reload()
    form.get_by_text("Advanced").click()

    expect(form.get_by_label("sparkle")).to_be_editable()


def test_jobs_are_filtered_chosen_and_steered(page: Page, jobs: Jobs, server: Serving):
    long = jobs.start("long one", steps=100_000)
    until(lambda: jobs.state(long) == "running")
    jobs.start("waiting one")
    paused = jobs.start("paused one")
    jobs.steer(paused, "pause")
    page.goto(f"{page.url}training/")
    row = {name: page.get_by_role("row").filter(has_text=name) for name in ("long one", "waiting one", "paused one")}
    expect(row["waiting one"]).to_contain_text("Starts next")
    steps = row["long one"].get_by_text("/ 100,000").locator("visible=true")
    expect(steps).not_to_have_text(steps.inner_text())  # it goes on by itself

    page.get_by_role("radio", name="Under way").click()
    page.get_by_role("checkbox", name="long one").click()
    page.get_by_role("checkbox", name="paused one").click()
    page.reload()
    expect(page.get_by_role("radio", name="Under way")).to_be_checked()
    compare = page.get_by_role("link", name="Compare")
    expect(compare).to_have_attribute("href", f"/training/compare/?ids={long},{paused}")

    def choose(name: str, deed: str) -> None:
        row[name].get_by_role("button", name="Actions").click()
        page.get_by_role("menuitem", name=deed).click()

    choose("paused one", "Resume")
    expect(row["paused one"]).to_contain_text("1 before it")
    choose("waiting one", "Delete")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete the job").click()
    expect(row["waiting one"]).to_have_count(0)
    choose("paused one", "Cancel")
    page.get_by_role("alertdialog").get_by_role("button", name="Cancel the job").click()
    expect(row["paused one"]).to_have_count(0)  # it is under way no more
    choose("long one", "Pause")
    page.get_by_role("radio", name="All").click()
    expect(row["long one"]).to_contain_text("Paused")
    expect(row["paused one"]).to_contain_text("Cancelled")
    jobs.steer(long, "cancel")


def test_all_can_read_the_pages(reading: Reading, jobs: Jobs):
    if not jobs.named("read"):
        jobs.start("read", steps=2)
    form = f"/training/new/?model={MODEL}&dataset={jobs.dataset}"
    look(reading, {"/training/": "read", form: re.compile("Trained parameters|学習するパラメータ")})


@pytest.fixture(scope="module")
def nothing(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server without jobs and data."""
    with serving(tmp_path_factory.mktemp("nothing")) as started:
        yield started


class TestWithNothing:
    @pytest.fixture
    def server(self, nothing: Serving) -> Serving:
        return nothing

    def test_all_can_read_the_empty_pages(self, reading: Reading):
        begin, none = re.compile("Bring data|データを入れる"), re.compile("No data|データがありません")
        look(reading, {"/training/": begin, "/training/new/": none})


def look(reading: Reading, pages: dict[str, str | re.Pattern[str]]) -> None:
    """Each page, when it shows what it should."""
    for path, shown in pages.items():
        reading.open(path)
        expect(reading.page.get_by_text(shown).first).to_be_visible()
        reading.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        reading.check()
