"""The page in a browser: what a reader sees and does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from support.maps import (
    HOSTILE,
    ODD_ADDRESSES,
    RECORDED,
    TEXTS,
    hostile_map,
    large_map,
    partial_map,
    recorded,
    working_set_map,
)

from dumpmap.api import RegionMap
from dumpmap.model.types import TYPES, RegionType
from dumpmap.wording.text import address_text, size_text
from render.conftest import OpenReport, barriers

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.chromium

DASH = "\u2013"

FULL = ("fragment-x86.dmp.gz", "layout-wow64.dmp.gz", "layout-x64.dmp.gz")


def count_line(page: Page) -> str:
    """The line above the allocations that counts and sums them."""
    return page.inner_text("#count-allocations")


def expected_count(shown: pd.DataFrame, everything: pd.DataFrame) -> str:
    """What that line has to say."""
    rows = f"{len(shown):,} rows" if len(shown) == len(everything) else f"{len(shown):,} of {len(everything):,} rows"
    sums = []
    for name in ("size", "committed", "private"):
        known = shown[name].dropna()
        unknown = shown[name].isna() & ~shown["type"].isin(["Free", "Unusable"])
        if len(known):
            least = "at least " if unknown.any() else ""
            sums.append(f"{name} {least}{size_text(int(known.sum()))}")
    return f"{rows}: {', '.join(sums)} KB" if sums else rows


def largest_first(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order in which the page begins: the largest first, rows of one size by address."""
    return frame.sort_values("size", ascending=False, kind="stable")


def column(page: Page, title: str, grid: str = "#grid-allocations") -> list[str]:
    """The texts of a column, of the rows that are drawn."""
    index = column_index(page, title, grid)
    return [text.strip() for text in page.locator(f"{grid} .grid-row > [aria-colindex='{index}']").all_inner_texts()]


def headings(page: Page, grid: str = "#grid-allocations") -> list[str]:
    """The headings of a table that have room."""
    return [text.strip() for text in page.locator(f"{grid} [role=columnheader]:visible").all_inner_texts()]


def column_index(page: Page, title: str, grid: str = "#grid-allocations") -> str:
    """The number of a column among all, also those that have no room."""
    heads = page.locator(f"{grid} [role=columnheader]:visible")
    return heads.nth(headings(page, grid).index(title)).get_attribute("aria-colindex") or ""


def addresses(page: Page, grid: str = "#grid-allocations") -> list[str]:
    """The addresses of the rows that are drawn, their arrows left out."""
    return page.locator(f"{grid} .grid-row .first .mono").all_inner_texts()


def look_up(page: Page, text: str) -> str:
    """Asks what is at an address and returns the answer."""
    page.fill("#lookup", text)
    page.press("#lookup", "Enter")
    return page.inner_text("#lookup-answer")


INSPECTOR = """[...document.querySelectorAll("#inspector dl > div")].map((div) => [div.querySelector("dt").innerText,
  [...div.querySelectorAll("dd")].map((dd) => dd.innerText).join("\\n")])"""


def inspector(page: Page) -> dict[str, str]:
    """What the panel below the table says, by label."""
    return dict(page.evaluate(INSPECTOR))


def look_up_all(page: Page, texts: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Asks for several addresses in one go: the answers, and what the panel says of each."""
    told = page.evaluate(
        f"""(texts) => texts.map((text) => {{
          document.getElementById("lookup").value = text;
          document.getElementById("lookup-form").requestSubmit();
          return [document.getElementById("lookup-answer").innerText, {INSPECTOR}];
        }})""",
        texts,
    )
    return [(answer, dict(pairs)) for answer, pairs in told]


def wide(page: Page) -> bool:
    """Whether the page itself scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


# ---------------------------------------------------------------- as opened


@pytest.mark.parametrize("name", RECORDED)
def test_a_page_opens_in_silence_and_shows_the_map(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map)
    assert page.inner_text("h1") == region_map.process.name
    assert page.evaluate("document.documentElement.dataset.ready") is not None
    assert count_line(page) == expected_count(region_map.allocations, region_map.allocations)
    width = region_map.address_width
    expected = [address_text(address, width) for address in largest_first(region_map.allocations)["address"].tolist()]
    shown = addresses(page)
    assert len(shown) >= 15
    assert shown == expected[: len(shown)]
    for tab, count in (
        ("stacks", len(region_map.stacks)),
        ("heaps", len(region_map.heaps)),
        ("modules", len(region_map.snapshot.modules) + len(region_map.snapshot.unloaded_modules)),
    ):
        page.click(f"#tab-{tab}")
        assert page.inner_text(f"#tab-{tab} .count") == str(count)
        if count:
            assert page.inner_text(f"#count-{tab}").startswith(f"{count} rows")
            assert page.locator(f"#grid-{tab} .grid-row").count() > 0
        else:
            assert page.locator(f"#grid-{tab} .grid-row").count() == 0
    page.click("#tab-input")
    for stream in region_map.snapshot.source.streams:
        assert stream.name in page.inner_text("#panel-input")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (800, 1000), (420, 800), (1920, 1080)])
@pytest.mark.parametrize("name", ["layout-x64.dmp.gz", "exhaust-x86.dmp.gz"])
def test_the_page_never_scrolls_sideways(open_report: OpenReport, name: str, width: int, height: int) -> None:
    page = open_report(recorded(name), width=width, height=height)
    assert not wide(page)
    for tab in ("stacks", "heaps", "modules", "input", "allocations"):
        page.click(f"#tab-{tab}")
        assert not wide(page), tab
    look_up(page, "0x10000")
    assert not wide(page)
    page.click("#help-open")
    assert not wide(page)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_no_barriers(open_report: OpenReport, axe: str, width: int, height: int) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"), width=width, height=height, bypass_csp=True)
    look_up(page, "0x10000")
    assert barriers(page, axe) == []
    page.click("#tab-input")
    assert barriers(page, axe) == []
    page.click("#help-open")
    assert barriers(page, axe) == []


def test_without_scripts_the_summary_is_there(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    page = open_report(region_map, java_script_enabled=False)
    assert page.locator("#summary tbody tr").count() == len(region_map.summary_lines)
    assert "need JavaScript" in page.inner_text("noscript p")


def test_the_map_of_an_empty_input_opens(open_report: OpenReport) -> None:
    from dumpmap.api import map_snapshot
    from dumpmap.model.snapshot import Process, Snapshot, Source

    page = open_report(map_snapshot(Snapshot(source=Source(kind="live", name="x"), process=Process())))
    assert count_line(page) == "0 rows"
    assert "does not describe" in look_up(page, "0x1000") or "outside" in look_up(page, "0x1000")


# ---------------------------------------------------------------- harmless


def test_hostile_names_are_shown_and_do_nothing(open_report: OpenReport) -> None:
    region_map = hostile_map()
    page = open_report(region_map)
    assert page.inner_text("h1") == region_map.process.name
    for tab, texts in (
        ("stacks", HOSTILE),
        ("heaps", HOSTILE),
        ("modules", [f"{name}.dll" for name in HOSTILE if "\\" not in name and "/" not in name]),
    ):
        page.click(f"#tab-{tab}")
        shown = page.evaluate(f"document.getElementById('grid-{tab}').textContent")
        for text in texts:
            assert text in shown, (tab, text)
    page.click("#tab-allocations")
    page.click("#expand-all")
    for name in HOSTILE:
        page.fill("#filter-text", name)
        page.wait_for_timeout(50)
        assert not count_line(page).startswith("0 of"), name
        page.locator("#grid-allocations .grid-row").first.click(position={"x": 300, "y": 10})
    page.click("#filter-clear")
    heap = next(heap for heap in region_map.heaps if heap.name == HOSTILE[1])
    assert HOSTILE[1] in look_up(page, hex(heap.allocations[0][0]))
    assert HOSTILE[1] in inspector(page)["Details"]
    page.focus("#space-overlay")
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("window.broken") is None
    assert page.locator("#out").count() == 0
    made = page.evaluate("[...new Set([...document.body.querySelectorAll('*')].map(e => e.localName))]")
    assert {"img", "iframe", "object"} & set(made) == set()
    assert page.evaluate("document.scripts.length") == 2


def test_a_script_that_is_not_the_pages_own_does_not_run(browser: Any, tmp_path: Any) -> None:
    from dumpmap.render.html import render_report

    text = render_report(recorded("layout-x86-plain.dmp")).replace("<main>", "<main><script>window.broken = 1</script>")
    (tmp_path / "page.html").write_text(text, "utf-8")
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("window.broken") is None
    assert any("Content Security Policy" in text for text in refused)
    page.close()


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize("name", FULL)
def test_every_column_sorts_both_ways_with_the_unknown_last(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map, width=1900)  # room for every column
    frame = region_map.allocations
    for title in headings(page):
        key = title.lower().replace(" ", "_")
        values = frame["type"].cat.codes if key == "type" else frame[key]
        numeric = key in ("address", "type", "size", "committed", "private", "blocks")
        if not numeric:
            values = values.mask(values == "")
        known = values.dropna()
        cell = page.locator("#grid-allocations [role=columnheader]", has_text=re.compile(f"^{title}$"))
        for _ in range(2):
            cell.locator("button").click()
            order = cell.get_attribute("aria-sort")
            assert order in ("ascending", "descending")
            first = column(page, title)[0]
            if key in TEXTS:
                # The browser's collation differs from Python's in punctuation; the ends of the table must be known.
                assert (first != "") == (len(known) > 0)
                continue
            extreme = known.max() if order == "descending" else known.min()
            if key == "address":
                assert first == address_text(int(extreme), region_map.address_width)
            elif key == "type":
                assert first == TYPES[int(extreme)].name
            elif key == "blocks":
                assert first == f"{int(extreme):,}"
            else:
                assert first == size_text(int(extreme))
            page.evaluate("document.querySelector('#grid-allocations .grid').scrollTop = 1e9")
            page.wait_for_timeout(60)
            if len(known) < len(frame):
                assert column(page, title)[-1] == ""
            page.evaluate("document.querySelector('#grid-allocations .grid').scrollTop = 0")
            page.wait_for_timeout(60)


def test_equal_rows_keep_their_order(open_report: OpenReport) -> None:
    region_map = recorded("fragment-x86.dmp.gz")
    page = open_report(region_map)
    page.click("#grid-allocations [role=columnheader] button >> text=Type")
    page.click("#grid-allocations [role=columnheader] button >> text=Type")
    free = region_map.allocations[region_map.allocations["type"] == "Free"]
    expected = [address_text(address, region_map.address_width) for address in free["address"].tolist()]
    shown = addresses(page)[: len(expected)]
    assert shown == expected[: len(shown)]


@pytest.mark.parametrize("name", FULL)
def test_a_type_of_the_summary_filters(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map)
    frame, regions = region_map.allocations, region_map.regions
    for type_ in (RegionType.STACK, RegionType.IMAGE, RegionType.FREE):
        label = TYPES[type_].name
        page.click(f"#summary tr[data-type='{int(type_)}'] button")
        inside = regions.loc[regions["type"] == label, "allocation"]
        wanted = frame[(frame["type"] == label) | frame["address"].isin(inside)]
        assert count_line(page) == expected_count(wanted, frame)
        assert page.get_attribute(f"#summary tr[data-type='{int(type_)}'] button", "aria-pressed") == "true"
        assert page.get_attribute(f"#type-chips button[data-type='{int(type_)}']", "aria-pressed") == "true"
    page.click(f"#summary tr[data-type='{int(RegionType.FREE)}'] button")
    assert count_line(page) == expected_count(frame, frame)
    # Chips add up; the total row clears them.
    for type_ in (RegionType.HEAP, RegionType.STACK):
        page.click(f"#type-chips button[data-type='{int(type_)}']")
    labels = ["Heap", "Stack"]
    inside = regions.loc[regions["type"].isin(labels), "allocation"]
    wanted = frame[frame["type"].isin(labels) | frame["address"].isin(inside)]
    assert count_line(page) == expected_count(wanted, frame)
    page.click("#summary tr[data-type='-1'] button")
    assert count_line(page) == expected_count(frame, frame)


def test_text_and_size_filter(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    page = open_report(region_map)
    frame, regions = region_map.allocations, region_map.regions
    texts = ["protection", "details", "kind", "evidence", "type"]

    def wanted(text: str) -> pd.DataFrame:
        def hit(table: pd.DataFrame) -> pd.Series[bool]:
            found = pd.Series(False, index=table.index)
            for name in texts:
                found |= table[name].astype(str).str.lower().str.contains(text.lower(), regex=False)
            if re.fullmatch(r"(0x)?[0-9a-f]{3,16}", text.lower()):
                padded = table["address"].map(lambda address: address_text(address, region_map.address_width))
                found |= padded.str.contains(text.lower(), regex=False)
            return found

        return frame[hit(frame) | frame["address"].isin(regions.loc[hit(regions), "allocation"])]

    for text in ("ntdll", "GUARD", ".text", "heap-list", "7ff", "0x00007f", "no such text"):
        page.fill("#filter-text", text)
        page.wait_for_function("text => true", arg=text)
        page.wait_for_timeout(50)
        assert count_line(page) == expected_count(wanted(text), frame), text
    assert page.is_visible("text=No rows match.")
    page.fill("#filter-text", "")
    for text, size in (
        ("64", 65536),
        ("64 KB", 65536),
        ("1M", 1 << 20),
        ("1.5 mb", 3 << 19),
        ("4096 bytes", 4096),
        ("1GB", 1 << 30),
    ):
        page.fill("#filter-size", text)
        page.wait_for_timeout(50)
        assert count_line(page) == expected_count(frame[frame["size"] >= size], frame), text
    page.fill("#filter-size", "much")
    page.wait_for_timeout(50)
    assert page.get_attribute("#filter-size", "aria-invalid") == "true"
    page.click("#filter-clear")
    assert count_line(page) == expected_count(frame, frame)
    assert page.get_attribute("#filter-size", "aria-invalid") == "false"


def test_a_match_inside_an_allocation_opens_it(open_report: OpenReport) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"))
    page.fill("#filter-text", "guard")
    page.wait_for_timeout(50)
    assert "Guard" in column(page, "Kind")
    page.fill("#filter-text", "")
    page.wait_for_timeout(50)
    assert page.locator("#grid-allocations .grid-row.child").count() == 0


@pytest.mark.parametrize("name", FULL)
def test_an_opened_row_shows_its_blocks(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map, width=2400)
    regions = region_map.regions
    frame = region_map.allocations
    base = int(frame.loc[(frame["type"] == "Image") & (frame["blocks"] > 2), "address"].iloc[0])
    blocks = regions[regions["allocation"] == base]
    look_up(page, hex(base))
    row = page.locator(".grid-row", has_text=address_text(base, region_map.address_width)).first
    if row.get_attribute("aria-expanded") == "false":
        row.locator(".twist").click()
    children = page.locator("#grid-allocations .grid-row.child")
    assert children.locator(".first .mono").all_inner_texts() == [
        address_text(address, region_map.address_width) for address in blocks["address"].tolist()
    ]
    for title, key in (("Size", "size"), ("Committed", "committed"), ("Private", "private")):
        index = column_index(page, title)
        shown = [text.strip() for text in children.locator(f"> [aria-colindex='{index}']").all_inner_texts()]
        assert shown == [size_text(int(value)) for value in blocks[key].tolist()]
    index = column_index(page, "Kind")
    shown = [text.strip() for text in children.locator(f"> [aria-colindex='{index}']").all_inner_texts()]
    assert shown == blocks["kind"].tolist()


def test_expand_and_collapse_all(open_report: OpenReport) -> None:
    region_map = recorded("layout-x86.dmp.gz")
    page = open_report(region_map)
    page.click("#expand-all")
    rows = int(page.get_attribute("#grid-allocations .grid", "aria-rowcount") or 0)
    counts = region_map.regions.groupby("allocation").size()
    assert rows - 1 == len(region_map.allocations) + int(counts[counts > 1].sum())
    page.click("#collapse-all")
    assert page.get_attribute("#grid-allocations .grid", "aria-rowcount") == str(len(region_map.allocations) + 1)


def test_the_table_is_worked_by_keys(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    page = open_report(region_map)
    width = region_map.address_width
    base = largest_first(region_map.allocations)["address"].tolist()
    grid = "#grid-allocations .grid"

    def active() -> str:
        name = page.get_attribute(grid, "aria-activedescendant")
        assert name is not None
        return page.inner_text(f"#{name} .first .mono")

    page.focus(grid)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert active() == address_text(base[1], width)
    page.keyboard.press("End")
    assert active() == address_text(base[-1], width)
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    assert active() in [address_text(address, width) for address in base[5:40]]
    # A row with blocks: right opens, right again goes in, left comes out, left closes.
    frame = region_map.allocations
    opened = int(frame.loc[frame["blocks"] > 1, "address"].iloc[0])
    look_up(page, hex(opened))
    page.focus(grid)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#grid-allocations .grid-row.child").count() == 0
    assert active() == address_text(opened, width)
    page.keyboard.press("ArrowRight")
    assert page.locator("#grid-allocations .grid-row.child").count() > 1
    page.keyboard.press("ArrowRight")
    active_id = page.get_attribute(grid, "aria-activedescendant")
    assert page.get_attribute(f"#{active_id}", "aria-level") == "2"
    page.keyboard.press("ArrowLeft")
    assert active() == address_text(opened, width)
    page.keyboard.press("Enter")
    assert page.locator("#grid-allocations .grid-row.child").count() == 0


def test_every_row_can_be_scrolled_to(open_report: OpenReport) -> None:
    region_map = large_map(1500)
    page = open_report(region_map)
    seen: list[str] = []
    while True:
        seen += [text for text in addresses(page) if text not in seen]
        done = page.evaluate(
            "(() => { const g = document.querySelector('#grid-allocations .grid');"
            " const before = g.scrollTop; g.scrollTop += 400; return g.scrollTop === before; })()"
        )
        if done:
            break
        # A scrolled table draws in the next frame, which a busy machine delays.
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    assert seen == [address_text(address, 16) for address in largest_first(region_map.allocations)["address"].tolist()]


def test_working_sets_are_blank_where_not_known(open_report: OpenReport) -> None:
    region_map = working_set_map()
    page = open_report(region_map, width=1900)
    shown = headings(page)
    assert [title for title in shown if title.endswith("WS")] == ["Total WS", "Private WS", "Shareable WS"]
    by_address = dict(zip(addresses(page), column(page, "Total WS"), strict=True))
    assert by_address["0x00010000"] == "12"
    assert by_address["0x00040000"] == ""
    assert by_address["0x00400000"] == "8"
    for width in (1280, 800):
        page.set_viewport_size({"width": width, "height": 900})
        assert not wide(page)


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_at_an_address(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map)
    random = np.random.default_rng(3)
    regions = region_map.regions
    picked = random.choice(len(regions), min(20, len(regions)), replace=False)
    wanted = [
        int(base) + int(random.integers(0, int(size)))
        for base, size in zip(regions["address"].iloc[picked], regions["size"].iloc[picked], strict=True)
    ]
    answers = look_up_all(page, [hex(address) for address in wanted])
    for address, (answer, told) in zip(wanted, answers, strict=True):
        location = region_map.at(address)
        assert location is not None
        width = region_map.address_width
        assert answer.startswith(f"{address_text(address, width)}: {location.type.label}")
        if location.kind:
            assert location.kind in answer
        if location.details:
            assert location.details in answer
        if location.allocation is None or location.allocation_size is None:
            assert region_map.partial
            assert "Allocation" not in told
            assert " in the known range" in told["Offset"]
            continue
        start, end = location.allocation, location.allocation + location.allocation_size
        whole = f"{address_text(start, width)} {DASH} {address_text(end, width)}"
        if "Allocation" in told:
            assert told["Allocation"] == whole
            block_end = location.block + location.block_size
            assert (
                told["Block range (end exclusive)"]
                == f"{address_text(location.block, width)} {DASH} {address_text(block_end, width)}"
            )
        elif not region_map.partial:
            assert told["Address range (end exclusive)"] == whole
        assert told["Offset"].startswith(f"0x{location.offset:x} in the ")
        if location.protection:
            assert told["Protection"] == location.protection
        for evidence in location.evidence.split("+"):
            assert evidence in told["Evidence (inferred, not recorded)" if location.inferred else "Evidence"]


def test_addresses_are_read_as_people_write_them(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    page = open_report(region_map)
    module = region_map.snapshot.modules[0]
    digits = f"{module.base:016x}"
    expected = look_up(page, hex(module.base))
    for text in (
        digits,
        f"0x{digits}",
        f"0X{digits.upper()}",
        f"{digits[:8]}`{digits[8:]}",
        f"{digits[:8]}'{digits[8:]}",
        f" {module.base:x} ",
        f"{module.name}+0",
        module.name,
        module.name.upper().rsplit(".", 1)[0] + "+0x0",
    ):
        assert look_up(page, text) == expected, text
    assert "Not an address" in look_up(page, "nonsense")
    assert page.get_attribute("#lookup", "aria-invalid") == "true"
    assert "outside the address space" in look_up(page, "0xffffffffffffffff")
    assert page.get_attribute("#lookup", "aria-invalid") == "false"


def test_addresses_above_two_to_the_53_are_exact(open_report: OpenReport) -> None:
    page = open_report(partial_map())
    assert addresses(page) == [address_text(address) for address in ODD_ADDRESSES]
    assert look_up(page, hex(ODD_ADDRESSES[1])).startswith(address_text(ODD_ADDRESSES[1]))
    assert inspector(page)["Offset"].startswith("0x0 in the known range")
    assert "unknown" in look_up(page, hex(ODD_ADDRESSES[1] - 1))


def test_a_lookup_shows_what_a_filter_hides(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    page = open_report(region_map)
    page.click(f"#summary tr[data-type='{int(RegionType.STACK)}'] button")
    module = region_map.snapshot.modules[0]
    look_up(page, hex(module.base))
    assert page.locator("#grid-allocations .grid-row[aria-selected=true]").count() == 1
    assert page.input_value("#filter-text") == ""


def test_a_page_opens_at_an_address(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    stack = region_map.stacks[0]
    page = open_report(region_map, fragment=f"#at=0x{stack.base:x}")
    assert "Stack" in page.inner_text("#lookup-answer")
    page = open_report(region_map, fragment="#at=%ZZ")
    assert "Not an address" in page.inner_text("#lookup-answer")


def test_stacks_heaps_and_modules_lead_to_their_allocation(open_report: OpenReport) -> None:
    region_map = recorded("layout-wow64.dmp.gz")
    page = open_report(region_map)
    for tab in ("stacks", "heaps", "modules"):
        page.click(f"#tab-{tab}")
        link = page.locator(f"#grid-{tab} .grid-row [data-address]").first
        text = link.inner_text()
        link.click()
        assert page.get_attribute("#tab-allocations", "aria-selected") == "true"
        assert text in page.inner_text("#lookup-answer")
    page.click("#tab-modules")
    page.fill(".table-filter[data-table=modules]", "ntdll")
    assert page.inner_text("#count-modules").startswith("1 of ")
    page.focus("#grid-modules .grid")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "ntdll" in page.inner_text("#lookup-answer")


def test_heaps_open_to_their_ranges(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    page = open_report(region_map)
    page.click("#tab-heaps")
    heap = next(heap for heap in region_map.heaps if len(heap.ranges) > 1)
    page.locator("#grid-heaps .grid-row", has_text=address_text(heap.info.address)).first.locator(
        "button.twist"
    ).click()
    shown = page.locator("#grid-heaps .grid-row.child").all_inner_texts()
    assert len(shown) == len(heap.ranges)
    for part, text in zip(heap.ranges, shown, strict=True):
        assert address_text(part.base) in text


# ---------------------------------------------------------------- the picture


def readout(page: Page) -> str:
    """What is said below the picture."""
    return page.inner_text("#space-readout")


@pytest.mark.parametrize("name", [*FULL, "layout-x64-plain.dmp.gz"])
def test_the_picture_is_drawn_in_the_types_colours(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map)
    colors = page.evaluate(
        """() => {
          const canvas = document.getElementById("space-canvas");
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const seen = {};
          for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] !== 255) continue;
            const key = "#" + [0, 1, 2].map((k) => data[i + k].toString(16).padStart(2, "0")).join("");
            seen[key] = (seen[key] || 0) + 1;
          }
          return seen;
        }"""
    )
    for info in TYPES:
        size = region_map.line(info.type).committed if info.type != RegionType.FREE else region_map.line(info.type).size
        if size and info.type != RegionType.PAGE_TABLE:
            assert colors.get(info.color, 0) > 0, info.name


def test_a_32_bit_picture_is_to_scale(open_report: OpenReport) -> None:
    region_map = recorded("fragment-x86.dmp.gz")
    page = open_report(region_map)
    assert "Everything is drawn to scale" in page.inner_text("#space-scale")
    seen = page.evaluate(
        """(color) => {
          const canvas = document.getElementById("space-canvas");
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let free = 0, all = 0;
          for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] !== 255) continue;
            all += 1;
            if (color === "#" + [0, 1, 2].map((k) => data[i + k].toString(16).padStart(2, "0")).join("")) free += 1;
          }
          return free / all;
        }""",
        TYPES[RegionType.FREE].color,
    )
    free = region_map.line(RegionType.FREE).size
    assert free is not None
    assert region_map.end is not None
    assert seen == pytest.approx(free / region_map.end, abs=0.01)


def test_a_64_bit_picture_says_what_is_cut(open_report: OpenReport) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"))
    assert "Committed memory is drawn to scale" in page.inner_text("#space-scale")
    assert page.is_visible("#legend-cut")
    page = open_report(recorded("fragment-x86.dmp.gz"))
    assert not page.is_visible("#legend-cut")


def test_pointing_at_the_picture_tells_what_is_there(open_report: OpenReport) -> None:
    region_map = recorded("fragment-x86.dmp.gz")
    page = open_report(region_map)
    page.locator("#space").scroll_into_view_if_needed()
    box = page.locator("#space-overlay").bounding_box()
    assert box is not None
    # Sixteen lines of 128 MB: the middle of the tenth is at 1152 + 64 MB.
    lines = 16
    address = 9 * (128 << 20) + (64 << 20)
    gutter = 8 * 6.9 + 32
    x = box["x"] + gutter + (box["width"] - gutter) / 2
    y = box["y"] + (9.4 / lines) * box["height"]
    page.mouse.move(x, y)
    location = region_map.at(address)
    assert location is not None
    tip = page.inner_text("#space-tip")
    assert location.type.label in tip
    page.mouse.click(x, y)
    found = re.search(f"0x([0-9a-f]{{8}}) {DASH} 0x([0-9a-f]{{8}})", readout(page))
    assert found is not None
    low, high = (int(text, 16) for text in found.groups())
    assert low - (2 << 20) <= address < high + (2 << 20)
    page.click("#space-readout button")
    assert inspector(page)["Address range (end exclusive)"].startswith(f"0x{low:08x}")


@pytest.mark.parametrize(
    ("low", "high", "said", "wrong"),
    [
        ("here", "0x2000", "“here” is not an address. Enter hex digits, such as 0x00000000 and 0x", (True, False)),
        ("", "0x2000", "A blank field is not an address.", (True, False)),
        ("here", "there", "“here” and “there” are not addresses.", (True, True)),
        (
            "0x30000000",
            "0x20000000",
            "The range is empty: it begins at 0x30000000 and ends at 0x20000000.",
            (False, True),
        ),
        ("0x20000000", "0x20000000", "The range is empty", (False, True)),
        ("0x90000000", "0xa0000000", "The map has nothing there: it reaches from 0x00000000 to 0x", (True, False)),
        ("<b>", "0x2000", "“<b>” is not an address.", (True, False)),
    ],
)
def test_a_range_that_cannot_be_shown_is_explained(
    open_report: OpenReport, low: str, high: str, said: str, wrong: tuple[bool, bool]
) -> None:
    page = open_report(recorded("fragment-x86.dmp.gz"))
    assert page.is_hidden("#range-problem")
    page.fill("#range-from", low)
    page.fill("#range-to", high)
    page.press("#range-to", "Enter")
    assert page.inner_text("#range-problem").startswith(said)
    assert page.get_attribute("#range-problem", "role") == "alert"
    marked = tuple(page.get_attribute(field, "aria-invalid") == "true" for field in ("#range-from", "#range-to"))
    assert marked == wrong
    assert page.is_disabled("#zoom-all")  # nothing moved
    page.fill("#range-from", "0x10000000")
    page.fill("#range-to", "0x20000000")
    page.press("#range-to", "Enter")
    assert page.is_hidden("#range-problem")
    assert page.input_value("#range-to") == "0x20000000"


def test_the_picture_is_zoomed(open_report: OpenReport) -> None:
    region_map = recorded("fragment-x86.dmp.gz")
    page = open_report(region_map)
    end = address_text(region_map.end or 0, 8)
    assert (page.input_value("#range-from"), page.input_value("#range-to")) == ("0x00000000", end)
    assert page.is_disabled("#zoom-all")
    page.fill("#range-from", "10000000")
    page.fill("#range-to", "0x2000`0000")
    page.press("#range-to", "Enter")
    assert (page.input_value("#range-from"), page.input_value("#range-to")) == ("0x10000000", "0x20000000")
    assert page.inner_text("#space-scale").startswith("Part of the address space. 16 MB per line")
    page.click("#zoom-in")
    assert (page.input_value("#range-from"), page.input_value("#range-to")) == ("0x14000000", "0x1c000000")
    page.click("#zoom-out")
    page.click("#zoom-out")
    assert (page.input_value("#range-from"), page.input_value("#range-to")) == ("0x08000000", "0x28000000")
    page.click("#zoom-all")
    assert (page.input_value("#range-from"), page.input_value("#range-to")) == ("0x00000000", end)
    page.fill("#range-from", "here")
    page.press("#range-from", "Enter")
    assert page.get_attribute("#range-from", "aria-invalid") == "true"
    page.click("#zoom-in")
    assert page.get_attribute("#range-from", "aria-invalid") == "false"
    assert page.is_hidden("#range-problem")
    page.click("#zoom-all")
    # By dragging over the second line.
    page.locator("#space").scroll_into_view_if_needed()
    box = page.locator("#space-overlay").bounding_box()
    assert box is not None
    y = box["y"] + (1.4 / 16) * box["height"]
    page.mouse.move(box["x"] + 300, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, y, steps=4)
    page.mouse.up()
    low, high = int(page.input_value("#range-from"), 16), int(page.input_value("#range-to"), 16)
    assert 0x08000000 < low < high < 0x10000000


@pytest.mark.parametrize("name", ["layout-x64.dmp.gz", "layout-x64-plain.dmp.gz", "fragment-x86.dmp.gz"])
def test_the_picture_is_worked_by_keys(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map)
    regions, width = region_map.regions, region_map.address_width
    page.focus("#space-overlay")
    page.keyboard.press("Home")
    assert address_text(int(regions["address"].iloc[0]), width) in readout(page)
    page.keyboard.press("End")
    last = int(regions["address"].iloc[-1])
    assert address_text(last, width) in readout(page)
    page.keyboard.press("Enter")
    assert "Show in the table" in readout(page)
    assert any(address_text(last, width) in text for text in inspector(page).values())
    page.focus("#space-overlay")
    page.keyboard.press("Home")
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.inner_text("#space-scale").startswith("Part of the address space")
    page.keyboard.press("-")
    page.keyboard.press("0")
    assert page.is_disabled("#zoom-all")
    # Every run is met on the way up, in order.
    met = [readout(page)]
    for _ in range(30):
        page.keyboard.press("ArrowRight")
        met.append(readout(page))
    starts = [int(match.group(1), 16) for text in met if (match := re.search(f"0x([0-9a-f]+) {DASH}", text))]
    assert starts == sorted(set(starts))
    page.keyboard.press("Escape")
    assert readout(page).startswith("Point to a run")


def test_a_row_is_shown_in_the_picture(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    page = open_report(region_map)
    module = region_map.snapshot.modules[0]
    look_up(page, hex(module.base))
    page.click("text=Show in the map")
    low, high = int(page.input_value("#range-from"), 16), int(page.input_value("#range-to"), 16)
    assert low <= module.base < high
    assert address_text(module.base) in readout(page)


# ---------------------------------------------------------------- the whole page


def test_tabs_are_worked_by_keys(open_report: OpenReport) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"))
    page.focus("#tab-allocations")
    for expected in ("stacks", "heaps", "modules", "input", "allocations"):
        page.keyboard.press("ArrowRight")
        assert page.get_attribute(f"#tab-{expected}", "aria-selected") == "true"
        assert page.is_visible(f"#panel-{expected}")
        assert page.locator(".panel:visible").count() == 1
    page.keyboard.press("End")
    assert page.is_visible("#panel-input")


def test_help_opens_and_closes(open_report: OpenReport) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"))
    assert not page.is_visible("#help")
    page.keyboard.press("?")
    assert page.is_visible("#help")
    for info in TYPES:
        assert page.locator("#help dt", has_text=info.name).first.is_visible()
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")
    page.click("#help-open")
    page.click("#help >> text=Close")
    assert not page.is_visible("#help")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "lookup"
    page.keyboard.type("?")
    assert not page.is_visible("#help")


def _luminance(color: list[float]) -> float:
    parts = [value / 255 for value in color]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(open_report: OpenReport, scheme: str) -> None:
    page = open_report(recorded("exhaust-x86.dmp.gz"), color_scheme=scheme)
    page.click("#grid-allocations .grid-row >> nth=3")
    texts = page.evaluate(
        """() => {
          const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
          const ground = (element) => {
            for (let e = element; e; e = e.parentElement) {
              const color = rgb(getComputedStyle(e).backgroundColor);
              if (color.length === 3 || color[3] === 1) return color.slice(0, 3);
            }
            return [255, 255, 255];
          };
          const found = [];
          for (const element of document.querySelectorAll("body *")) {
            const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== "");
            if (!own || element.offsetParent === null || element.closest("svg, noscript, .hidden, .skip")) continue;
            found.push([element.className + " " + element.textContent.trim().slice(0, 30),
              rgb(getComputedStyle(element).color).slice(0, 3), ground(element)]);
          }
          return found;
        }"""
    )
    assert len(texts) > 200
    for what, color, ground in texts:
        high, low = sorted((_luminance(color), _luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (what, color, ground)
    assert (
        _luminance(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")) > 0.5
    ) == (scheme == "light")


def test_the_scheme_can_be_chosen(open_report: OpenReport) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"), color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    assert page.inner_text("#theme") == "Theme: light"
    assert page.evaluate(ground) == light
    page.click("#theme")
    assert page.evaluate(ground) != light
    page.click("#theme")
    assert page.evaluate(ground) == light


def test_paper_gets_the_beginning_of_every_table(open_report: OpenReport) -> None:
    region_map = recorded("fragment-x86.dmp.gz")
    page = open_report(region_map, color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("#grid-allocations .grid-row").count() == 200
    assert page.locator(f"text=The first 200 of {len(region_map.allocations)} rows").count() == 1
    for tab, count in (("stacks", len(region_map.stacks)), ("modules", len(region_map.snapshot.modules))):
        assert page.locator(f"#grid-{tab} .grid-row").count() == count
        assert page.is_visible(f"#grid-{tab}")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.is_visible(".topbar")
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#grid-allocations .grid-row").count() < 100
    assert page.pdf()[:5] == b"%PDF-"


# ---------------------------------------------------------------- size


def check_large(open_report: OpenReport, region_map: RegionMap) -> int:
    """Opens a large map and works it; returns milliseconds until it could be used."""
    page = open_report(region_map)
    ready = int(page.evaluate("document.documentElement.dataset.ready"))
    frame = region_map.allocations
    assert count_line(page) == expected_count(frame, frame)
    assert page.evaluate("document.querySelectorAll('*').length") < 3000
    assert column(page, "Size")[0] == size_text(int(frame["size"].max()))
    page.evaluate("document.querySelector('#grid-allocations .grid').scrollTop = 1e9")
    page.wait_for_timeout(100)
    assert column(page, "Size")[-1] == size_text(int(frame["size"].min()))
    page.click("#expand-all")
    page.evaluate("document.querySelector('#grid-allocations .grid').scrollTop = 1e9")
    page.wait_for_timeout(100)
    row = frame.iloc[len(frame) // 2]
    assert address_text(int(row["address"])) in look_up(page, hex(int(row["address"])))
    assert page.locator("#grid-allocations .grid-row[aria-selected=true]").count() == 1
    return ready


def test_a_map_of_20_000_regions(open_report: OpenReport) -> None:
    assert check_large(open_report, large_map(20_000)) < 5_000


@pytest.mark.slow
def test_a_map_of_200_000_regions(open_report: OpenReport) -> None:
    assert check_large(open_report, large_map(200_000)) < 15_000


def test_a_phone_shows_the_whole_of_the_bar_and_of_the_free_blocks(open_report: OpenReport) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"), width=400)
    for selector in ("#lookup", "#lookup-form button", "#theme", "#help-open", ".topbar-title"):
        box = page.locator(selector).bounding_box()
        assert box is not None, selector
        assert box["x"] >= 8, selector
        assert box["x"] + box["width"] <= 392, selector
    field = page.locator("#lookup").bounding_box()
    assert field is not None
    assert field["width"] > 200
    table = page.locator("#histogram")
    assert table.evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")
    heads, cells = table.locator("thead > tr > :visible").count(), table.locator("tbody tr").first.locator("> :visible")
    assert heads == cells.count() == 4


def test_what_a_heap_is_shows_without_scrolling(open_report: OpenReport) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"), width=1280)
    page.click("#tab-heaps")
    grid = page.locator("#grid-heaps").bounding_box()
    assert grid is not None
    for title in ("Reserved", "Committed", "Fragm.", "VA fragm.", "Next segment"):
        box = page.locator("#grid-heaps .grid-head").get_by_role("button", name=title, exact=True).bounding_box()
        assert box is not None, title
        assert box["x"] + box["width"] <= grid["x"] + grid["width"], title


def test_what_is_left_of_a_stack_is_rounded_down(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    page = open_report(region_map)
    page.click("#tab-stacks")
    heads = [text.strip() for text in page.locator("#grid-stacks .grid-head > div").all_inner_texts()]
    row = page.locator("#grid-stacks .grid-row").first.locator("> div").all_inner_texts()
    headroom = max(region_map.stacks, key=lambda stack: stack.reserve or 0).headroom
    assert headroom is not None
    assert headroom % 1024
    assert row[heads.index("Headroom")] == f"{headroom // 1024:,}"


# ---------------------------------------------------------------- owners


def owner_button(page: Page, name: str) -> Any:
    """The button of an owner in the table of owners."""
    return page.locator("#owner-table tbody tr").filter(has=page.locator(f"th button:text-matches('^{name}')")).first


def test_an_owner_filters_the_allocations(open_report: OpenReport) -> None:
    region_map = recorded("runtimes/node-18.dmp.gz")
    page = open_report(region_map)
    everything, blocks = region_map.allocations, region_map.regions
    used = ~everything["type"].isin(["Free", "Unusable"])
    with_v8 = set(blocks["allocation"][blocks["owner"] == "V8"])
    modules = (everything["owner"] == everything["owner_module"]) & (everything["owner"] != "")
    expected = {
        "V8": everything[everything["address"].isin(with_v8)],
        r"\\d+ loaded modules": everything[modules],
        "No owner": everything[used & (everything["owner"] == "")],
    }
    for name, rows in expected.items():
        line = owner_button(page, name)
        line.click()
        assert count_line(page) == expected_count(rows, everything), name
        assert line.get_attribute("class") == "chosen"
        assert page.is_visible("#owner-chip")
        line.click()
        assert count_line(page) == expected_count(everything, everything)
    page.click(".takers button[data-value=V8]")
    assert count_line(page) == expected_count(expected["V8"], everything)
    assert set(column(page, "Owner")) == {"V8"}
    page.click("#type-chips [data-type='6']")
    page.click("#owner-chip")
    private = everything[everything["type"] == "Private Data"]
    assert count_line(page).startswith(f"{len(private):,} of")
    owner_button(page, "V8").click()
    page.click("#filter-clear")
    assert count_line(page) == expected_count(everything, everything)
    assert not page.is_visible("#owner-chip")


def test_a_module_with_more_than_its_image_is_an_owner_of_its_own(open_report: OpenReport) -> None:
    region_map = recorded("pointers/held-x64.dmp.gz").with_pointers()
    everything = region_map.allocations
    page = open_report(region_map)
    held = everything["owner"] == "held64.exe"
    modules = (everything["owner"] == everything["owner_module"]) & (everything["owner"] != "") & ~held
    for name, rows in {"held64.exe": everything[held], r"\\d+ loaded modules": everything[modules]}.items():
        line = owner_button(page, name)
        line.click()
        assert count_line(page) == expected_count(rows, everything), name
        line.click()


CANVAS = "document.getElementById('space-canvas').toDataURL()"


def test_the_map_is_colored_by_owner_and_dims_the_others(open_report: OpenReport) -> None:
    page = open_report(recorded("runtimes/node-18.dmp.gz"))
    by_type = page.evaluate(CANVAS)
    page.click("[data-colors=owner]")
    by_owner = page.evaluate(CANVAS)
    assert by_owner != by_type
    assert page.is_visible(".legend li:has-text('No owner')")
    assert not page.is_visible(".legend li:has-text('Managed Heap')")
    owner_button(page, "V8").click()
    assert page.evaluate(CANVAS) not in (by_owner, by_type)
    owner_button(page, "V8").click()
    page.click("[data-colors=type]")
    assert page.evaluate(CANVAS) == by_type


def test_a_group_leads_to_its_first_allocation(open_report: OpenReport) -> None:
    region_map = recorded("fragment-x86.dmp.gz")
    page = open_report(region_map)
    line = page.locator(".takers button", has_text="85 allocations of 16 MB, reserved")
    line.click()
    sizes = region_map.allocations.query("size == 16 * 1024 * 1024 and committed == 0 and type == 'Private Data'")
    assert address_text(int(sizes["address"].min()), 8) in page.inner_text("#lookup-answer")
    rows = page.locator("#owner-table tbody tr")
    assert rows.nth(0).inner_text().startswith("No owner")
    assert "85 allocations" in rows.nth(1).inner_text()


def test_the_first_screen_says_who_took_it(open_report: OpenReport) -> None:
    page = open_report(recorded("runtimes/node-18.dmp.gz"), width=1440, height=900)
    box = page.locator(".takers").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900
    assert not open_report(partial_map()).locator(".takers").count()


def test_the_inspector_names_the_owner(open_report: OpenReport) -> None:
    region_map = recorded("runtimes/node-18.dmp.gz")
    allocations = region_map.allocations
    page = open_report(region_map)
    look_up(page, hex(int(allocations.address[allocations.kind == "V8 new space"].iloc[0]) + 0x10))
    assert dict(page.evaluate(INSPECTOR))["Owner"] == "V8 (node.exe)"
