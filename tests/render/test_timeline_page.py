"""The page of a timeline: complete in itself, true to the maps, and what a reader sees and does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.maps import FIXTURES, HOSTILE, hostile_map, partial_map, recorded
from support.pages import Page as Parsed
from support.pages import check_alone, packed_data_of
from support.scenes import MB, Scene, crash
from synth.minidump import MEM_IMAGE, PAGE_EXECUTE_READ

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.cli.app import run as run_command
from dumpmap.model.snapshot import Module
from dumpmap.model.types import TYPES
from dumpmap.render.html.timeline import render_timeline
from dumpmap.wording.text import short_size, size_left, size_most
from render.conftest import OpenPage, barriers

if TYPE_CHECKING:
    from playwright.sync_api import Page

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
BLOCKS = [3, 11, 18, 30, 41, 50, 4, 12, 22, 31]
CRASHED, RESTARTED = 5, 6


def process(index: int, **facts: Any) -> RegionMap:
    """A process with blocks of 1 MB in a reserve of 64 MB, ten minutes after the one before."""
    scene = Scene(32)
    scene.allocate(8 * MB, base=0x400000, type=MEM_IMAGE, protect=PAGE_EXECUTE_READ)
    scene.allocate(64 * MB, base=0x10000000, commit=20 * MB)
    for block in range(BLOCKS[index]):
        scene.allocate(MB, base=0x20000000 + block * 2 * MB)
    modules = [Module(0x400000, 8 * MB, "C:\\app\\app.exe")]
    return scene.map(captured_at=START + dt.timedelta(minutes=10 * index), modules=modules, **facts)


def series() -> list[RegionMap]:
    """Ten maps: the sixth was captured at an exception, and the seventh is of another process."""
    maps = []
    for index in range(len(BLOCKS)):
        facts: dict[str, Any] = {"pid": 77 if index < RESTARTED else 78}
        if index == CRASHED:
            facts["exception"] = crash(0xC0000005, 0)
        maps.append(process(index, **facts))
    return maps


def free_block(region_map: RegionMap) -> int:
    """The largest free block."""
    assert region_map.largest_free_block is not None
    return region_map.largest_free_block.size


@pytest.fixture(scope="module")
def text() -> str:
    return render_timeline(dumpmap.timeline(series()))


def test_the_page_is_complete_in_itself(text: str) -> None:
    check_alone(text)
    check_alone(render_timeline(dumpmap.timeline([partial_map(), partial_map()])))


def test_areas_are_the_maps(text: str) -> None:
    data = packed_data_of(text)
    maps = series()
    assert [one["name"] for one in data["by_type"]] == ["Image", "Private Data"]
    for one in data["by_type"]:
        for metric in ("committed", "size"):
            expected = [int(region_map.summary()[metric].to_dict()[one["name"]]) for region_map in maps]
            assert one[metric] == expected
        assert one["color"] == f"t{next(int(info.type) for info in TYPES if info.name == one['name'])}"
    assert data["figures"]["largest_free_block"] == [free_block(region_map) for region_map in maps]
    assert [point["time"] for point in data["points"]] == [
        (START + dt.timedelta(minutes=10 * index)).timestamp() for index in range(len(BLOCKS))
    ]


def test_owners_add_up_to_all_committed_memory(text: str) -> None:
    leak = [recorded(f"leak-x64-{which}.dmp.gz") for which in ("before", "after")]
    for made, maps in ((text, series()), (render_timeline(dumpmap.timeline(leak)), leak)):
        data = packed_data_of(made)
        sums = [sum(values) for values in zip(*(one["committed"] for one in data["by_owner"]), strict=True)]
        assert sums == [int(region_map.summary()["committed"].to_dict()["Total"]) for region_map in maps]
    names = [one["name"] for one in data["by_owner"]]
    assert names[0] == "Thread stacks"
    assert names[-3:] == ["Other owners", "Loaded modules", "No owner"]
    assert [one["color"] for one in data["by_owner"]] == ["o1", "o2", "o3", "o4", "o5", "o6", "o0", "o7"]


def test_events_are_exceptions_and_restarts(text: str) -> None:
    expected = [
        {"point": CRASHED, "kind": "exception", "name": "STATUS_ACCESS_VIOLATION"},
        {"point": RESTARTED, "kind": "restart", "name": "app.exe, process ID 78"},
    ]
    assert packed_data_of(text)["events"] == expected
    assert dumpmap.timeline(series()).to_dict()["events"] == expected


def test_what_an_input_does_not_know_is_no_restart() -> None:
    maps = [process(0, name="App.exe"), process(1, name=None, pid=None), process(2)]
    assert dumpmap.timeline(maps).events == ()
    later = process(3, created_at=START)
    other = process(4, created_at=START + dt.timedelta(minutes=1))
    assert [event.point for event in dumpmap.timeline([*maps, later, other]).events] == [4]


def test_a_map_that_shows_a_part_is_a_gap() -> None:
    maps = [process(0), process(1, partial=True), process(2)]
    data = packed_data_of(render_timeline(dumpmap.timeline(maps)))
    values = next(one["committed"] for one in data["by_type"] if one["name"] == "Private Data")
    assert [value is None for value in values] == [False, True, False]
    assert all(one["committed"][1] is None for one in data["by_owner"])


def test_names_are_text() -> None:
    made = render_timeline(dumpmap.timeline([recorded("layout-x64.dmp.gz"), hostile_map()]))
    check_alone(made)
    names = str(packed_data_of(made)["table"]["rows"])
    assert HOSTILE[3] in names
    assert {tag for tag, _ in Parsed(made).elements if tag in ("b", "img")} == {"b"}


def test_the_command_writes_it(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    files = [str(FIXTURES / f"leak-x64-{which}.dmp.gz") for which in ("before", "after")]
    assert run_command(["-q", "timeline", *files, "-o", str(page)]) == 0
    made = page.read_text("utf-8")
    check_alone(made)
    assert [point["name"] for point in packed_data_of(made)["points"]] == [Path(file).name for file in files]


# ---------------------------------------------------------------- in a browser

OpenTimeline = Callable[..., "Page"]


@pytest.fixture
def open_timeline(open_page: OpenPage, tmp_path: Path, text: str) -> OpenTimeline:
    def open_it(**options: Any) -> Page:
        path = tmp_path / "timeline.html"
        path.write_text(text, "utf-8")
        return open_page(path, **options)

    return open_it


def shown(page: Page) -> str:
    """What the panel of the cursor says."""
    return f"{page.inner_text('#cursor-point')}\n{page.inner_text('#cursor-values')}"


@pytest.mark.chromium
def test_the_slider_goes_through_the_inputs(open_timeline: OpenTimeline) -> None:
    page = open_timeline()
    private = [region_map.summary()["committed"].to_dict()["Private Data"] for region_map in series()]
    assert f"Private Data: {short_size(private[-1])}" in shown(page)
    page.focus("#cursor")
    page.keyboard.press("Home")
    assert "2026-03-01 00:00:00 UTC" in shown(page)
    assert f"Private Data: {short_size(private[0])}" in shown(page)
    for _ in range(CRASHED):
        page.keyboard.press("ArrowRight")
    assert "exception: STATUS_ACCESS_VIOLATION" in shown(page)
    largest = free_block(series()[CRASHED])
    assert f"Largest free block: {size_left(largest)}" in shown(page)
    page.locator(".events button", has_text="process ID 78").click()
    assert page.input_value("#cursor") == str(RESTARTED)


@pytest.mark.chromium
def test_charts_point_click_and_hide(open_timeline: OpenTimeline) -> None:
    page = open_timeline()
    chart = page.locator("#by-type svg")
    assert chart.locator("polygon").count() == 2
    assert chart.locator(".event-mark").count() == 2
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 66, box["y"] + 100)
    assert "2026-03-01 00:00:00 UTC" in page.inner_text("#by-type .tip")
    page.mouse.click(box["x"] + 66, box["y"] + 100)
    assert page.input_value("#cursor") == "0"
    page.locator("#by-type + .legend button", has_text="Image").click()
    assert chart.locator("polygon").count() == 1
    page.click("[data-metric=size]")
    size = series()[0].summary()["size"].to_dict()["Private Data"]
    assert f"Private Data: {short_size(size)}" in shown(page)
    assert page.locator("#line-largest_free_block polyline").count() == 1


@pytest.mark.chromium
def test_the_table_filters_and_sorts(open_timeline: OpenTimeline) -> None:
    page = open_timeline()
    page.keyboard.press("/")
    page.keyboard.type("allocations of 1 MB")
    assert " of " in page.inner_text("#count-series")
    names = page.locator("#grid-series .grid-row > [aria-colindex='2']").all_inner_texts()
    assert names
    assert all("allocations of 1 MB" in name for name in names)
    page.fill("#filter-text", "")
    page.locator("#grid-series [role=columnheader] button", has_text="Last").click()
    last = [
        int(text.replace(",", ""))
        for text in page.locator("#grid-series .grid-row > [aria-colindex='5']").all_inner_texts()
    ]
    assert last == sorted(last, reverse=True)


@pytest.mark.chromium
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_no_barriers_and_no_sideways_scrolling(open_timeline: OpenTimeline, axe: str, width: int, height: int) -> None:
    page = open_timeline(width=width, height=height, bypass_csp=True)
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert barriers(page, axe) == []
    page.click("#help-open")
    assert barriers(page, axe) == []


@pytest.mark.chromium
def test_sizes_read_as_in_the_terminal(open_page: OpenPage, tmp_path: Path) -> None:
    from dumpmap.render.html import assets

    values = [
        0,
        1,
        1023,
        1024,
        1536,
        10188,
        104858,
        1048575,
        1048576,
        99 * MB + 1,
        100 * MB + 1,
        1127219200,
        123456789012,
        5 << 50,
    ]
    script = "const data = { types: [] };\n" + assets.static("format.js")
    path = tmp_path / "sizes.html"
    path.write_text(
        f'<!DOCTYPE html><html lang="en"><title>x</title><script>{script}\n'
        f"window.told = {values}.map((value) => [shortSize(value), sizeLeft(value), sizeMost(value)]);"
        'document.documentElement.dataset.ready = "0";</script></html>',
        "utf-8",
    )
    page = open_page(path)
    assert page.evaluate("told") == [[short_size(value), size_left(value), size_most(value)] for value in values]
