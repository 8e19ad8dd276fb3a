"""A headless Chromium, and pages that have to stay quiet in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dumpmap.api import RegionMap
from dumpmap.render.html import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _chromium() -> str | None:
    """The browser's program: DUMPMAP_CHROMIUM, else the system's."""
    named = os.environ.get("DUMPMAP_CHROMIUM")
    if named:
        return named
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser; tests that ask for it are skipped, with the reason, where it is not there."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    program = _chromium()
    if program is None:
        pytest.skip("no Chromium: install it (apt-get install chromium) or name it in DUMPMAP_CHROMIUM")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, headless=True, args=list(FLAGS))
        yield launched
        launched.close()


@dataclass
class Opened:
    """A page, and what it said and asked for."""

    page: Page
    url: str
    said: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fails if the page said anything or asked for anything but itself."""
        assert self.said == []
        assert [url for url in self.requests if url.split("#")[0] != self.url and not url.startswith("data:")] == []


OpenReport = Callable[..., "Page"]


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[OpenReport]:
    """Writes the report of a map and opens it; afterwards no page may have complained or made a request.

    The function takes the map, and `width`, `height`, `fragment` (of the URL) and options of a browser context.
    """
    opened: list[Opened] = []
    contexts: list[BrowserContext] = []

    def open_it(
        region_map: RegionMap, *, width: int = 1280, height: int = 900, fragment: str = "", **options: Any
    ) -> Page:
        path = tmp_path / f"report-{len(opened)}.html"
        write_report(region_map, path)
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        one = Opened(page, path.as_uri())
        opened.append(one)
        page.on("console", lambda message: one.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: one.said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: one.said.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: one.requests.append(request.url))
        page.goto(one.url + fragment)
        return page

    yield open_it
    for one in opened:
        one.check()
    for context in contexts:
        context.close()
