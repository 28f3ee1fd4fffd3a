"""Conversations in the browser: answers stream, both sides stand beside each other, and nothing is lost."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from playwright.sync_api import APIResponse, BrowserContext, Locator, Page, expect

from llmlora.api.context import Context
from llmlora.paths import Home
from llmlora.settings import read_settings
from llmlora.store import chats
from llmlora.store.database import Database
from tests.api.server import Serving, serving, until
from tests.api.trained import SMOL, trained_job
from tests.web.reading import Reading, Watched


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A data directory without Ollama."""
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_MODELS", str(root / "no-ollama"))
        patch.setenv("OLLAMA_HOST", "127.0.0.1:1")
        yield Home(root)


@pytest.fixture(scope="module")
def job(home: Home) -> str:
    """A training job that is over, made before there is a runner that could take it."""
    database = Database(f"sqlite:///{home.root}/llmlora.db")
    with closing(Context(replace(read_settings(), home=home), database)) as context:
        return trained_job(context, sample_prompts=["<img src=x onerror=alert(1)>"])


@pytest.fixture(scope="module")
def server(built: None, home: Home, job: str) -> Iterator[Serving]:
    """A server with a trained job."""
    with serving(home.root) as started:
        yield started


@pytest.fixture
def page(watched: Watched) -> Page:
    """A signed-in page of the server that shows nothing yet: what it stores can be set."""
    watched.page.goto(f"{watched.origin}/healthz")
    return watched.page


SHORT = {"who": "compare", "temperature": 0, "top_p": 0.95, "max_tokens": 16, "seed": 7}
LONG = {"who": "base", "max_tokens": 2048}  # with this question, SmolLM2 goes round in circles until the limit
STORY = "Write a very long story about a cat, with ten chapters."


def with_options(page: Page, **changed: object) -> None:
    """Draw answers so that they are short and always the same, or otherwise."""
    stored = json.dumps({"state": {**SHORT, **changed}, "version": 0})
    page.evaluate("stored => localStorage.setItem('llmlora.chat', stored)", stored)


def origin(server: Serving) -> str:
    return f"http://{server.name}:{server.port}"


def by_api(page: Page, server: Serving, method: str, path: str, **body: object) -> APIResponse:
    """What the API answers."""
    headers = {"authorization": f"Bearer {server.token}", "accept-language": "en"}
    return page.request.fetch(f"{origin(server)}/api/chats{path}", method=method, data=body or None, headers=headers)


def turns_of(page: Page, server: Serving, chat: str) -> list[dict]:
    return by_api(page, server, "GET", f"/{chat}").json()["turns"]


def opened(page: Page, server: Serving, job: str, **options: object) -> str:
    """A new conversation with the trained job, open in the page."""
    with_options(page, **options)
    chat = by_api(page, server, "POST", "", job_id=job).json()["id"]
    page.goto(f"{origin(server)}/chat/?id={chat}")
    return chat


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


def answers(page: Page, side: str) -> Locator:
    return page.get_by_role("article", name=side)


def writing(page: Page, side: str, letters: int = 1) -> None:
    """Wait until so much of the last answer is there."""
    expect(answers(page, side).last).to_contain_text(re.compile(rf"^{side}(?!.*…)[\s\S]{{{letters}}}"), timeout=30_000)


def finished(page: Page) -> None:
    """Wait until the server has kept the last answer: its cost is known then."""
    expect(page.get_by_role("article").last).to_contain_text(" tokens (", timeout=30_000)


def test_from_home_to_both_answers_and_back_after_a_reload(page: Page, server: Serving, context: BrowserContext):
    with_options(page)
    page.goto(origin(server))
    page.get_by_role("link", name="Talk to it").click()
    page.get_by_role("link", name="my job").click()
    page.get_by_role("button", name="<img src=x").click()
    expect(page.get_by_label("Message")).to_have_value("<img src=x onerror=alert(1)>")
    page.get_by_label("Message").press("Enter")
    finished(page)

    expect(page).to_have_url(re.compile(r"/chat/\?id=\w+$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("<img src=x onerror=alert(1)>")
    tuned, base = (answers(page, side).inner_text() for side in ("Tuned", "Base"))
    assert tuned != base
    for text in (tuned, base):
        assert re.search(r"llama\.cpp \(embedded\)\s+[\d.]+ sec\s+\d+ tokens", text)
        assert "seed 7" in text
    places = [answers(page, side).bounding_box() for side in ("Tuned", "Base")]
    assert places[0]["y"] == places[1]["y"]
    assert places[0]["x"] < places[1]["x"]

    page.reload()
    assert [answers(page, side).inner_text() for side in ("Tuned", "Base")] == [tuned, base]
    page.goto(origin(server))
    page.get_by_role("link", name="<img src=x").click()
    expect(answers(page, "Base")).to_be_visible()


def test_the_enter_of_an_input_method_sends_nothing(page: Page, server: Serving, job: str):
    opened(page, server, job)
    box = page.get_by_label("Message")
    box.focus()
    keys = page.context.new_cdp_session(page)
    keys.send("Input.imeSetComposition", {"text": "ねこ", "selectionStart": 2, "selectionEnd": 2})
    page.keyboard.press("Enter")
    box.dispatch_event("keydown", {"key": "Enter", "keyCode": 229})  # Safari has ended the composition by then
    expect(page.get_by_role("article")).to_have_count(0)
    keys.send("Input.insertText", {"text": "猫"})
    box.fill("猫")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("?")
    expect(box).to_have_value("猫\n?")

    page.keyboard.press("Enter")

    expect(box).to_have_value("")
    finished(page)
    assert page.get_by_text("猫\n?").count() == 1


def test_an_answer_is_announced_when_it_is_complete_and_not_before(page: Page, server: Serving, job: str):
    opened(page, server, job, who="base", max_tokens=32)
    announced = page.locator("main").get_by_role("status")
    announced.evaluate("""one => {
        window.announced = [];
        const heard = () => window.announced.push(one.textContent);
        new MutationObserver(heard).observe(one, { childList: true, characterData: true, subtree: true });
    }""")
    ask(page, "Tell me about cats.")
    finished(page)

    (text,) = page.evaluate("window.announced")
    assert len(text) > 40
    assert text.strip() in answers(page, "Base").inner_text()


def test_a_stopped_answer_stays_and_can_be_given_anew(page: Page, server: Serving, job: str):
    chat = opened(page, server, job, **LONG)
    ask(page, STORY)
    writing(page, "Base")
    page.get_by_role("button", name="Stop").click()
    finished(page)
    stopped = answers(page, "Base").inner_text()

    with_options(page)
    page.reload()
    assert answers(page, "Base").inner_text() == stopped
    page.get_by_role("button", name="Answer again").click()
    expect(answers(page, "Tuned")).to_be_visible()
    finished(page)

    assert [turn["role"] for turn in turns_of(page, server, chat)] == ["user", "assistant", "assistant"]


def test_the_reader_is_left_where_they_read(page: Page, server: Serving, job: str):
    opened(page, server, job, **LONG)
    page.set_viewport_size({"width": 360, "height": 480})
    ask(page, f"{STORY}\n" * 12)
    writing(page, "Base", 40)

    def at_end() -> bool:
        return page.evaluate("Math.round(scrollY + innerHeight) >= document.documentElement.scrollHeight - 2")

    def grown() -> None:
        length = len(answers(page, "Base").inner_text())
        until(lambda: len(answers(page, "Base").inner_text()) > length + 20)

    until(at_end)
    page.mouse.move(180, 200)
    page.mouse.wheel(0, -200)
    expect(page.get_by_role("button", name="Latest")).to_be_visible()
    place = page.evaluate("scrollY")
    grown()
    assert page.evaluate("scrollY") == place

    page.get_by_role("button", name="Latest").click()
    grown()
    until(at_end)
    page.get_by_role("button", name="Stop").click()
    finished(page)


def test_an_engine_that_dies_is_said_and_the_question_can_be_sent_again(page: Page, server: Serving, job: str):
    chat = opened(page, server, job, **LONG)
    ask(page, STORY)
    writing(page, "Base")
    (engine,) = [
        child
        for child in server.child("llmlora.api").children(recursive=True)
        if "llmlora.chat.worker" in child.cmdline()
    ]
    engine.kill()

    expect(page.get_by_role("alert").first).to_contain_text("The chat engine failed")
    assert len(turns_of(page, server, chat)) == 2  # what it had said is kept
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("The chat engine failed")).to_have_count(0)
    writing(page, "Base")
    page.get_by_role("button", name="Stop").click()
    finished(page)
    assert len(turns_of(page, server, chat)) == 2


def test_a_busy_engine_is_waited_for_in_sight(page: Page, server: Serving, job: str, context: BrowserContext):
    opened(page, server, job, **LONG)
    ask(page, STORY)
    writing(page, "Base")
    other = context.new_page()
    other.goto(page.url)
    opened(other, server, job, who="tuned", max_tokens=4)
    ask(other, "Hello")

    expect(other.get_by_text("Waiting for the answer to another question")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    finished(other)


def test_two_tabs_show_the_same(page: Page, server: Serving, job: str, context: BrowserContext):
    chat = opened(page, server, job, who="base")
    other = context.new_page()
    other.goto(page.url)
    expect(other.get_by_label("Message")).to_be_visible()
    ask(page, "Hello")
    finished(page)

    expect(answers(other, "Base")).to_be_visible()
    assert answers(other, "Base").inner_text() == answers(page, "Base").inner_text()
    page.get_by_role("button", name="Rename").first.click()
    page.get_by_label("Name", exact=True).fill("さむらい")
    page.get_by_label("Name", exact=True).press("Enter")
    expect(other.get_by_role("heading", level=1)).to_have_text("さむらい")
    page.get_by_role("link", name="New conversation").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Chat")
    other.get_by_role("button", name="Delete “さむらい”").click()
    other.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(other).to_have_url(re.compile("/chat/$"))
    expect(page.get_by_role("link", name="さむらい")).to_have_count(0)
    other.goto(f"{origin(server)}/chat/?id={chat}")
    expect(other.get_by_role("alert").first).to_contain_text("There is no chat")


def test_what_a_model_says_is_text(page: Page, server: Serving, home: Home):
    said = "<img src=x onerror=alert(1)>\n<b>bold</b>\n```html\n<script>alert(2)</script>\n```\nend"
    turns = [{"role": "user", "content": said}, {"role": "assistant", "content": said, "adapted": False}]
    with closing(Database(f"sqlite:///{home.root}/llmlora.db")) as database, database.writing() as connection:
        chat = chats.change(connection, chats.add(connection, said, SMOL, None, said).id, turns=turns)
    page.goto(f"{origin(server)}/chat/?id={chat.id}")

    answer = page.get_by_role("article")
    expect(answer.locator("p").first).to_have_text("<img src=x onerror=alert(1)>\n<b>bold</b>", use_inner_text=True)
    expect(answer.locator("pre")).to_have_text("<script>alert(2)</script>")
    assert page.locator("main").locator("img[src], b, script").count() == 0


def test_the_system_prompt_and_the_way_answers_are_drawn_are_kept(page: Page, server: Serving, job: str):
    chat = opened(page, server, job)
    page.get_by_role("button", name="How answers are drawn").click()
    page.get_by_label("Temperature").fill("1.5")
    page.get_by_label("Seed", exact=True).fill("４２")
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="How answers are drawn")).to_be_focused()

    page.reload()
    expect(page.get_by_text("Be brief.")).to_be_visible()
    ask(page, "Hello")
    finished(page)
    answered = turns_of(page, server, chat)[1:]
    assert [(turn["temperature"], turn["seed"]) for turn in answered] == [(1.5, 42)] * 2
    page.get_by_role("button", name="How answers are drawn").click()
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_label("Seed", exact=True)).to_have_value("")


def test_conversations_can_be_read_by_all(reading: Reading, server: Serving, job: str):
    page = reading.page
    chat = by_api(page, server, "POST", "", job_id=job, system="Be brief.").json()["id"]
    by_api(page, server, "POST", f"/{chat}/messages", content="<b>1</b>", max_tokens=4, compare=True)
    for query in ("", f"?job={job}", "?model=sample:smollm2-135m", f"?id={chat}"):
        reading.open(f"/chat/{query}")
        reading.check()
    page.get_by_role("button", name=re.compile("How answers|答え方")).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    reading.check()
