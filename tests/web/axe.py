"""What axe-core finds wrong with a page, in a form that says where."""

from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

SOURCE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


# Each language and each theme once; the other pairs are trips.
WAYS = [
    ("ja", "light"),
    ("en", "dark"),
    pytest.param("ja", "dark", marks=pytest.mark.trip),
    pytest.param("en", "light", marks=pytest.mark.trip),
]


@cache
def _source() -> str:
    return SOURCE.read_text("utf-8")


def settled(page: Page) -> None:
    """Everything that is loaded is there, and nothing moves any more."""
    expect(page.locator(".animate-pulse")).to_have_count(0)
    page.evaluate("Promise.allSettled(document.getAnimations().map((one) => one.finished))")


def violations(page: Page) -> list[str]:
    """One line a violation; an empty list is what is wanted."""
    page.evaluate(_source())
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found for node in one["nodes"]]
