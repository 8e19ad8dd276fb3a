"""Pages that have to stay quiet in a browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dumpmap.api import RegionMap
from dumpmap.render.html import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


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
        assert [
            url for url in self.requests if url.split("#")[0] != self.url and not url.startswith(("data:", "blob:"))
        ] == []


OpenPage = Callable[..., "Page"]
OpenReport = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a page from a file; afterwards no page may have complained or made a request.

    The function takes the file, and `width`, `height`, `fragment` (of the URL) and options of a browser context.
    """
    opened: list[Opened] = []
    contexts: list[BrowserContext] = []

    def open_it(path: Path, *, width: int = 1280, height: int = 900, fragment: str = "", **options: Any) -> Page:
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
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield open_it
    for one in opened:
        one.check()
    for context in contexts:
        context.close()


@pytest.fixture
def open_report(open_page: OpenPage, tmp_path: Path) -> OpenReport:
    """Writes the report of a map and opens it; takes the map, and the options of `open_page`."""
    numbers = count()

    def open_it(region_map: RegionMap, **options: Any) -> Page:
        path = tmp_path / f"report-{next(numbers)}.html"
        write_report(region_map, path)
        return open_page(path, **options)

    return open_it


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which looks for barriers; DUMPMAP_AXE names the file, else the Python package has it."""
    named = os.environ.get("DUMPMAP_AXE")
    if named is None:
        package = pytest.importorskip(
            "axe_playwright_python",
            reason="no axe-core: pip install axe-playwright-python, or name axe.min.js in DUMPMAP_AXE",
        )
        named = str(Path(package.__file__).parent / "axe.min.js")
    return Path(named).read_text("utf-8")


def barriers(page: Page, axe: str) -> list[str]:
    """What axe finds on a page: rule and first element. The page needs a context with `bypass_csp`.

    In the dark scheme only the colors differ, and only the rule about them is run again.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe)
    found: list[dict[str, Any]] = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    page.emulate_media(color_scheme="dark")
    found += page.evaluate("axe.run({runOnly: ['color-contrast'], resultTypes: ['violations']})")["violations"]
    page.emulate_media(color_scheme="light")
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]
