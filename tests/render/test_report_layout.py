"""What the report shows without scrolling, what a choice brings into view, and what gives way in a narrow window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.maps import hostile_map, partial_map, recorded

from dumpmap.model.types import RegionType
from render.conftest import OpenReport, barriers

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.chromium

SHOWN = (
    "fragment-x86.dmp.gz",
    "exhaust-x86.dmp.gz",
    "layout-x64.dmp.gz",
    "managed/managed-10-server.dmp.gz",
    "runtimes/dotnet-10.dmp.gz",
    "runtimes/full-node-22.dmp.gz",
    "runtimes/java-25-g1.dmp.gz",
)

TOP_BAR = 46
PHONE = {"width": 390, "height": 844}


def box(page: Page, selector: str) -> dict[str, float]:
    """Where an element is in the window."""
    found = page.locator(selector).first.bounding_box()
    assert found is not None, selector
    return {name: float(found[name]) for name in ("x", "y", "width", "height")}


def is_in_view(page: Page, selector: str, height: int = 900, width: int = 1440) -> bool:
    """Whether all of an element is in the window, below the bar at its top."""
    at = box(page, selector)
    down = TOP_BAR <= at["y"] < at["y"] + at["height"] <= height
    return down and 0 <= at["x"] < at["x"] + at["width"] <= width


def choose_type(page: Page, region_type: RegionType) -> None:
    """Selects a type in the table of types."""
    page.click(f"#summary tr[data-type='{int(region_type)}'] button")


@pytest.mark.parametrize("name", SHOWN)
def test_the_first_screen_has_the_answer(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map, width=1440, height=900)
    assert page.evaluate("scrollY") == 0
    for selector in ("h1", ".verdict-name", ".verdict > p", ".axes", ".bars", "#space-canvas", "#space .legend"):
        assert is_in_view(page, selector), selector
    assert page.inner_text("h1") == region_map.process.name
    lines = page.locator(".takers > div").first.locator("li")
    assert lines.count() == 5
    for at in range(5):
        found = lines.nth(at).bounding_box()
        assert found is not None
        assert found["y"] + found["height"] <= 900
    assert not page.is_visible(".facts")
    page.click("#about summary")
    assert page.is_visible(".facts")
    assert "PID" in page.inner_text(".facts")


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_is_wider_than_a_phone(open_report: OpenReport, name: str) -> None:
    page = open_report(recorded(name), **PHONE)
    page.click("#about summary")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    wider = page.evaluate(
        """() => [...document.querySelectorAll("main *:not(.scroll-x *, .grid *, .tabs *, svg *)")]
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5 && one.offsetParent !== null)
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert wider == []


@pytest.mark.parametrize("make", [partial_map, hostile_map])
def test_the_first_screen_without_owners_or_with_odd_names(open_report: OpenReport, make: Any) -> None:
    page = open_report(make(), width=1440, height=900)
    for selector in ("h1", ".verdict-name", ".verdict > p", ".bars", "#space-canvas"):
        assert is_in_view(page, selector), selector


# ---------------------------------------------------------------- what a choice brings into view


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("fragment-x86.dmp.gz", RegionType.PRIVATE_DATA),
        ("managed/managed-10-server.dmp.gz", RegionType.MANAGED_HEAP),
    ],
)
def test_a_type_brings_its_rows_into_view(open_report: OpenReport, name: str, chosen: RegionType) -> None:
    page = open_report(recorded(name), width=1440, height=900)
    choose_type(page, chosen)
    row = "#grid-allocations .grid-row"
    assert is_in_view(page, row)
    assert box(page, row)["y"] < 450
    assert is_in_view(page, "#count-allocations")
    # Select it again, and all types are back; the reader stays where they are.
    page.locator("#summary").scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    choose_type(page, chosen)
    assert page.evaluate("scrollY") == before


def test_an_owner_brings_its_rows_into_view(open_report: OpenReport) -> None:
    page = open_report(recorded("runtimes/node-18.dmp.gz"), width=1440, height=900)
    page.click(".takers button[data-value=V8]")
    assert is_in_view(page, "#grid-allocations .grid-row")
    page.evaluate("scrollTo(0, 0)")
    page.locator("#owner-table tbody tr", has_text="No owner").first.locator("button").click()
    assert is_in_view(page, "#grid-allocations .grid-row")


@pytest.mark.parametrize("name", ["fragment-x86.dmp.gz", "managed/managed-10-server.dmp.gz"])
def test_the_details_stand_beside_the_table(open_report: OpenReport, name: str) -> None:
    page = open_report(recorded(name), width=1440, height=900)
    choose_type(page, RegionType.PRIVATE_DATA)
    page.locator("#grid-allocations .grid-row").nth(3).click()
    table, details = box(page, "#grid-allocations .grid"), box(page, "#inspector")
    assert details["x"] >= table["x"] + table["width"]
    assert is_in_view(page, "#inspector")
    # They stay in view while the page is scrolled along the table, and while the table is.
    page.mouse.move(200, 20)
    page.mouse.wheel(0, 120)
    page.wait_for_timeout(100)
    assert is_in_view(page, "#inspector")
    page.evaluate("document.querySelector('#grid-allocations .grid').scrollTop = 300")
    assert is_in_view(page, "#inspector")


def test_the_details_are_a_sheet_on_a_phone(open_report: OpenReport) -> None:
    page = open_report(recorded("managed/managed-10-server.dmp.gz"), **PHONE)
    choose_type(page, RegionType.PRIVATE_DATA)
    page.locator("#grid-allocations .grid-row").first.click(position={"x": 100, "y": 10})
    sheet = box(page, "#inspector")
    assert sheet["y"] + sheet["height"] == PHONE["height"]
    assert sheet["height"] <= PHONE["height"] / 2
    assert (sheet["x"], sheet["width"]) == (0, PHONE["width"])
    row = box(page, "#grid-allocations .grid-row[aria-selected=true]")
    assert TOP_BAR <= row["y"] < sheet["y"]
    page.evaluate("scrollTo(0, 0)")
    assert box(page, "#inspector") == sheet
    page.press("#inspector", "Escape")
    assert not page.is_visible("#inspector")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "treegrid"
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, PHONE])
def test_no_barriers_beside_the_details(open_report: OpenReport, axe: str, size: dict[str, int]) -> None:
    page = open_report(recorded("fragment-x86.dmp.gz"), bypass_csp=True, **size)
    page.click("#about summary")
    for summary in page.locator(".finding summary").all():
        summary.click()
    choose_type(page, RegionType.PRIVATE_DATA)
    page.locator("#grid-allocations .grid-row").first.click(position={"x": 100, "y": 10})
    assert barriers(page, axe) == []


def test_every_control_has_a_visible_focus(open_report: OpenReport) -> None:
    page = open_report(recorded("fragment-x86.dmp.gz"), width=1440, height=900)
    choose_type(page, RegionType.PRIVATE_DATA)
    page.locator("#grid-allocations .grid-row").first.click()
    page.focus(".skip")
    reached: set[str] = set()
    for _ in range(160):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const one = document.activeElement;
              const style = getComputedStyle(one);
              const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
              const name = one.id || one.textContent.trim().slice(0, 30);
              return [name, one.localName, ring || one === document.body];
            }"""
        )
        name, kind, ring = seen
        assert ring, seen
        if kind == "body":
            break
        reached.add(name)
    for control in (
        "lookup", "theme", "help-open", "space-overlay", "range-from", "zoom-in", "filter-text", "filter-size",
        "filter-clear", "Copy", "Save CSV", "inspector", "tab-allocations", "About the file",
    ):  # fmt: skip
        assert any(control in name for name in reached), control


# ---------------------------------------------------------------- columns


def test_rows_begin_with_the_largest(open_report: OpenReport) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"), width=1440, height=900)
    for tab, column in (("allocations", "Size"), ("modules", "Size"), ("heaps", "Reserved"), ("stacks", "Reserve")):
        page.click(f"#tab-{tab}")
        head = page.locator(f"#grid-{tab} [aria-sort=descending]")
        assert head.inner_text() == column
        index = head.get_attribute("aria-colindex")
        texts = page.locator(f"#grid-{tab} .grid-row:not(.child) > [aria-colindex='{index}']").all_inner_texts()
        sizes = [int(text.replace(",", "")) for text in texts if text]
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) > 1


@pytest.mark.parametrize("name", ["fragment-x86.dmp.gz", "managed/managed-10-server.dmp.gz"])
@pytest.mark.parametrize("width", [390, 800, 1100, 1440, 1900])
def test_evidence_gives_way_before_details_and_protection(open_report: OpenReport, name: str, width: int) -> None:
    page = open_report(recorded(name), width=width, height=900)
    heads = "#grid-allocations [role=columnheader]"
    everything = page.locator(heads).count()
    shown = [text.strip() for text in page.locator(f"{heads}:visible").all_inner_texts()]
    assert {"Address", "Type", "Size", "Committed", "Protection", "Details"} <= set(shown)
    grid = page.locator("#grid-allocations .grid")
    fits = grid.evaluate("grid => grid.scrollWidth <= grid.clientWidth")
    if not fits:
        assert not {"Evidence", "Kind", "Owner", "Owner module"} & set(shown)
    if "Evidence" not in shown:
        assert "Owner module" not in shown
        assert "Evidence" in page.inner_text("#left-out")
    assert page.is_visible("#left-out") == (len(shown) < everything)
    # Cells stand under their headings, and the inspector says what the row cannot.
    row = page.locator("#grid-allocations .grid-row").first
    numbers = [cell.get_attribute("aria-colindex") for cell in row.locator("> div").all()]
    assert numbers == [cell.get_attribute("aria-colindex") for cell in page.locator(f"{heads}:visible").all()]
    if width >= 1100:
        assert fits
    row.click(position={"x": 60, "y": 10})
    assert "Evidence" in page.inner_text("#inspector")
