"""A real Chromium before a real server with the interface that `make web` builds."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.api.server import Serving, serving
from tests.web.reading import WAYS, Reading, Watched

ROOT = Path(__file__).parents[2]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# with one process a site, pages of a browser share what it has compiled
FLAGS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--process-per-site",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
DESK = {"width": 1280, "height": 800}
PATIENCE_MS = 30_000  # other tests run beside these, and the first plan starts a process that loads torch
expect.set_options(timeout=PATIENCE_MS)


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
def stranger(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that has been nowhere yet; it speaks English."""
    with chromium.new_context(locale="en-US", viewport=DESK) as opened:
        opened.set_default_timeout(PATIENCE_MS)
        yield opened


@pytest.fixture(scope="module")
def warm(chromium: Browser, server: Serving) -> Iterator[Page]:
    """A page that stays open in a browser that the server has let in: others of its browser are there much sooner."""
    with chromium.new_context(locale="en-US", viewport=DESK) as opened:
        opened.set_default_timeout(PATIENCE_MS)
        let_in(opened, server)
        page = opened.new_page()
        page.goto(f"http://{server.name}:{server.port}/healthz")
        yield page


@pytest.fixture
def context(warm: Page) -> Iterator[BrowserContext]:
    """A browser that is let in and remembers nothing else."""
    warm.evaluate("localStorage.clear()")
    yield warm.context
    for page in warm.context.pages:
        if page is not warm:
            page.close()


def let_in(context: BrowserContext, server: Serving) -> None:
    token = {"data": {"token": server.token}, "headers": {"x-llmlora": "1"}}
    assert context.request.post(f"http://{server.name}:{server.port}/api/session", **token).ok


@contextmanager
def watching(context: BrowserContext, server: Serving) -> Iterator[Watched]:
    """A page that has been nowhere yet; afterwards nothing may have complained."""
    opened = Watched(context.new_page(), f"http://{server.name}:{server.port}")
    yield opened
    assert opened.complaints == []


@pytest.fixture
def watched(context: BrowserContext, server: Serving) -> Iterator[Watched]:
    with watching(context, server) as opened:
        yield opened


@pytest.fixture
def page(watched: Watched) -> Page:
    """A signed-in page at Home."""
    watched.page.goto(watched.origin)
    watched.page.get_by_text("Connected", exact=True).wait_for(state="attached")
    return watched.page


@pytest.fixture(params=WAYS)
def reading(request: pytest.FixtureRequest, chromium: Browser, server: Serving) -> Iterator[Reading]:
    """Somebody who reads the server's pages, in each way in turn."""
    language, theme, width = request.param
    looks = {"locale": language, "color_scheme": theme, "viewport": {"width": width, "height": 800}}
    with chromium.new_context(reduced_motion="reduce", **looks) as context:
        context.set_default_timeout(PATIENCE_MS)
        let_in(context, server)
        with watching(context, server) as opened:
            yield Reading(opened, language, theme, width)
