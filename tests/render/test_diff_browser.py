"""The page of a difference in a browser: what a reader sees and does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.maps import hostile_map, partial_map, recorded

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.render.html.diff import render_diff
from render.conftest import OpenPage, barriers

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.chromium

LEAK = ("leak-x64-before.dmp.gz", "leak-x64-after.dmp.gz")
X86 = ("fragment-x86.dmp.gz", "exhaust-x86.dmp.gz")

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
TITLE = "Size +/-"

OpenDiff = Callable[..., "Page"]


@pytest.fixture
def open_diff(open_page: OpenPage, tmp_path: Path) -> OpenDiff:
    def open_it(a: RegionMap, b: RegionMap, **options: Any) -> Page:
        path = tmp_path / f"diff-{len(list(tmp_path.iterdir()))}.html"
        path.write_text(render_diff(dumpmap.diff(a, b)), "utf-8")
        return open_page(path, **options)

    return open_it


def column(page: Page, title: str) -> list[str]:
    """The texts of a column, of the rows that are drawn."""
    titles = [text.strip() for text in page.locator("#grid-changes [role=columnheader]").all_inner_texts()]
    cells = page.locator(f"#grid-changes .grid-row > [aria-colindex='{titles.index(title) + 1}']")
    return [text.strip() for text in cells.all_text_contents()]


def test_filters_of_status_type_and_text(open_diff: OpenDiff) -> None:
    page = open_diff(*map(recorded, LEAK))
    frame = dumpmap.diff(*map(recorded, LEAK)).allocations
    assert page.inner_text("#count-changes") == "23 rows: committed +29,120 KB"
    page.locator("#status-chips button", has_text="grown").click()
    assert set(column(page, "Change")) == {"grown"}
    assert page.inner_text("#count-changes").startswith(f"{(frame['status'] == 'grown').sum()} of 23 rows")
    page.click("#filter-clear")
    page.locator("#summary tbody button", has_text="Stack").click()
    assert set(column(page, "Type")) == {"Stack"}
    page.locator("#summary tbody button", has_text="Total").click()
    assert page.inner_text("#count-changes").startswith("23 rows")
    page.keyboard.press("/")
    page.keyboard.type("wine heap")
    expected = frame["kind"].str.contains("Wine heap").sum()
    assert page.inner_text("#count-changes").startswith(f"{expected} of 23 rows")


def test_sorting(open_diff: OpenDiff) -> None:
    page = open_diff(*map(recorded, LEAK))
    frame = dumpmap.diff(*map(recorded, LEAK)).allocations
    page.locator("#grid-changes [role=columnheader] button", has_text=TITLE).click()
    sizes = sorted(frame["size_delta"].tolist(), reverse=True)
    expected = [f"{'+' if size > 0 else MINUS}{abs(size) // 1024:,}" if size else "" for size in sizes]
    assert column(page, TITLE) == expected


def test_a_row_shows_both_sides_and_its_place(open_diff: OpenDiff) -> None:
    page = open_diff(*map(recorded, LEAK))
    whole = page.inner_text("#strip-from"), page.inner_text("#strip-to")
    page.locator("#grid-changes .grid-row").first.click()
    text = page.inner_text("#inspector")
    assert f"0x0000000001ae0000 {DASH} 0x0000000002ae0000" in text
    assert "1 MB → 8 MB" in text
    assert page.locator("#strip-marks .chosen").count() == 1
    low, high = (int(page.inner_text(f"#strip-{end}"), 16) for end in ("from", "to"))
    assert low <= 0x1AE0000 < 0x2AE0000 <= high
    page.click("#zoom-all")
    assert (page.inner_text("#strip-from"), page.inner_text("#strip-to")) == whole
    page.locator("#inspector button", has_text="Close").click()
    assert page.is_hidden("#inspector")


def test_a_mark_opens_its_change(open_diff: OpenDiff) -> None:
    page = open_diff(*map(recorded, X86))
    page.locator("#status-chips button", has_text="moved").last.click()
    page.locator("#strip-marks .grows").last.click(force=True)
    assert page.is_visible("#inspector")
    assert page.inner_text("#inspector h3").split(": ")[1] in ("added", "grown")


def test_strips_point_drag_and_keys(open_diff: OpenDiff) -> None:
    page = open_diff(*map(recorded, X86))
    page.locator("#strip-b-overlay").scroll_into_view_if_needed()
    box = page.locator("#strip-b-overlay").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    assert "Private Data" in page.inner_text("#strips-tip")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20)
    page.mouse.up()
    low, high = (int(page.inner_text(f"#strip-{end}"), 16) for end in ("from", "to"))
    assert abs(low - 0x40000000) < 0x1000000
    assert abs(high - 0x60000000) < 0x1000000
    page.focus("#strip-a-overlay")
    page.keyboard.press("0")
    page.keyboard.press("Home")
    assert f"0x00000000 {DASH} 0x00010000" in page.inner_text("#strips-readout")
    page.keyboard.press("ArrowRight")
    first = page.inner_text("#strips-readout")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#strips-readout") != first
    page.keyboard.press("+")
    assert page.is_enabled("#zoom-all")


@pytest.mark.parametrize("maps", ["hostile", "partial"])
def test_odd_maps_open_in_silence(open_diff: OpenDiff, maps: str) -> None:
    one = hostile_map() if maps == "hostile" else partial_map()
    page = open_diff(recorded("layout-x64.dmp.gz"), one)
    rows = page.locator("#grid-changes .grid-row")
    for index in range(min(6, rows.count())):
        rows.nth(index).click()
    assert page.evaluate("window.broken") is None
    assert page.locator("#out").count() == 0


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_no_barriers_and_no_sideways_scrolling(open_diff: OpenDiff, axe: str, width: int, height: int) -> None:
    page = open_diff(*map(recorded, X86), width=width, height=height, bypass_csp=True)
    page.locator("#grid-changes .grid-row").nth(1).click()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert barriers(page, axe) == []
    page.click("#help-open")
    assert barriers(page, axe) == []
