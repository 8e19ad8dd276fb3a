"""Copies and CSV files of the pages' tables: exactly the rows shown, and nothing that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from support.maps import hostile_map, large_map, recorded
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.model.formulas import as_text
from dumpmap.model.types import RegionType
from dumpmap.render.html.diff import render_diff
from render.conftest import OpenPage, OpenReport

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.chromium

SIZES = ("size", "committed", "private", "blocks")
TEXTS = ("protection", "details", "kind", "evidence", "owner", "owner_module")
FORMULAS = ("=1+1", "+1", "-1", "@sum", "\uff1d1", "'=1", "a,b", 'say "x"')


def saved(page: Page, name: str) -> tuple[str, list[dict[str, str]]]:
    """Saves a table: the name of the file, and its rows."""
    with page.expect_download() as waiting:
        page.click(f"[data-export={name}] button >> text=Save CSV")
    text = Path(waiting.value.path()).read_text("utf-8")
    return waiting.value.suggested_filename, list(csv.DictReader(io.StringIO(text)))


def copied(page: Page, name: str) -> list[list[str]]:
    """Copies a table: its lines, each as its cells."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click(f"[data-export={name}] button >> text=Copy")
    page.wait_for_selector(f"[data-export={name}] [role=status]:has-text('Copied')")
    text: str = page.evaluate("navigator.clipboard.readText()")
    assert text.endswith("\n")
    return [line.split("\t") for line in text[:-1].split("\n")]


def cells(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of a map as dumpmap's CSV has them."""
    rows = []
    for record in frame.to_dict("records"):
        row = {
            "address": f"{record['address']:#x}",
            "type": record["type"],
            "inferred": str(record["inferred"]).lower(),
        }
        row |= {name: "" if pd.isna(record[name]) else str(int(record[name])) for name in SIZES}
        row |= {name: as_text(record[name]) for name in TEXTS}
        rows.append(row)
    return rows


def kept(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The columns that `cells` has."""
    return [{name: row[name] for name in ("address", "type", "inferred", *SIZES, *TEXTS)} for row in rows]


@pytest.mark.parametrize("name", ["fragment-x86.dmp.gz", "layout-x64.dmp.gz", "runtimes/node-18.dmp.gz"])
def test_a_csv_file_has_the_rows_as_filtered_and_sorted(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map, width=1000)  # too narrow for every column
    frame = region_map.allocations.sort_values("size", ascending=False, kind="stable")
    file, rows = saved(page, "allocations")
    assert file == f"{region_map.process.name}-allocations.csv"
    assert kept(rows) == cells(frame)
    page.click(f"#summary tr[data-type='{int(RegionType.IMAGE)}'] button")
    page.click("#grid-allocations [role=columnheader] button >> text=Address")
    images = frame[frame["type"] == "Image"].sort_values("address")
    assert kept(saved(page, "allocations")[1]) == cells(images)
    page.click("#grid-allocations [role=columnheader] button >> text=Address")
    assert kept(saved(page, "allocations")[1]) == cells(images.iloc[::-1])


def test_expanded_blocks_are_among_the_rows(open_report: OpenReport) -> None:
    region_map = recorded("layout-x64.dmp.gz")
    page = open_report(region_map)
    page.click("#expand-all")
    _, rows = saved(page, "allocations")
    assert len(rows) == int(page.get_attribute("#grid-allocations .grid", "aria-rowcount") or 0) - 1
    guards = region_map.regions[region_map.regions["kind"] == "Guard"]
    assert [row["address"] for row in kept(rows) if row["kind"] == "Guard"] != []
    assert {row["address"] for row in rows if row["kind"] == "Guard"} == {f"{at:#x}" for at in guards["address"]}


def test_a_copy_is_the_text_on_the_screen(open_report: OpenReport) -> None:
    region_map = recorded("fragment-x86.dmp.gz")
    page = open_report(region_map, width=1900)
    page.click(f"#summary tr[data-type='{int(RegionType.IMAGE)}'] button")
    page.click("#grid-allocations [role=columnheader] button >> text=Details")
    heads, *lines = copied(page, "allocations")
    assert heads == [text.strip() for text in page.locator("#grid-allocations [role=columnheader]").all_inner_texts()]
    shown = page.locator("#grid-allocations .grid-row").all()
    assert len(lines) == len(shown) == int((region_map.allocations["type"] == "Image").sum())
    for cells_copied, row in zip(lines, shown, strict=True):
        texts = [text.replace("▶", "").replace("\n", "").strip() for text in row.locator("> div").all_inner_texts()]
        assert cells_copied == texts
    assert f"Copied {len(lines)} rows" in page.inner_text("[data-export=allocations]")


@pytest.mark.parametrize("tab", ["stacks", "heaps", "modules"])
def test_the_other_tables_are_saved_too(open_report: OpenReport, tab: str) -> None:
    page = open_report(recorded("layout-x64.dmp.gz"))
    page.click(f"#tab-{tab}")
    if tab == "modules":
        page.fill(".table-filter[data-table=modules]", "ntdll")
    _, rows = saved(page, tab)
    assert len(rows) == int(page.get_attribute(f"#grid-{tab} .grid", "aria-rowcount") or 0) - 1
    assert len(copied(page, tab)) == len(rows) + 1
    if tab == "modules":
        assert rows[0]["name"].lower() == "ntdll.dll"


def test_no_cell_is_a_formula(open_report: OpenReport) -> None:
    process = ProcessBuilder("x64", name="app.exe")
    process.furnish()
    for name in FORMULAS:
        process.add_module(f"{name}")
    region_map = dumpmap.open(process.to_minidump().build())
    page = open_report(region_map)
    page.click("#tab-modules")
    _, rows = saved(page, "modules")
    assert {as_text(name) for name in FORMULAS} <= {row["name"] for row in rows}
    for row in rows:
        for cell in row.values():
            assert cell[:1] not in ("=", "+", "-", "@", "\t", "\uff1d")
    page = open_report(hostile_map())
    page.click("#tab-modules")
    _, rows = saved(page, "modules")
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("=", "+", "-", "@")]


def test_a_copy_stays_one_line_a_row(open_report: OpenReport) -> None:
    page = open_report(hostile_map())
    page.click("#tab-stacks")
    lines = copied(page, "stacks")
    assert {len(line) for line in lines} == {len(lines[0])}


@pytest.mark.slow
def test_a_table_of_200_000_regions_is_saved(open_report: OpenReport) -> None:
    region_map = large_map(200_000)
    page = open_report(region_map)
    _, rows = saved(page, "allocations")
    assert len(rows) == len(region_map.allocations)
    assert kept(rows[:50]) == cells(region_map.allocations.sort_values("size", ascending=False, kind="stable").head(50))


def test_changes_are_saved(open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "diff.html"
    diff = dumpmap.diff(recorded("leak-x64-before.dmp.gz"), recorded("leak-x64-after.dmp.gz"))
    path.write_text(render_diff(diff), "utf-8")
    page = open_page(path)
    shown = page.inner_text("#count-changes").split()[0].replace(",", "")
    _, rows = saved(page, "changes")
    assert len(rows) == int(shown)
    deltas = [int(row["committed_delta"]) for row in rows if row["committed_delta"]]
    assert f"{max(deltas) // 1024:,}" in page.locator("#grid-changes").inner_text()
