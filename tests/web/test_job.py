"""The page of a job, and jobs beside each other: what runs shows live, what is over shows whole."""

import re
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from llmlora.store import events
from llmlora.store.database import Database
from llmlora.store.events import Line
from tests.api.server import PATIENCE, Serving, serving
from tests.tiny import tiny_gguf
from tests.web.conftest import PATIENCE_MS
from tests.web.jobs import BEGUN, line, put_events, put_job, step
from tests.web.reading import Reading, Watched

HOSTILE = '<img src=x onerror="alert(1)">'
FAILED = {
    "code": "out_of_memory",
    "facts": {"needed_mb": 900, "available_mb": 700, "batch_size": 4, "max_length": 1024, "rank": 16},
}
TABS = ("curves", "samples", "data", "recipe", "records", "results")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(built: None, home: Path) -> Iterator[Serving]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_MODELS", str(home / "no-ollama"))
        patch.setenv("OLLAMA_HOST", "127.0.0.1:1")
        with serving(home) as started:
            started.status("/healthz")
            yield started


@pytest.fixture(scope="module")
def database(server: Serving, home: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{home}/llmlora.db")
    yield opened
    opened.close()


def run_of(steps: int, prompts: Iterable[str] = (), every: int = 20, floor: float = 0.4) -> Iterator[Line]:
    """What a run tells of its steps, its evaluations and its answers."""
    for number in range(1, steps + 1):
        yield step(number, floor)
        if number % every == 0:
            yield line("evaluated", number, loss=floor + 2.5 / number**0.3, best=True)
            for prompt in prompts:
                yield line("sampled", number, prompt=prompt, answer=f"{prompt} at {number}")


@pytest.fixture(scope="module")
def running(database: Database) -> str:
    """A job at step 200 of 400."""
    recipe = {"sample_prompts": [HOSTILE]}
    job_id = put_job(database, HOSTILE, "running", recipe, step=200, total_steps=400, checkpoint_step=180)
    put_events(database, job_id, run_of(200, [HOSTILE]))
    return job_id


@pytest.fixture(scope="module")
def done(database: Database) -> str:
    result = {"step": 100, "loss": 0.8, "eval_loss": 1.1}
    facts = {"step": 100, "total_steps": 100, "finished_at": BEGUN + 500, "result": result}
    job_id = put_job(database, "done", "succeeded", {"rank": 8, "sample_prompts": [HOSTILE]}, **facts)
    put_events(database, job_id, run_of(100, [HOSTILE], floor=0.6))
    return job_id


def curve(page: Page, name: str = "Loss") -> Locator:
    return page.get_by_role("img", name=re.compile(f"^Chart of {name}"))


def begin(page: Page, origin: str, home: Path, **recipe: object) -> None:
    """Start a job on a tiny model, and look at it."""
    model = tiny_gguf(home / "tiny.gguf", "llama")
    ask = {"headers": {"x-llmlora": "1"}}
    rows = [{"instruction": f"What is {n}?", "output": f"It is {n}."} for n in range(12)]
    dataset = page.request.post(f"{origin}/api/datasets", data={"name": "rows", "rows": rows}, **ask).json()
    recipe = {"model": f"gguf:{model}", "rank": 4, "max_length": 64, "eval_split": 0.2, **recipe}
    asked = {"name": "tiny", "dataset_id": dataset["id"], "recipe": recipe}
    job = page.request.post(f"{origin}/api/training/jobs", data=asked, **ask).json()
    page.goto(f"{origin}/training/?id={job['id']}")


def test_a_job_is_followed_from_its_first_step_to_its_results(watched: Watched, home: Path):
    page = watched.page
    begin(page, watched.origin, home, steps=6, eval_every=3, save_every=3, sample_prompts=["What is 7?"])

    expect(page.get_by_text("Succeeded", exact=True)).to_be_visible(timeout=2 * PATIENCE_MS)
    expect(curve(page)).to_have_attribute("aria-label", re.compile(r"from 1 to 6\..*Validation loss went from"))
    page.get_by_role("tab", name="Sample answers").click()
    expect(page.get_by_role("list", name="What is 7?").get_by_role("listitem")).to_have_count(2)
    page.get_by_role("tab", name="Data as trained").click()
    tokens = page.get_by_role("listbox", name="Tokens").first
    expect(tokens).to_have_text(re.compile("What.*is.*0.*It.*is.*0", re.DOTALL))
    expect(tokens.get_by_role("option", name=re.compile("Trained$")).first).to_be_visible()
    page.get_by_role("tab", name="Records").click()
    expect(page.get_by_role("table", name="Checkpoints").get_by_role("row")).to_have_count(3)
    page.get_by_role("tab", name="Results").click()
    expect(page).to_have_url(re.compile("tab=results"))
    page.reload()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download adapter.zip").click()
    assert download.value.suggested_filename == "tiny-adapter.zip"
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("link", name="Download merged.gguf")).to_be_visible(timeout=2 * PATIENCE_MS)
    expect(page.get_by_text("No Ollama server answers")).to_be_visible()
    page.get_by_text("Register by commands").click()
    expect(page.get_by_role("region", name="Commands that register merged.gguf")).to_contain_text("ollama create tiny")


def test_what_is_looked_at_stays_while_steps_arrive(watched: Watched, database: Database):
    job_id = put_job(database, "live", "running", step=100, total_steps=400)
    put_events(database, job_id, run_of(100))
    page = watched.page
    page.goto(f"{watched.origin}/training/?id={job_id}")
    stretch = page.get_by_role("group", name="What is shown")
    expect(stretch).to_contain_text("whole run")
    stretch.get_by_role("button", name="Zoom in").click()
    expect(stretch).to_contain_text("26 – 75")
    put_events(database, job_id, [step(number) for number in range(101, 131)])

    expect(page.get_by_text("130", exact=True)).to_be_visible()
    expect(curve(page)).to_have_attribute("aria-label", re.compile("from 1 to 130"))
    expect(stretch).to_contain_text("26 – 75")
    expect(page).to_have_url(re.compile("zoom=26-75"))
    page.reload()
    expect(stretch).to_contain_text("26 – 75")
    stretch.get_by_role("button", name="Show the whole run").click()
    expect(stretch).to_contain_text("whole run")

    with database.writing() as connection:
        events.tell(connection, job_id, "rewound", {"step": 90, "kept": 90}, 90)
    expect(curve(page)).to_have_attribute("aria-label", re.compile("from 1 to 90"))
    put_events(database, job_id, [step(number) for number in range(91, 96)])
    expect(curve(page)).to_have_attribute("aria-label", re.compile("from 1 to 95"))


def test_a_curve_is_read_and_moved_by_keys_and_as_a_table(watched: Watched, running: str):
    page = watched.page
    page.goto(f"{watched.origin}/training/?id={running}")
    curve(page).focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text(re.compile("^step 200: training 0"))).to_be_attached()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text(re.compile("^step 199: training 0"))).to_be_attached()
    expect(page.get_by_text("step 199", exact=True)).to_have_count(5)  # the cursors of all charts
    page.keyboard.press("+")
    expect(page.get_by_role("group", name="What is shown")).to_contain_text("51 – 150")
    page.keyboard.press("0")

    page.get_by_role("radio", name="Table").click()
    table = page.get_by_role("table", name="Table")
    expect(table.get_by_role("row").nth(100)).to_be_visible()
    expect(table.get_by_role("row").last).to_contain_text("200")


def test_a_drag_zooms_and_shift_moves(watched: Watched, running: str):
    page = watched.page
    page.goto(f"{watched.origin}/training/?id={running}")
    stretch = page.get_by_role("group", name="What is shown")
    expect(curve(page)).to_be_visible()
    box = curve(page).locator(".u-over").bounding_box()
    middle = box["y"] + box["height"] / 2

    def drag(start: float, end: float) -> None:
        page.mouse.move(box["x"] + box["width"] * start, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * end, middle, steps=4)
        page.mouse.up()

    drag(0.25, 0.5)
    expect(stretch).to_contain_text(re.compile("^5[01] – 10[01]"))
    page.keyboard.down("Shift")
    drag(0.5, 0.25)
    page.keyboard.up("Shift")
    expect(stretch).to_contain_text(re.compile("^6[23] – 11[23]"))
    page.mouse.dblclick(box["x"] + box["width"] / 2, middle)
    expect(stretch).to_contain_text("whole run")


def test_hostile_names_and_answers_are_only_text(watched: Watched, running: str):
    page = watched.page
    page.goto(f"{watched.origin}/training/?id={running}&tab=samples")

    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.get_by_role("listitem").filter(has_text=f"{HOSTILE} at 200")).to_be_visible()


def test_a_failed_job_says_why_and_what_to_do(watched: Watched, database: Database):
    job_id = put_job(database, "failed", "failed", error=FAILED, step=12, checkpoint_step=10)
    page = watched.page
    page.goto(f"{watched.origin}/training/?id={job_id}")

    expect(page.get_by_role("alert").filter(has_text="batch size")).to_be_visible()
    expect(page.get_by_text("there are no curves")).to_be_visible()
    expect(page.get_by_role("link", name="Change settings and train again")).to_have_attribute(
        "href", f"/training/new/?from={job_id}"
    )
    expect(page.get_by_role("button", name="Retry")).to_be_enabled()


def test_a_job_is_cancelled_and_deleted_when_one_says_so_twice(watched: Watched, database: Database):
    job_id = put_job(database, "idle", "paused", desired="pause")
    page = watched.page
    page.goto(f"{watched.origin}/training/?id={job_id}")
    page.get_by_role("button", name="Cancel job").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Cancel job").click()
    expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()

    expect(page).to_have_url(f"{watched.origin}/training/")
    watched.complaints.clear()  # the page may have asked for the job once more


def test_a_job_that_somebody_else_deletes_is_gone_from_sight(watched: Watched, database: Database):
    job_id = put_job(database, "gone", "paused", desired="pause")
    page = watched.page
    page.goto(f"{watched.origin}/training/?id={job_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("gone")
    page.request.delete(f"{watched.origin}/api/training/jobs/{job_id}", headers={"x-llmlora": "1"})

    expect(page.get_by_role("alert").filter(has_text="no job")).to_be_visible()
    expect(page.get_by_role("link", name="All training jobs")).to_be_visible()
    watched.complaints.clear()  # the refusal


def test_a_recipe_shows_how_it_differs(watched: Watched, running: str, done: str):
    page = watched.page
    page.goto(f"{watched.origin}/training/?id={done}&tab=recipe")
    table = page.get_by_role("table", name="Settings of the recipe")
    expect(table.get_by_role("row").filter(has_text="rank")).to_contain_text("816")
    page.get_by_role("combobox", name="Beside").click()
    page.get_by_role("option", name=HOSTILE).click()

    expect(table.get_by_role("row")).to_have_count(2)
    expect(page).to_have_url(re.compile(f"beside={running}"))
    page.get_by_role("radio", name="All").click()
    expect(table.get_by_role("row").filter(has_text="learning_rate")).to_contain_text("by rule")
    expect(page.get_by_role("region", name="YAML")).to_contain_text("rank: 8")


def test_jobs_stand_beside_each_other_as_the_address_says(watched: Watched, running: str, done: str):
    page = watched.page
    page.goto(f"{watched.origin}/training/compare/")
    expect(page.get_by_text("Choose jobs to compare")).to_be_visible()
    for name in (HOSTILE, "done"):
        page.get_by_role("combobox", name="Add a job").click()
        page.get_by_role("option", name=name, exact=True).click()
    expect(page).to_have_url(re.compile(f"ids={running}%2C{done}"))
    page.get_by_role("radio", name="Tokens", exact=True).click()
    expect(page).to_have_url(re.compile("x=tokens"))
    page.reload()

    words = re.compile(f"to 75,000.*{re.escape(HOSTILE)} went from .* done went from")
    expect(curve(page, "Training loss")).to_have_attribute("aria-label", words)
    settings = page.get_by_role("table", name="Settings")
    expect(settings.get_by_role("row")).to_have_count(2)
    expect(settings.get_by_role("row").last).to_contain_text("rank168")
    expect(page.get_by_role("table", name="Outcomes").get_by_role("row").filter(has_text="best")).to_have_count(2)
    expect(page.get_by_role("list", name=HOSTILE).get_by_role("listitem")).to_have_count(2)
    page.get_by_role("button", name="Remove “done”").click()
    expect(page).to_have_url(re.compile(f"ids={running}(&|$)"))


def test_all_can_read_it(reading: Reading, database: Database, running: str, done: str):
    failed = put_job(database, "failed", "failed", error=FAILED)
    tabs = [f"?id={running}&tab={tab}" for tab in TABS]
    others = [f"?id={running}&as=table", f"?id={done}&tab=results", f"?id={failed}"]
    for address in (*tabs, *others, f"compare/?ids={running},{done}", "compare/"):
        reading.open(f"/training/{address}")
        reading.check()
    reading.watched.forgive("404", "422")  # no run of theirs has left rows and files


@pytest.mark.trip
def test_all_can_read_what_has_nothing_to_show_yet(reading: Reading, database: Database):
    empty = put_job(database, "empty", "paused", desired="pause")
    for tab in TABS:
        reading.open(f"/training/?id={empty}&tab={tab}")
        reading.check()
    reading.watched.forgive("404")  # its data set


@pytest.mark.trip
def test_a_job_is_paused_and_resumed_outlives_the_server_and_is_cancelled(
    stranger: BrowserContext, built, tmp_path: Path
):
    page = stranger.new_page()

    def grows() -> None:
        expect(curve(page)).to_have_attribute("aria-label", re.compile("from 1 to"))
        expect(curve(page)).not_to_have_attribute("aria-label", curve(page).get_attribute("aria-label"))

    with serving(tmp_path) as server:
        origin = f"http://{server.name}:{server.port}"
        page.goto(f"{origin}/#token={server.token}")
        page.get_by_text("Connected", exact=True).wait_for(state="attached")
        begin(page, origin, tmp_path, steps=100_000)
        grows()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Paused", exact=True)).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        grows()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(PATIENCE)
        expect(page.get_by_role("status").filter(has_text="Waiting")).to_be_visible()

    with serving(tmp_path, "--port", str(server.port)):
        expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
        grows()
        page.get_by_role("button", name="Cancel job").click()
        page.get_by_role("alertdialog").get_by_role("button", name="Cancel job").click()
        expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
    assert page.get_by_role("button", name="Retry").is_enabled()


@pytest.mark.trip
def test_a_curve_keeps_its_peaks_however_long_one_watches(watched: Watched, database: Database):
    job_id = put_job(database, "long", "running", total_steps=10_000)
    page, at_once = watched.page, 200
    page.goto(f"{watched.origin}/training/?id={job_id}")
    expect(page.get_by_text("The curves begin")).to_be_visible()
    put_events(database, job_id, [step(1), step(2, loss=0.0123)])

    for first in range(3, 4500, at_once):  # more than there is room for
        put_events(database, job_id, [step(number) for number in range(first, first + at_once)])
        expect(page.get_by_text(f"{first + at_once - 1:,}", exact=True)).to_be_visible()

    expect(curve(page)).to_have_attribute("aria-label", re.compile(r"from 1 to 4,602\..*at least 0\.0123\."))
