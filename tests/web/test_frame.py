"""What stands around every page: the way in, languages and themes, and a server that goes and comes back."""

import re
import signal

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.api.server import PATIENCE, Serving, serving
from tests.web.reading import Reading, violations

WORDS = {"ja": {"/": "ホーム", "/settings/": "設定"}, "en": {"/": "Home", "/settings/": "Settings"}}


def test_pages_can_be_read_by_all(reading: Reading):
    for path, heading in WORDS[reading.language].items():
        reading.open(path)
        expect(reading.page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(reading.page.locator("html")).to_have_attribute("lang", reading.language)
        expect(reading.page.locator("html")).to_have_attribute("data-theme", reading.theme)
        reading.check()


def test_the_token_comes_with_the_address_and_does_not_stay_there(stranger: BrowserContext, server: Serving):
    page, address = stranger.new_page(), f"http://{server.name}:{server.port}/"
    page.goto(f"{address}#token={server.token}")

    expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
    assert page.url == address
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")


def test_a_stranger_is_asked_for_the_token_and_a_wrong_one_is_refused(stranger: BrowserContext, server: Serving):
    page = stranger.new_page()
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


def test_what_happens_elsewhere_shows_by_itself(page: Page):
    done = page.get_by_role("listitem").filter(has_text="Done")
    expect(done).to_have_text([re.compile("base model")])
    rows = [{"instruction": "名は？", "output": "猫でござる"}]
    asked = {"data": {"name": "neko", "rows": rows}, "headers": {"x-llmlora": "1"}}
    assert page.request.post(f"{page.url}api/datasets", **asked).ok

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


def test_the_page_waits_for_a_server_that_is_away_and_goes_on_by_itself(stranger: BrowserContext, built, tmp_path):
    with serving(tmp_path) as server:
        page = stranger.new_page()
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
