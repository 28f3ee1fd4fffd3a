"""Pictures for the README, of the real thing: a server of its own, a real job on a sample model, a real conversation.

make screenshots        writes docs/images/NAME.LANGUAGE.THEME.png
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect, sync_playwright

from llmlora.demo.run import demo_recipe
from llmlora.demo.style import material

IMAGES = Path(__file__).parents[1] / "docs" / "images"
PATIENCE_MS = 30_000
SIZE = {"width": 1280, "height": 960}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--disable-gpu", "--disable-background-networking", *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def main() -> None:
    """Make what is to be seen, then look at it in both languages and both themes."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        sys.exit("no Chromium here: `sudo apt-get install chromium`")
    with tempfile.TemporaryDirectory() as home, served(Path(home)) as (client, token), sync_playwright() as playwright:
        pages = prepare(client)
        with playwright.chromium.launch(executable_path=browser, args=FLAGS) as opened:
            for language in ("ja", "en"):
                for theme in ("light", "dark"):
                    look(opened, str(client.base_url), token, pages, language, theme)


@contextmanager
def served(home: Path) -> Iterator[tuple[httpx.Client, str]]:
    """`llmlora serve` in an empty data directory, and a client that holds its token."""
    environment = {**os.environ, "LLMLORA_HOME": str(home), "LLMLORA_LANG": "ja"}
    command = [sys.executable, "-m", "llmlora", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
        address, _, token = process.stdout.readline().split()[-1].partition("/#token=")
        try:
            with httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=300) as client:
                yield client, token
        finally:
            process.terminate()


def prepare(client: httpx.Client) -> dict[str, str]:
    """A data set, a finished job and a conversation; the pages that show them, by name."""
    dataset = client.post("/api/datasets/sample").raise_for_status().json()["id"]
    recipe = demo_recipe().model_dump(mode="json", exclude={"data", "mapping"})
    asked = {"name": "〜でござる", "dataset_id": dataset, "recipe": recipe}
    job = client.post("/api/training/jobs", json=asked).raise_for_status().json()["id"]
    while (state := client.get(f"/api/training/jobs/{job}/progress").json()["state"]) != "succeeded":
        if state in ("failed", "cancelled"):
            sys.exit(f"the job has {state}")
        time.sleep(0.5)
    chat = client.post("/api/chats", json={"job_id": job}).raise_for_status().json()["id"]
    for question in material().test_prompts[:2]:
        said = {"content": question, "compare": True, "max_tokens": 48, "temperature": 0}
        client.post(f"/api/chats/{chat}/messages", json=said).raise_for_status()
    return {
        "tokens": f"/datasets/?id={dataset}&tab=tokens&model={recipe['model']}",
        "job": f"/training/?id={job}",
        "chat": f"/chat/?id={chat}",
    }


def look(browser: Browser, address: str, token: str, pages: dict[str, str], language: str, theme: str) -> None:
    """Take a picture of each page once it is still."""
    context = browser.new_context(viewport=SIZE, locale=language, color_scheme=theme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{address}/#token={token}")
    page.get_by_text({"ja": "接続中", "en": "Connected"}[language], exact=True).wait_for(state="attached")
    for name, path in pages.items():
        page.goto(f"{address}{path}")
        expect(page.locator("[aria-busy=true], .animate-pulse")).to_have_count(0, timeout=PATIENCE_MS)
        if name == "tokens":
            page.get_by_role("listbox").last.scroll_into_view_if_needed()
        page.wait_for_timeout(1500)  # the chart is drawn in a frame of its own
        page.screenshot(path=IMAGES / f"{name}.{language}.{theme}.png")
    context.close()


if __name__ == "__main__":
    main()
