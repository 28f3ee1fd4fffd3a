"""A page that is watched, and read by all: what axe-core finds wrong with it, in a form that says where."""

from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

SOURCE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
# in the default suite each language, theme and width once; the other ways are trips
BY_DEFAULT = {("ja", "light", 360), ("en", "dark", 1280)}
WAYS = [
    pytest.param(way, marks=[] if way in BY_DEFAULT else pytest.mark.trip, id="-".join(map(str, way)))
    for way in product(("ja", "en"), ("light", "dark"), (360, 1280))
]


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

    def forgive(self, *statuses: str) -> None:
        """The browser complains of answers that were meant."""
        assert self.complaints
        assert [one for one in self.complaints if not any(f"status of {status}" in one for status in statuses)] == []
        self.complaints.clear()

    def _said(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(f"{said.text} ({said.location['url']})")

    def _here(self, url: str) -> None:
        if not url.startswith((self.origin, "data:", "blob:")):
            self.complaints.append(f"asked {url}")


@dataclass
class Reading:
    """Somebody who reads pages in a language, a theme and a width."""

    watched: Watched
    language: str
    theme: str
    width: int

    @property
    def page(self) -> Page:
        return self.watched.page

    def open(self, path: str) -> None:
        self.page.goto(self.watched.origin + path)
        self.page.get_by_role("heading", level=1).first.wait_for()

    def check(self) -> None:
        """Of what the page shows now, nothing is hard to read or wider than the screen."""
        settled(self.page)
        assert violations(self.page) == [], self.page.url
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), self.page.url


@cache
def _source() -> str:
    return SOURCE.read_text("utf-8")


def settled(page: Page) -> None:
    """Everything that is loaded is there, and nothing moves any more."""
    expect(page.locator(".animate-pulse, [aria-busy=true]")).to_have_count(0)
    page.evaluate("Promise.allSettled(document.getAnimations().map((one) => one.finished))")


def violations(page: Page) -> list[str]:
    """One line a violation; an empty list is what is wanted."""
    page.evaluate(_source())
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found for node in one["nodes"]]
