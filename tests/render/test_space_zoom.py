"""The map of the address space under hands: exact labels, views of whole pages, and zooming by every means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.maps import partial_map, recorded

import dumpmap
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.snapshot import Process, Snapshot, Source, System, make_regions
from dumpmap.model.winnt import MemState, MemType
from dumpmap.render.html.diff import render_diff
from dumpmap.wording.text import address_text
from render.conftest import OpenPage, OpenReport

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.chromium

PAGE = 4096
NAMES = ("fragment-x86.dmp.gz", "layout-wow64.dmp.gz", "layout-x64.dmp.gz", "managed/managed-10-server.dmp.gz")

KEEP_LABELS = """
  window.labels = [];
  const fill = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    window.labels.push(text);
    fill.call(this, text, ...rest);
  };
"""


def view(page: Page) -> tuple[int, int]:
    """The addresses that the map shows."""
    return int(page.input_value("#range-from"), 16), int(page.input_value("#range-to"), 16)


def show(page: Page, low: int, high: int) -> None:
    """Shows a range by its addresses."""
    page.fill("#range-from", hex(low))
    page.fill("#range-to", hex(high))
    page.press("#range-to", "Enter")


def labels(page: Page, act: Callable[[], Any]) -> list[int]:
    """The addresses that are written before the lines when something is done."""
    page.evaluate("window.labels = []")
    act()
    return [int(text, 16) for text in page.evaluate("window.labels") if text.startswith("0x")]


def place(page: Page, x: float, line: float = 3.5, of: str = "#space-overlay") -> tuple[float, float]:
    """A point over the map, in the window; `x` is a share of the line's length, `line` counts from the top."""
    page.locator("#space-canvas" if of == "#space-overlay" else of).scroll_into_view_if_needed()
    page.wait_for_timeout(400)  # the wheel does not zoom while the page scrolls
    box = page.locator(of).bounding_box()
    assert box is not None
    gutter = len(page.input_value("#range-from")) * 6.9 + 20 if of == "#space-overlay" else 0
    return box["x"] + gutter + x * (box["width"] - gutter), box["y"] + box["height"] * line / 16


@pytest.fixture
def open_labelled(open_report: OpenReport) -> Callable[[RegionMap], Page]:
    """Opens a report that notes what is written on its canvases."""

    def open_it(region_map: RegionMap) -> Page:
        page = open_report(region_map, width=1440, height=900)
        page.context.add_init_script(KEEP_LABELS)
        page.reload()
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    return open_it


def large_address_aware() -> RegionMap:
    """A 32-bit process with 4 GB of address space, which a 64-bit Windows gives it."""
    commit, private = int(MemState.MEM_COMMIT), int(MemType.MEM_PRIVATE)
    rows = [(base, base, 4, size, commit, 4, private) for base, size in ((0x10000, 0x3000), (0x8FFF0000, 0x20000))]
    return map_snapshot(
        Snapshot(
            source=Source(kind="live", name="app.json"),
            process=Process(pid=7, name="app.exe", architecture="x86", pointer_size=4),
            system=System(max_address=0xFFFEFFFF),
            regions=make_regions(rows),
        )
    )


def test_the_lines_of_4_gb_begin_at_round_addresses(open_labelled: Callable[[RegionMap], Page]) -> None:
    page = open_labelled(large_address_aware())
    drawn = labels(page, lambda: page.click("[data-colors=owner]"))
    assert drawn == [line << 28 for line in range(16)]
    assert 0x90000000 in drawn


@pytest.mark.parametrize("name", NAMES)
def test_every_line_begins_at_a_page(open_labelled: Callable[[RegionMap], Page], name: str) -> None:
    page = open_labelled(recorded(name))
    random = np.random.default_rng(7)
    regions = recorded(name).regions
    assert all(address % PAGE == 0 for address in labels(page, lambda: page.click("[data-colors=owner]")))
    for _ in range(6):
        low = int(regions["address"].iloc[random.integers(len(regions))]) + int(random.integers(1, 1 << 20))
        high = low + int(random.integers(1 << 18, 1 << 28))
        drawn = labels(page, lambda low=low, high=high: show(page, low, high))  # type: ignore[misc]
        assert drawn == sorted(set(drawn))
        assert [address % PAGE for address in drawn] == [0] * len(drawn)
        assert drawn[0] == view(page)[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_range_is_widened_to_whole_pages_and_no_further(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map, width=1440, height=900)
    regions = region_map.regions[region_map.regions["committed"] == region_map.regions["size"]]
    for at in range(0, len(regions), max(1, len(regions) // 8)):
        low, size = int(regions["address"].iloc[at]), int(regions["size"].iloc[at])
        if size < 1 << 17:
            continue
        show(page, low + 1, low + size - 1)
        assert view(page) == (low, low + size)


def test_addresses_beyond_2_to_the_53_stay_exact(open_report: OpenReport) -> None:
    region_map = partial_map()
    page = open_report(region_map, width=1440, height=900)
    page.focus("#space-overlay")
    last = region_map.regions.iloc[-1]
    page.keyboard.press("End")
    end = int(last["address"]) + int(last["size"])
    assert f"{address_text(int(last['address']), 16)} \u2013 {address_text(end, 16)}" in page.inner_text(
        "#space-readout"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_drag_zooms_to_whole_pages(open_report: OpenReport, name: str) -> None:
    page = open_report(recorded(name), width=1440, height=900)
    for x, wide in ((0.2, 0.31), (0.123, 0.2), (0.4, 0.017)):
        before = view(page)
        left, y = place(page, x)
        page.mouse.move(left, y)
        page.mouse.down()
        page.mouse.move(left + wide * 900, y, steps=3)
        page.mouse.up()
        low, high = view(page)
        assert low % PAGE == high % PAGE == 0
        assert low < high
        if wide > 0.1:  # a smaller view is widened
            assert before[0] <= low < high <= before[1]
    page.click("#zoom-all")
    assert view(page) == (0, recorded(name).end)


@pytest.mark.parametrize("name", NAMES)
def test_the_wheel_zooms_about_the_pointer(open_report: OpenReport, name: str) -> None:
    page = open_report(recorded(name), width=1440, height=900)
    page.mouse.move(*place(page, 0.6, 5.4))
    whole = view(page)
    page.wait_for_timeout(50)
    text = page.inner_text("#space-tip .mono")
    low, high = (int(part, 16) for part in text.split(" \u2013 "))
    scrolled = page.evaluate("scrollY")
    for _ in range(2):
        before = view(page)
        page.mouse.wheel(0, -100)
        page.wait_for_timeout(60)
        after = view(page)
        assert before[0] <= after[0] < high
        assert low < after[1] <= before[1]
        assert after != before
    assert page.evaluate("scrollY") == scrolled
    for _ in range(4):
        page.mouse.wheel(0, 100)
        page.wait_for_timeout(60)
    assert view(page) == whole
    # With nothing more to show, the wheel scrolls the page again, and goes on doing so.
    page.mouse.wheel(0, 300)
    page.wait_for_timeout(60)
    assert page.evaluate("scrollY") > scrolled
    assert view(page) == whole


def test_the_wheel_does_not_stop_who_scrolls_past(open_report: OpenReport) -> None:
    page = open_report(recorded("fragment-x86.dmp.gz"), width=1440, height=700)
    page.evaluate("scrollTo(0, 1200)")
    page.wait_for_timeout(50)
    whole = view(page)
    page.mouse.move(700, 200)
    for _ in range(10):
        page.mouse.wheel(0, -100)
        page.wait_for_timeout(40)
    assert page.evaluate("scrollY") <= 300
    assert view(page) == whole


def test_a_double_click_zooms_in_and_with_shift_out(open_report: OpenReport) -> None:
    region_map = recorded("fragment-x86.dmp.gz")
    page = open_report(region_map, width=1440, height=900)
    at = place(page, 0.5, 4.5)
    page.mouse.dblclick(*at)
    low, high = view(page)
    assert high - low == pytest.approx(0x80000000 / 4, rel=0.01)
    # The middle of the fifth line of 128 MB.
    assert low < 0x24000000 < high
    assert low % PAGE == high % PAGE == 0
    page.keyboard.down("Shift")
    page.mouse.dblclick(*at)
    page.keyboard.up("Shift")
    assert view(page) == (0, region_map.end)


def test_keys_zoom_and_go_back(open_report: OpenReport) -> None:
    region_map = recorded("managed/managed-10-server.dmp.gz")
    page = open_report(region_map, width=1440, height=900)
    page.focus("#space-overlay")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    pinned = int(page.inner_text("#space-readout .mono").split()[0], 16)
    widths = []
    for key in ("+", "+", "-", "0"):
        page.keyboard.press(key)
        low, high = view(page)
        assert low <= pinned <= high
        widths.append(high - low)
    assert widths[1] < widths[0] < widths[3]
    assert view(page) == (0, region_map.end)


def test_two_fingers_zoom(open_report: OpenReport) -> None:
    page = open_report(recorded("fragment-x86.dmp.gz"), width=820, height=1100, has_touch=True)
    x, y = place(page, 0.5, 4.5)
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: float) -> None:
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": at, "y": y, "id": i} for i, at in enumerate(points)]},
        )

    touch("touchStart", x - 40)
    touch("touchStart", x - 40, x + 40)
    for step in range(1, 5):
        touch("touchMove", x - 40 - 20 * step, x + 40 + 20 * step)
    touch("touchEnd")
    low, high = view(page)
    assert high - low == pytest.approx(0x80000000 / 3, rel=0.1)
    assert low < 0x24000000 < high


@pytest.mark.parametrize(
    "names", [("leak-x64-before.dmp.gz", "leak-x64-after.dmp.gz"), ("layout-x86.dmp.gz", "fragment-x86.dmp.gz")]
)
def test_the_strips_of_a_difference_zoom_in_the_same_way(
    open_page: OpenPage, names: tuple[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "diff.html"
    path.write_text(render_diff(dumpmap.diff(*map(recorded, names))), "utf-8")
    page = open_page(path, width=1440, height=900)

    def shown() -> tuple[int, int]:
        return int(page.inner_text("#strip-from"), 16), int(page.inner_text("#strip-to"), 16)

    whole = shown()
    at = place(page, 0.4, 8, of="#strip-a-overlay")
    page.mouse.move(*at)
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(60)
    low, high = shown()
    assert whole[0] < low < high < whole[1]
    assert low % PAGE == high % PAGE == 0
    page.click("#zoom-all")
    page.mouse.dblclick(*at)
    assert shown()[0] % PAGE == shown()[1] % PAGE == 0
    assert shown() != whole
    page.click("#zoom-all")
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + 217, at[1], steps=3)
    page.mouse.up()
    assert shown()[0] % PAGE == shown()[1] % PAGE == 0
    assert shown() != whole
