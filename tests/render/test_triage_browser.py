"""The page of a batch in a browser: what a reader sees and does."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.batches import batch
from support.maps import HOSTILE

from dumpmap.render.triage import write_rows
from dumpmap.triage import Row
from render.conftest import OpenPage, barriers

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.chromium

ROWS = batch(600)

OpenRows = Callable[..., "Page"]


@pytest.fixture
def open_rows(open_page: OpenPage, tmp_path: Path) -> OpenRows:
    def open_it(rows: list[Row] = ROWS, group_by: tuple[str, ...] = (), **options: Any) -> Page:
        path = tmp_path / f"triage-{len(list(tmp_path.iterdir()))}.html"
        write_rows(rows, "html", path, group_by=group_by)
        return open_page(path, **options)

    return open_it


def column(page: Page, title: str) -> list[str]:
    """The texts of a column, of the rows that are drawn."""
    titles = [text.strip() for text in page.locator("#grid-dumps [role=columnheader]").all_inner_texts()]
    cells = page.locator(f"#grid-dumps .grid-row > [aria-colindex='{titles.index(title) + 1}']")
    return [text.strip() for text in cells.all_text_contents()]


def facet(page: Page, name: str) -> dict[str, int]:
    """The lines of a list, with their counts."""
    lines = page.locator(f"#facet-{name} button")
    texts = zip(lines.locator(".facet-name").all_inner_texts(), lines.locator(".num").all_inner_texts(), strict=True)
    return {text: int(number.replace(",", "")) for text, number in texts}


def choose(page: Page, name: str, text: str) -> None:
    page.locator(f"#facet-{name} button", has=page.locator(f".facet-name:text-is('{text}')")).click()


def test_lists_count_the_dumps(open_rows: OpenRows) -> None:
    page = open_rows()
    assert page.inner_text("#count-dumps") == "600 dumps"
    verdicts = Counter(row["verdict"] for row in ROWS if row["verdict"])
    assert facet(page, "verdict") == dict(verdicts)
    findings = Counter(name for row in ROWS for name in row["findings"] or [])
    assert facet(page, "finding") == dict(findings.most_common(8))
    pairs = Counter(f"{row['process']} {row['version']}" for row in ROWS if row["process"])
    shown = facet(page, "version")
    assert len(shown) == 8
    assert sorted(shown.values(), reverse=True) == [number for _, number in pairs.most_common(8)]
    assert all(pairs[text] == number for text, number in shown.items())
    page.click("#more-version")
    assert facet(page, "version") == dict(pairs)


def test_filters_meet_and_lists_widen(open_rows: OpenRows) -> None:
    page = open_rows()
    choose(page, "verdict", "out-of-address-space")
    choose(page, "process", "shop.exe")
    both = [row for row in ROWS if row["verdict"] == "out-of-address-space" and row["process"] == "shop.exe"]
    assert page.inner_text("#count-dumps") == f"{len(both)} of 600 dumps"
    # The list of processes counts all of this verdict, so that another one can be added.
    assert facet(page, "process") == dict(
        Counter(row["process"] for row in ROWS if row["verdict"] == "out-of-address-space").most_common(8)
    )
    choose(page, "process", "render.exe")
    more = [
        row for row in ROWS if row["verdict"] == "out-of-address-space" and row["process"] in ("shop.exe", "render.exe")
    ]
    assert page.inner_text("#count-dumps") == f"{len(more)} of 600 dumps"
    assert page.locator("#chosen .chip").count() == 3
    page.locator("#chosen .chip", has_text="shop.exe").click()
    assert set(column(page, "Process")) == {"render.exe"}
    page.click("#filter-clear")
    assert page.inner_text("#count-dumps") == "600 dumps"
    assert page.is_disabled("#filter-clear")


def test_words_filter(open_rows: OpenRows) -> None:
    page = open_rows()
    page.keyboard.press("/")
    page.keyboard.type("kiosk commit-limit")
    hits = [row for row in ROWS if row["process"] == "kiosk.exe" and "commit-limit" in " ".join(row["findings"])]
    assert hits
    page.locator("#count-dumps", has_text=f"{len(hits)} of 600 dumps").wait_for()
    assert sorted(column(page, "File")) == sorted(row["path"].removeprefix("/srv/crashes/") for row in hits)


def test_sorting(open_rows: OpenRows) -> None:
    page = open_rows(width=1920)
    head = page.locator("#grid-dumps [role=columnheader] button")
    head.filter(has_text="Process commit").click()
    known = sorted((row["process_commit"] for row in ROWS if row["process_commit"] is not None), reverse=True)
    shown = [int(text.replace(",", "")) for text in column(page, "Process commit")]
    assert shown == [-(-value // 1024) for value in known[: len(shown)]]
    head.filter(has_text="Captured").click()
    times = sorted(row["captured_at"] for row in ROWS if row["captured_at"])
    shown_times = column(page, "Captured (UTC)")
    assert shown_times == [time.replace("T", " ").rstrip("Z") for time in times[: len(shown_times)]]


def test_a_row_opens_the_findings_of_its_dump(open_rows: OpenRows) -> None:
    page = open_rows()
    choose(page, "verdict", "out-of-address-space")
    page.locator("#grid-dumps .grid-row").first.click()
    file = column(page, "File")[0]
    row = next(row for row in ROWS if row["path"].endswith(file))
    panel = page.locator("#inspector")
    text = panel.inner_text()
    assert row["sentence"] in text
    assert row["path"] in text
    assert f"dumpmap diagnose {row['path']}" in text
    assert panel.locator(".found summary code").all_inner_texts() == row["findings"]
    assert "The address space is used up" in panel.locator(".found").inner_text()
    panel.locator(".found summary").first.click()
    assert "What to do:" in panel.locator(".found").inner_text()
    widths = panel.locator(".by-type rect").evaluate_all("all => all.map((one) => Number(one.getAttribute('width')))")
    assert sum(widths) == pytest.approx(1000)
    panel.locator("button", has_text="Close").click()
    assert panel.is_hidden()


def test_the_keyboard_walks_through_the_dumps(open_rows: OpenRows) -> None:
    page = open_rows()
    page.focus("#grid-dumps .grid")
    page.keyboard.press("ArrowDown")
    first = page.inner_text("#inspector .file")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#inspector .file") != first
    page.focus("#scatter canvas")
    page.keyboard.press("End")
    largest = max(
        (row for row in ROWS if row["process_commit"] and row["largest_free_at_most"] is not None),
        key=lambda row: row["process_commit"],
    )
    page.keyboard.press("Enter")
    assert page.inner_text("#inspector .file") == largest["path"]


def test_a_bar_filters_by_its_time(open_rows: OpenRows) -> None:
    page = open_rows()
    timed = [row for row in ROWS if row["captured_at"]]
    box = page.locator("#over-time svg").bounding_box()
    assert box is not None
    heights = page.locator("#over-time .bar-of").evaluate_all(
        "all => all.map((bar) => bar.getBoundingClientRect().height)"
    )
    bar = page.locator("#over-time .bar-of").nth(heights.index(max(heights)))
    bar.locator("rect").first.click()
    begin, end = page.input_value("#filter-from"), page.input_value("#filter-to")
    inside = [row for row in timed if begin <= row["captured_at"][:16] < end]
    assert len(inside) > 50
    assert page.inner_text("#count-dumps") == f"{len(inside)} of 600 dumps"
    assert page.locator("#over-time .bar-of.dim").count() == len(heights) - 1
    page.locator("#chosen .chip").click()
    assert page.inner_text("#count-dumps") == "600 dumps"
    page.fill("#filter-from", "2026-08-01T00:00")
    late = [row for row in timed if row["captured_at"] >= "2026-08-01"]
    assert page.inner_text("#count-dumps") == f"{len(late)} of 600 dumps"


def test_bars_by_verdict(open_rows: OpenRows) -> None:
    page = open_rows()
    page.click("[data-colors=verdict]")
    classes = page.locator("#over-time rect").evaluate_all(
        "all => [...new Set(all.map((one) => one.getAttribute('class')))]"
    )
    assert set(classes) == {"v0", "v1", "v4", "v5", "v7", "v8"}
    assert page.locator("[data-legend=verdict]:visible").count() == 7
    assert page.locator("[data-legend=severity]:visible").count() == 0


def test_a_dump_of_another_age_does_not_flatten_the_bars(open_rows: OpenRows) -> None:
    rows = [dict(row) for row in ROWS]
    rows[0]["captured_at"] = "1970-01-01T00:00:00Z"
    page = open_rows(rows)
    assert "1 far earlier or later" in page.inner_text("#over-time-note")
    assert page.locator("#over-time .bar-of").count() > 20


@pytest.mark.parametrize("count", [0, 1])
def test_few_dumps(open_rows: OpenRows, count: int) -> None:
    page = open_rows(ROWS[:count])
    assert page.locator("#grid-dumps .grid-row").count() == count
    assert page.inner_text("h1") == f"Triage of {count} dump{'' if count == 1 else 's'}"


def test_hostile_names_stay_text(open_rows: OpenRows) -> None:
    rows = batch(len(HOSTILE))
    for row, name in zip(rows, HOSTILE, strict=True):
        row |= {"process": name, "version": name, "top_owner": name, "sentence": name, "path": f"/dumps/{name}.dmp"}
        row |= {"verdict": "cannot-tell", "status": "ok"}
    page = open_rows(rows)
    for index in range(len(rows)):
        page.locator("#grid-dumps .grid-row").nth(index).click()
    assert page.evaluate("window.broken") is None
    assert page.locator("#out").count() == 0
    assert set(facet(page, "process")) == {" ".join(name.split()) for name in HOSTILE} or len(
        facet(page, "process")
    ) == len(HOSTILE)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/a b/c.dmp", "dumpmap diagnose '/a b/c.dmp'"),
        ("/a/$(x)'.dmp", "dumpmap diagnose '/a/$(x)'\\''.dmp'"),
        ("C:\\My Dumps\\a.dmp", 'dumpmap diagnose "C:\\My Dumps\\a.dmp"'),
        ("C:\\a\\b.dmp", "dumpmap diagnose C:\\a\\b.dmp"),
    ],
)
def test_commands_take_the_path_as_it_is(open_rows: OpenRows, path: str, command: str) -> None:
    page = open_rows([{**ROWS[0], "path": path}])
    page.locator("#grid-dumps .grid-row").first.click()
    assert page.locator(".commands code").first.inner_text() == command


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_no_barriers_and_no_sideways_scrolling(open_rows: OpenRows, axe: str, width: int, height: int) -> None:
    page = open_rows(width=width, height=height, bypass_csp=True, group_by=("process", "verdict"))
    page.locator("#grid-dumps .grid-row").nth(1).click()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert barriers(page, axe) == []
    page.click("#help-open")
    assert barriers(page, axe) == []


def test_without_scripts_the_verdicts_are_counted(open_rows: OpenRows) -> None:
    page = open_rows(java_script_enabled=False)
    assert page.locator("noscript table tbody tr").count() == len({row["verdict"] for row in ROWS if row["verdict"]})


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_file_is_in_view_and_what_gives_way_is_named(open_rows: OpenRows, width: int, height: int) -> None:
    page = open_rows(width=width, height=height)
    heads = [text.strip() for text in page.locator("#grid-dumps [role=columnheader]:visible").all_inner_texts()]
    assert {"Severity", "Verdict", "Process", "Process commit", "Worst finding", "File"} <= set(heads)
    if width == 1440:
        assert "Exception" in heads
        assert page.locator("#grid-dumps .grid").evaluate("grid => grid.scrollWidth <= grid.clientWidth")
    left_out = page.inner_text("#left-out").split(": ")[-1].split(". ")[0].split(", ")
    for title in ("Version", "Captured (UTC)", "Committed", "Largest free", "Top owner", "Exception"):
        assert (title in heads) != (title in left_out), title


def test_labels_below_the_bars_do_not_overlap(open_rows: OpenRows) -> None:
    for width in (390, 700, 1000, 1440):
        page = open_rows(width=width)
        boxes = page.evaluate(
            """() => [...document.querySelectorAll("#over-time text.axis-text:not(.end)")]
              .map((one) => one.getBoundingClientRect()).map(({left, right, top}) => [top, left, right])"""
        )
        bottom = max(top for top, _, _ in boxes)
        spans = sorted((left, right) for top, left, right in boxes if top > bottom - 5)
        assert len(spans) > 1
        assert all(one[1] < other[0] for one, other in itertools.pairwise(spans)), spans


def test_on_a_phone_the_row_stays_above_its_details(open_rows: OpenRows) -> None:
    page = open_rows(width=390, height=844)
    for number in (0, 6):
        row = page.locator("#grid-dumps .grid-row").nth(number)
        row.scroll_into_view_if_needed()
        row.click(position={"x": 40, "y": 10})
        sheet = page.locator("#inspector").bounding_box()
        selected = page.locator("#grid-dumps .grid-row[aria-selected=true]").bounding_box()
        assert sheet is not None
        assert selected is not None
        assert sheet["y"] + sheet["height"] == 844
        assert 46 <= selected["y"] < selected["y"] + selected["height"] <= sheet["y"]
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.click("#inspector [aria-label='Close details']")
        assert not page.is_visible("#inspector")
