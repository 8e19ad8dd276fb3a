"""Screenshots of what needs a browser: the report, and the screen of `browse`."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from .sandbox import FIXTURES, Sandbox

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH, HEIGHT = 1100, 700
_REPORT = "dumpmap report tests/fixtures/fragment-x86.dmp.gz -o report.html"
_BROWSED = FIXTURES / "runtimes" / "node-22.dmp.gz"
_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")


def chromium() -> str | None:
    """Returns the browser's program: DUMPMAP_CHROMIUM, else the system's."""
    named = os.environ.get("DUMPMAP_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome")
    return named or next((path for name in names if (path := shutil.which(name))), None)


def report(page: Page, folder: Path) -> None:
    """Opens the report that a command of a page makes, in a window that holds its first screen."""
    page.set_viewport_size({"width": 1440, "height": 900})
    Sandbox(folder).run(_REPORT)
    page.goto((folder / "report.html").as_uri())


def browse(page: Page, folder: Path) -> None:
    """Draws the screen of `browse` with the owners opened."""
    import dumpmap
    from dumpmap.render.browse.app import BrowseApp

    async def drawn() -> str:
        app = BrowseApp(dumpmap.open(_BROWSED), color=True)
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.press("o", "enter")
            await pilot.pause()
            return app.export_screenshot(title="dumpmap browse")

    path = folder / "browse.svg"
    with ThreadPoolExecutor(1) as pool:  # Playwright leaves its event loop running in this thread
        drawing = pool.submit(lambda: asyncio.run(drawn())).result()
    path.write_text(_FONT_FACE.sub("", drawing), encoding="utf-8")
    page.goto(path.as_uri())


SCREENSHOTS: Mapping[str, Callable[[Page, Path], None]] = {"report.png": report, "browse.png": browse}


def make_screenshots(folder: Path) -> int:
    """Makes all screenshots in a folder; returns how many, and 0 where there is no browser."""
    program = chromium()
    if program is None or importlib.util.find_spec("playwright") is None:
        return 0
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as made:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for name, show in SCREENSHOTS.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            show(page, Path(made))
            page.wait_for_timeout(500)
            page.screenshot(path=folder / name)
            page.close()
        browser.close()
    return len(SCREENSHOTS)
