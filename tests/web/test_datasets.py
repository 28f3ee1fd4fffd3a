"""The pages of data sets: the sample, uploads, columns, errors, tokens, and the end of one."""

import fcntl
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Locator, Page, expect

from llmlora.paths import Home
from tests.api.server import serving
from tests.web.reading import Reading, Watched

HOSTILE = "<img src=x onerror=alert(1)>"
OURS = {"x-llmlora": "1"}


@pytest.fixture(scope="module")
def server(built: None, sample_home: Home, smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory):
    """A server with the sample model, whose jobs wait: the runner's place is taken."""
    home = tmp_path_factory.mktemp("home")
    (home / "samples").symlink_to(sample_home.samples)
    with Home(home).runner_lock.open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setenv("OLLAMA_MODELS", str(home / "no-ollama"))
        patch.setenv("OLLAMA_HOST", "127.0.0.1:1")
        with serving(home) as started:
            yield started


@pytest.fixture
def datasets(watched: Watched) -> Page:
    """The page of an installation without data sets."""
    empty(watched)
    watched.page.goto(f"{watched.origin}/datasets/")
    expect(watched.page.get_by_role("heading", level=1)).to_have_text("Datasets")
    return watched.page


def empty(watched: Watched) -> None:
    ask, api = watched.page.request, f"{watched.origin}/api"
    for job in ask.get(f"{api}/training/jobs").json():
        ask.post(f"{api}/training/jobs/{job['id']}/cancel", headers=OURS)
    for one in ask.get(f"{api}/datasets").json():
        assert ask.delete(f"{api}/datasets/{one['id']}", headers=OURS).ok


def origin_of(page: Page) -> str:
    return "/".join(page.url.split("/")[:3])


def made(page: Page, rows: list[object] | bytes, name: str = "mine") -> str:
    content = rows if isinstance(rows, bytes) else "\n".join(json.dumps(row) for row in rows).encode()
    headers = {**OURS, "content-type": "application/octet-stream"}
    return sent(page.request.post(f"{origin_of(page)}/api/datasets/upload?name={name}", data=content, headers=headers))


def sent(answer: APIResponse) -> str:
    assert answer.ok, answer.text()
    return answer.json()["id"]


def pair(question: str, answer: str) -> dict[str, str]:
    return {"instruction": question, "output": answer}


def look(page: Page, dataset_id: str, view: str = "") -> None:
    page.goto(f"{origin_of(page)}/datasets/?id={dataset_id}{view}")


def choose(page: Page, *files: tuple[str, bytes]) -> None:
    """The files of the dialog."""
    page.get_by_role("button", name="Upload Dataset").click()
    chosen = [{"name": name, "mimeType": "text/plain", "buffer": content} for name, content in files]
    page.get_by_role("dialog").locator("input[type=file]").set_input_files(chosen)


def card(page: Page, name: str) -> Locator:
    """What became of an upload."""
    uploads = page.get_by_role("region").or_(page.locator("section")).filter(has_text="Uploads")
    return uploads.get_by_role("listitem").filter(has_text=name).first


def select(page: Page, column: str, part: str) -> None:
    page.get_by_role("combobox", name=f"What “{column}” holds").click()
    page.get_by_role("option", name=part).click()


def test_a_learner_goes_on_with_the_sample_at_once(datasets: Page):
    datasets.get_by_role("button", name="Begin with the sample").click()

    expect(datasets.get_by_role("heading", level=1)).to_have_text("Samurai sample (5 rows)")
    expect(datasets.get_by_text("自己紹介をしてください。")).to_be_visible()
    train = datasets.get_by_role("link", name="Train with this data")
    dataset_id = datasets.url.rpartition("id=")[2]
    expect(train).to_have_attribute("href", f"/training/new/?dataset={dataset_id}")


def test_files_are_recognised_each_for_itself(datasets: Page, watched: Watched):
    choose(datasets, ("faq.csv", "質問,回答\n首都は？,東京です。\n".encode("cp932")), ("model.gguf", b"GGUF\0"))

    done, failed = card(datasets, "faq"), card(datasets, "model")
    for told in ("Done", "CSV", "Shift_JIS (CP932)", "1 row", "Question: 質問", "Answer: 回答"):
        expect(done.get_by_text(told, exact=True).or_(done.get_by_text(told)).first).to_be_visible()
    expect(failed.get_by_role("alert")).to_contain_text("model.gguf cannot be read as data: it is a model, not data.")
    expect(datasets.get_by_role("table").get_by_role("link")).to_have_text(["faq"])
    failed.get_by_role("button", name="Close the result").click()
    expect(failed).to_have_count(0)
    watched.forgive("422")


def test_columns_that_nobody_knows_are_mapped_and_changed_and_stay_so(datasets: Page, watched: Watched):
    choose(datasets, ("log.csv", "件名,対応,memo\n返品,承りました,第一\n".encode()))
    expect(datasets.get_by_text("承りました")).to_be_visible()
    read = datasets.get_by_role("button", name="Read it like this")
    expect(read).to_be_disabled()
    select(datasets, "件名", "Question")
    select(datasets, "対応", "Answer")
    read.click()
    card(datasets, "log").get_by_role("link", name="Look inside").click()

    datasets.get_by_role("tab", name="Columns").click()
    expect(datasets.get_by_role("combobox", name="What “対応” holds")).to_have_text("Answer")
    select(datasets, "memo", "Answer")
    datasets.get_by_role("button", name="Save and read again").click()
    rows = datasets.locator("section").filter(has_text="How it is read now")
    expect(rows.get_by_text("第一")).to_be_visible()
    datasets.reload()
    expect(rows.get_by_text("第一")).to_be_visible()
    expect(datasets.get_by_role("combobox", name="What “対応” holds")).to_have_text("Not used")
    watched.forgive("422")


def test_rows_are_pasted_and_files_dropped(datasets: Page):
    datasets.get_by_role("button", name="Upload Dataset").click()
    datasets.get_by_role("textbox", name="Or paste rows").fill("question\tanswer\n名は？\t猫\n")
    datasets.get_by_role("button", name="Make a data set of it").click()
    expect(card(datasets, "Pasted rows").get_by_text("CSV")).to_be_visible()
    files = datasets.evaluate_handle(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(['{"text": "a"}'], "dropped.jsonl"));
            return data;
        }"""
    )

    datasets.dispatch_event("body", "dragenter", {"dataTransfer": files})
    expect(datasets.get_by_text("Let go to upload")).to_be_visible()
    datasets.dispatch_event("body", "drop", {"dataTransfer": files})

    expect(card(datasets, "dropped").get_by_text("JSONL")).to_be_visible()
    expect(datasets.get_by_text("Let go to upload")).to_have_count(0)
    expect(datasets.get_by_role("table").get_by_role("row")).to_have_count(3)


def test_an_upload_shows_how_far_it_is_and_can_be_cancelled(datasets: Page):
    session = datasets.context.new_cdp_session(datasets)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 50_000}
    session.send("Network.emulateNetworkConditions", slow)
    choose(datasets, ("large.jsonl", b'{"text": "a"}\n' * 100_000))

    expect(card(datasets, "large").get_by_text(re.compile(r"^[1-9]\d* kB of 1.4 MB$"))).to_be_visible()
    datasets.get_by_role("button", name="Cancel").click()

    expect(card(datasets, "large")).to_have_count(0)
    assert datasets.request.get(f"{origin_of(datasets)}/api/datasets").json() == []


def test_errors_and_warnings_name_rows_and_hostile_text_is_text(datasets: Page):
    rows = [pair(f"q{n}", f"a{n} {HOSTILE}") for n in range(50)]
    dataset_id = made(datasets, [*rows[:30], {"foo": HOSTILE}, *rows[30:], rows[3]], HOSTILE)
    look(datasets, dataset_id)

    expect(datasets.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    errors = datasets.get_by_role("list", name="1 row that cannot be used")
    expect(errors).to_contain_text("Row 31")
    expect(errors).to_contain_text("no shape we know")
    expect(datasets.get_by_text("nothing can be trained on")).to_be_visible()  # nor does a link lead there
    expect(datasets.get_by_role("link", name="Train with this data")).to_have_count(0)
    datasets.get_by_role("link", name="Row 52").click()
    expect(datasets.get_by_role("tab", name="Rows")).to_have_attribute("aria-selected", "true")
    expect(datasets.get_by_text(f"a3 {HOSTILE}")).to_be_visible()
    datasets.get_by_role("link", name="Back").click()
    expect(datasets.get_by_text("31–50 / 51").first).to_be_visible()
    datasets.reload()
    expect(datasets.get_by_text("Row 32", exact=True).first).to_be_visible()
    jump = datasets.get_by_role("textbox", name="Row number").first
    jump.fill("7")
    jump.press("Enter")
    expect(datasets.get_by_text("7–26 / 51").first).to_be_visible()
    assert datasets.locator("img").count() == 0


def test_every_token_shows_what_becomes_of_it(datasets: Page):
    dataset_id = made(datasets, [pair("春は\u3000", "あけぼの\u200b"), pair("a", "b c " * 40)])
    look(datasets, dataset_id, "&tab=tokens")

    tokens = datasets.get_by_role("listbox", name="Tokens")
    trained = tokens.get_by_role("option", name=re.compile("Trained$"))
    expect(trained.last).to_have_text("<|im_end|>")
    assert "".join(trained.all_inner_texts()).replace("◦", "") == "あけぼの‹U+200B›<|im_end|>"
    expect(tokens).to_contain_text("□")
    tokens.focus()
    tokens.press("End")
    expect(datasets.get_by_text(re.compile(r"^(\d+) of \1$"))).to_be_visible()
    lengths = datasets.get_by_role("list", name="Rows by length").get_by_role("listitem")
    expect(lengths.filter(has_text="tokens: 1 row")).to_have_count(2)

    datasets.get_by_role("spinbutton", name="Maximum length").fill("64")
    datasets.get_by_role("spinbutton", name="Maximum length").press("Enter")
    expect(datasets.get_by_text("maximum 64")).to_be_visible()
    datasets.get_by_role("link", name="Forward").click()
    expect(datasets.get_by_text("Cut at the maximum length of 64")).to_be_visible()
    expect(tokens.get_by_role("option")).to_have_count(64)
    datasets.reload()
    expect(tokens.get_by_role("option")).to_have_count(64)


def test_a_data_set_is_renamed_replaced_downloaded_and_deleted_when_no_job_needs_it(datasets: Page):
    origin = origin_of(datasets)
    dataset_id = made(datasets, [pair("a", "b")])
    recipe = {"model": "sample:smollm2-135m", "steps": 1, "max_length": 64}
    asked = {"name": "hungry", "dataset_id": dataset_id, "recipe": recipe}
    job_id = sent(datasets.request.post(f"{origin}/api/training/jobs", data=asked, headers=OURS))
    look(datasets, dataset_id)

    datasets.get_by_role("button", name="Rename").click()
    datasets.get_by_role("textbox", name="Name").fill("新しい名前")
    datasets.get_by_role("textbox", name="Name").press("Enter")
    expect(datasets.get_by_role("heading", level=1)).to_have_text("新しい名前")

    datasets.get_by_role("button", name="New version").click()
    files = datasets.get_by_role("dialog").locator("input[type=file]")
    files.set_input_files({"name": "x", "mimeType": "text/plain", "buffer": b'{"text": "second"}'})
    expect(datasets.get_by_text("version 2", exact=False).first).to_be_visible()
    expect(datasets.get_by_text("second")).to_be_visible()
    with datasets.expect_download() as download:
        datasets.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == b'{"text": "second"}'
    assert download.value.suggested_filename == "新しい名前.jsonl"

    datasets.get_by_role("button", name="Delete").click()
    expect(datasets.get_by_role("dialog", name="It cannot be deleted yet")).to_contain_text("hungry")
    assert datasets.request.post(f"{origin}/api/training/jobs/{job_id}/cancel", headers=OURS).ok
    datasets.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(datasets.get_by_role("button", name="Begin with the sample")).to_be_visible()


def test_what_happens_to_it_elsewhere_shows(watched: Watched):
    page = watched.page
    empty(watched)
    page.goto(f"{watched.origin}/healthz")
    dataset_id = made(page, [pair("a", "b")])
    look(page, dataset_id)
    expect(page.get_by_role("heading", level=1)).to_have_text("mine")
    there = f"{watched.origin}/api/datasets/{dataset_id}"

    assert page.request.patch(there, data={"name": "yours"}, headers=OURS).ok
    expect(page.get_by_role("heading", level=1)).to_have_text("yours")
    assert page.request.delete(there, headers=OURS).ok

    expect(page.get_by_role("alert").filter(has_text="There is no")).to_be_visible()
    watched.forgive("404")


def test_a_list_that_one_comes_back_to_shows_what_happened_meanwhile(datasets: Page):
    expect(datasets.get_by_role("button", name="Begin with the sample")).to_be_visible()
    datasets.get_by_role("link", name="Settings").click()
    expect(datasets.get_by_role("heading", level=1)).to_have_text("Settings")
    dataset_id = made(datasets, [pair("a", "b")], "while away")
    asked = {"name": "later", "dataset_id": dataset_id, "recipe": {"model": "sample:smollm2-135m"}}
    with datasets.expect_response("**/api/system"):  # the page has heard of what happened last
        sent(datasets.request.post(f"{origin_of(datasets)}/api/training/jobs", data=asked, headers=OURS))

    datasets.get_by_role("link", name="Datasets").click()

    expect(datasets.get_by_role("table").get_by_role("link")).to_have_text(["while away"])


VIEWS = ("", "&tab=rows", "&tab=tokens", "&tab=columns")


def test_pages_can_be_read_by_all(reading: Reading):
    page = reading.page
    empty(reading.watched)
    reading.open("/datasets/")
    reading.check()
    mixed = [pair("長い " * 9, "答え\tです"), pair("ﾊﾝｶｸ", ""), {"foo": 1}, pair("長い " * 9, "答え\tです")]
    dataset_id = made(page, mixed)
    reading.open("/datasets/")
    page.locator("header button").click()
    page.get_by_role("dialog").wait_for()
    reading.check()
    unknown = {"name": "log.csv", "mimeType": "text/csv", "buffer": b"foo,bar\na,b\n"}
    page.locator("input[type=file]").set_input_files(unknown)
    page.get_by_role("combobox").first.wait_for()
    reading.check()
    for view in VIEWS:
        reading.open(f"/datasets/?id={dataset_id}{view}&length=32")
        reading.check()
    reading.watched.forgive("422")
