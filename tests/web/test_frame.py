"""What stands around every page: the way in, languages and themes, and a server that goes and comes back."""

import re
import signal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.api.server import PATIENCE, Serving, serving
from tests.web.axe import WAYS, settled, violations
from tests.web.conftest import Watched

WORDS = {"ja": {"/": "ホーム", "/settings/": "設定"}, "en": {"/": "Home", "/settings/": "Settings"}}
WIDTHS = (360, 1280)


@pytest.mark.parametrize(("language", "theme"), WAYS)
def test_pages_can_be_read_by_all(chromium: Browser, server: Serving, language: str, theme: str):
    origin = f"http://{server.name}:{server.port}"
    with chromium.new_context(locale=language, color_scheme=theme, reduced_motion="reduce") as context:
        watched = Watched(context.new_page(), origin)
        watched.page.goto(f"{origin}/#token={server.token}")
        settled(watched.page)
        for path, heading in WORDS[language].items():
            watched.page.goto(origin + path)
            expect(watched.page.get_by_role("heading", level=1)).to_have_text(heading)
            expect(watched.page.locator("html")).to_have_attribute("lang", language)
            expect(watched.page.locator("html")).to_have_attribute("data-theme", theme)
            settled(watched.page)
            for width in WIDTHS:
                watched.page.set_viewport_size({"width": width, "height": 800})
                assert violations(watched.page) == []
                assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert watched.complaints == []


def test_the_token_comes_with_the_address_and_does_not_stay_there(watched: Watched):
    page = watched.page

    expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
    assert page.url == f"{watched.origin}/"
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")


def test_a_stranger_is_asked_for_the_token_and_a_wrong_one_is_refused(context: BrowserContext, server: Serving):
    page = context.new_page()
    refused: list[str] = []
    page.on("response", lambda answer: answer.status == 401 and refused.append(answer.url))
    address = f"http://{server.name}:{server.port}/settings/"
    page.goto(address)
    field = page.get_by_label("Address or token")
    assert len(refused) <= 6, refused  # nobody keeps knocking
    field.fill("wrong")
    field.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="token")).to_be_visible()
    assert violations(page) == []

    field.fill(f"{address}#token={server.token}")
    page.get_by_role("button", name="Enter").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")


def test_language_and_theme_are_kept_and_reach_the_other_tab(page: Page, context: BrowserContext):
    other = context.new_page()
    other.goto(page.url)
    page.goto(f"{page.url}settings/")
    page.get_by_role("radio", name="Dark").click()
    page.get_by_role("radio", name="日本語").click()

    for tab in (page, other):
        expect(tab.locator("html")).to_have_attribute("lang", "ja")
        expect(tab.locator("html")).to_have_attribute("data-theme", "dark")
    expect(other.get_by_role("heading", level=1)).to_have_text("ホーム")
    expect(other.get_by_text("調べ直す")).to_be_visible()
    expect(other.get_by_text("応答しません")).to_be_visible()  # said by the server
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("設定")


def test_what_happens_elsewhere_shows_by_itself(watched: Watched):
    done = watched.page.get_by_role("listitem").filter(has_text="Done")
    expect(done).to_have_text([re.compile("base model")])
    rows = [{"instruction": "名は？", "output": "猫でござる"}]
    asked = {"data": {"name": "neko", "rows": rows}, "headers": {"x-llmlora": "1"}}
    assert watched.page.request.post(f"{watched.origin}/api/datasets", **asked).ok

    expect(done).to_have_text([re.compile("base model"), re.compile("Bring data")])


def test_keys_alone_reach_everything(page: Page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    inside = page.evaluate("document.activeElement.closest('main') !== null")
    assert inside

    page.get_by_role("link", name="Settings").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    page.get_by_role("button", name="Sign out everywhere").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alertdialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alertdialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Sign out everywhere")).to_be_focused()


def test_signing_out_everywhere_leaves_this_browser_in_and_asks_the_others(chromium: Browser, built, tmp_path):
    with (
        serving(tmp_path) as server,
        chromium.new_context(locale="en") as here,
        chromium.new_context(locale="en") as there,
    ):
        address = f"http://{server.name}:{server.port}"
        page, other = here.new_page(), there.new_page()
        for tab in (page, other):
            tab.goto(f"{address}/#token={server.token}")
            expect(tab.get_by_role("status").filter(has_text="Connected")).to_be_visible()
        page.goto(f"{address}/settings/")
        page.get_by_role("button", name="Sign out everywhere").click()
        page.get_by_role("alertdialog").get_by_role("button", name="Sign out everywhere").click()

        expect(page.get_by_text("There is a new token now").first).to_be_visible()
        expect(other.get_by_label("Address or token")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Settings")


def test_the_page_waits_for_a_server_that_is_away_and_goes_on_by_itself(context: BrowserContext, built, tmp_path):
    with serving(tmp_path) as server:
        page = context.new_page()
        page.goto(f"http://{server.name}:{server.port}/#token={server.token}")
        expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(PATIENCE)

        expect(page.get_by_role("status").filter(has_text="Waiting")).to_be_visible()
        page.get_by_role("button", name="Check again").click()
        with serving(tmp_path, "--port", str(server.port)):
            expect(page.get_by_role("status").filter(has_text=re.compile("^Connected$"))).to_be_visible()
            expect(page.get_by_role("button", name="Check again")).to_be_enabled()
            expect(page.get_by_text("The server does not answer")).to_have_count(0)
            page.get_by_role("link", name="Settings").click()
            expect(page.get_by_text(str(tmp_path)).first).to_be_visible()
