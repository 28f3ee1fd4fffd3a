"""A real Chromium before a real server with the interface that `make web` builds."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.api.server import Serving, serving

ROOT = Path(__file__).parents[2]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--disable-gpu", "--disable-background-networking", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
PATIENCE_MS = 20_000  # other tests run beside these
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Watched:
    """A page, and what should not have happened on it: errors on the console, requests to elsewhere."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda asked: self._here(asked.url))

    def _said(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(f"{said.text} ({said.location['url']})")

    def _here(self, url: str) -> None:
        if not url.startswith((self.origin, "data:", "blob:")):
            self.complaints.append(f"asked {url}")


@pytest.fixture(scope="session")
def built() -> None:
    """The interface, built when it is not or has changed; of tests that run beside each other one builds."""
    with (Path(sys.prefix) / "web.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "--silent", "web"], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def chromium(built: None) -> Iterator[Browser]:
    """A browser for a module: as long as it is there, this thread runs its event loop, which other tests want."""
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None and shutil.which("apt-get") is None:
        pytest.skip("there is no Chromium here, and no apt-get to install it with")
    assert path, "no Chromium: `make browser` as root, or `sudo apt-get install chromium`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server whose data directory is empty, without Ollama."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_MODELS", str(home / "no-ollama"))
        patch.setenv("OLLAMA_HOST", "127.0.0.1:1")
        with serving(home) as started:
            yield started


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that has been nowhere yet; it speaks English."""
    with chromium.new_context(locale="en-US", viewport={"width": 1280, "height": 800}) as opened:
        opened.set_default_timeout(PATIENCE_MS)
        yield opened


@pytest.fixture
def watched(context: BrowserContext, server: Serving) -> Iterator[Watched]:
    """A signed-in page; afterwards nothing may have complained."""
    opened = Watched(context.new_page(), f"http://{server.name}:{server.port}")
    opened.page.goto(f"{opened.origin}/#token={server.token}")
    opened.page.get_by_text("Connected", exact=True).wait_for(state="attached")  # the page is there before one is in
    yield opened
    assert opened.complaints == []


@pytest.fixture
def page(watched: Watched) -> Page:
    """A signed-in page at Home."""
    return watched.page
