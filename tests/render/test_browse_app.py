"""The screen of `browse`, driven by Textual's pilot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from support.maps import HOSTILE, hostile_map, partial_map, recorded

import dumpmap
from dumpmap.api import map_snapshot
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Process, Snapshot, Source, System, make_regions

pytest.importorskip("textual")

from textual import events

from dumpmap.render.browse.app import BrowseApp, help_lines
from dumpmap.views.browse.keys import COMMANDS
from dumpmap.views.browse.levels import Level, Row

FRAGMENT = "fragment-x86.dmp.gz"
SIZES = [(80, 24), (200, 60)]


_T = TypeVar("_T")


def run_apart(session: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Runs a session in a thread: Playwright, in the same process, leaves its event loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, session()).result()


def screen_lines(app: BrowseApp) -> list[str]:
    """The screen as lines of text."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def drive(
    region_map: RegionMap,
    *keys: str,
    size: tuple[int, int] = (80, 24),
    color: bool = False,
    then: Callable[[BrowseApp, Any], Awaitable[None]] | None = None,
) -> tuple[BrowseApp, list[str]]:
    """Presses keys; returns the app and the lines of the screen at the end."""
    app = BrowseApp(region_map, color=color)

    async def session() -> list[str]:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            for key in keys:
                await pilot.press(key)
            await pilot.pause()
            if then is not None:
                await then(app, pilot)
                await pilot.pause()
            return screen_lines(app)

    return app, run_apart(session)


GOLDEN = Path(__file__).parent / "golden"
_SCROLL_BARS = str.maketrans("▁▂▃▄▅▆▇", " " * 7)
"""What the ends of scroll bars look like is Textual's business."""

SCREENS = {
    "browse-blocks-80x24.txt": (FRAGMENT, (80, 24), ["enter", "enter"]),
    "browse-free-200x60.txt": (FRAGMENT, (200, 60), ["f"]),
    "browse-stack-80x24.txt": ("layout-x64.dmp.gz", (80, 24), ["s", "enter"]),
    "browse-owners-200x60.txt": ("layout-x64.dmp.gz", (200, 60), ["o", "down", "enter"]),
}


@pytest.mark.parametrize("name", SCREENS)
def test_screens_are_as_reviewed(name: str, request: pytest.FixtureRequest) -> None:
    dump, size, keys = SCREENS[name]
    _, lines = drive(recorded(dump), *keys, size=size)
    text = "".join(f"{line.translate(_SCROLL_BARS).rstrip()}\n" for line in lines)
    path = GOLDEN / name
    if request.config.getoption("--refresh-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_screen_is_filled_and_no_line_is_too_long(size: tuple[int, int]) -> None:
    _, lines = drive(recorded(FRAGMENT), size=size)
    assert len(lines) == size[1]
    assert {len(line) for line in lines} == {size[0]}
    assert lines[0].startswith("fragment32.exe  PID 32  x86")
    text = "\n".join(lines)
    assert "Private Data" in text
    assert "1.6 GB" in text
    assert "(no owner)" in text
    assert "Size: 1.6 GB" in text


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_blocks_of_16_mb_are_two_keys_away(size: tuple[int, int]) -> None:
    app, lines = drive(recorded(FRAGMENT), "enter", "enter", size=size)
    assert lines[0].startswith("Types > Private Data > 85 allocations of 16 MB, reserved")
    assert "1 of 85" in lines[0]
    assert {row.size for row in app.navigator.level.rows(0, 85)} == {16 << 20}
    assert "Address: 0x20c10000" in "\n".join(lines)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_largest_free_block_is_one_key_away(size: tuple[int, int]) -> None:
    app, lines = drive(recorded(FRAGMENT), "f", size=size)
    row = app.navigator.row
    assert row is not None
    assert (row.base, row.size) == (0x16D0000, 18 << 20)
    text = "\n".join(lines)
    assert "Range: 0x016d0000 to 0x028d0000" in text
    assert "The largest free block is 18 MB, at 0x16d0000." in " ".join(text.split())


def test_a_difference_begins_with_what_changed() -> None:
    before, after = recorded("leak-x64-before.dmp.gz"), recorded("leak-x64-after.dmp.gz")
    app = BrowseApp(after, dumpmap.diff(before, after).changes, color=False, message="a note")

    async def session() -> tuple[list[str], list[str]]:
        async with app.run_test(size=(80, 24)) as pilot:
            first: list[str] = []
            while not any("added" in line for line in first):  # the rows are drawn after the panes
                await pilot.pause()
                first = screen_lines(app)
            await pilot.press("enter", "enter")
            await pilot.pause()
            return first, screen_lines(app)

    first, inside = run_apart(session)
    assert first[0].startswith("Changes")
    assert first[-1].startswith("a note")
    assert "+15.8 MB Private Data added: 15 allocations" in "\n".join(first)
    assert inside[0].startswith("Types > Private Data > 12 allocations of 1.1 MB")


def test_a_narrow_screen_is_for_the_rows() -> None:
    _, lines = drive(recorded(FRAGMENT), "enter", size=(40, 20))
    assert any("85 allocations of 16" in line for line in lines)
    assert not any(line.startswith("Owners") for line in lines)


def test_backspace_goes_out_again() -> None:
    app, lines = drive(recorded(FRAGMENT), "enter", "enter", "enter", "backspace", "backspace", "backspace")
    assert len(app.navigator.path) == 1
    assert lines[0].startswith("fragment32.exe")
    _, lines = drive(recorded(FRAGMENT), "backspace")
    assert lines[-1].startswith("this is the top")


def test_search_reads_text_and_addresses() -> None:
    app, lines = drive(recorded(FRAGMENT), "slash", *"ntdll", "enter")
    assert "ntdll.dll" in app.navigator.level.row(app.navigator.level.cursor).label
    assert lines[-1].startswith("'ntdll': match 1 of 1")
    app, lines = drive(recorded(FRAGMENT), "slash", *"ntdll+2000", "enter")
    assert app.navigator.address == 0x7BC02000
    assert "Address: 0x7bc02000" in "\n".join(lines)


def at_once(region_map: RegionMap, *keys: str) -> tuple[BrowseApp, list[str]]:
    """Sends keys as a terminal does that delivers all of them in one read; returns the app and the screen's lines."""
    names = {"/": "slash", "&": "ampersand", ">": "greater_than_sign", "+": "plus"}

    async def send(app: BrowseApp, pilot: Any) -> None:
        del pilot
        for key in keys:
            app.post_message(events.Key(names.get(key, key), key if len(key) == 1 else None))
        handled = asyncio.Event()
        app.call_later(handled.set)
        await handled.wait()

    return drive(region_map, then=send)


def test_keys_in_the_same_instant_as_the_search_are_its_text() -> None:
    app, lines = at_once(recorded(FRAGMENT), "/", *"ntdll", "enter")
    assert "ntdll.dll" in app.navigator.level.row(app.navigator.level.cursor).label
    assert lines[-1].startswith("'ntdll': match 1 of 1")
    # What comes behind the text acts on what it found.
    app, _ = at_once(recorded(FRAGMENT), "/", *"ntdll+2000", "enter", "backspace")
    assert app.navigator.address is None
    assert len(app.navigator.path) > 1
    app, lines = at_once(recorded(FRAGMENT), "&", *">16mb", "enter", "down", "enter")
    assert lines[0].startswith("Types > Free")
    assert "[filter: >16mb]" in lines[0]


def test_keys_in_the_same_instant_as_escape_are_commands_again() -> None:
    app, _ = at_once(recorded(FRAGMENT), "/", "q", "escape", "f")
    row = app.navigator.row
    assert row is not None
    assert row.base == 0x16D0000
    _, lines = at_once(recorded(FRAGMENT), "down", "/", "n", "escape", "&", *">16mb", "enter")
    assert "[filter: >16mb]" in lines[0]


def test_escape_leaves_the_search_and_letters_are_keys_again() -> None:
    app, _ = drive(recorded(FRAGMENT), "slash", "f", "escape", "f")
    row = app.navigator.row
    assert row is not None
    assert row.base == 0x16D0000


def test_a_filter_that_is_not_valid_says_why() -> None:
    _, lines = drive(recorded(FRAGMENT), "ampersand", *">x", "enter")
    assert lines[-1].startswith("'x' is not a size.")
    app, lines = drive(recorded(FRAGMENT), "ampersand", *">16MB", "enter")
    assert "[filter: >16MB]" in lines[0]
    assert [row.label for row in app.navigator.level.rows(0, 9)] == ["Private Data", "Free"]


def test_the_help_names_every_key() -> None:
    _, lines = drive(recorded(FRAGMENT), "question_mark", size=(80, 60))
    text = "\n".join(lines)
    for command in COMMANDS:
        if command.keys:
            assert command.keys_text in text, command.name
            assert command.help.split(",")[0].split(".")[0][:40] in text, command.name
    _, lines = drive(recorded(FRAGMENT), "question_mark", "escape", "f")
    assert lines[0].startswith("Types > Free")
    assert max(map(len, help_lines())) <= 76


def test_tab_goes_to_the_left_pane_and_enter_opens_a_type() -> None:
    focused: list[Any] = []

    async def look(app: BrowseApp, pilot: Any) -> None:
        focused.append(app.focused)

    _, lines = drive(recorded(FRAGMENT), "tab", "down", "enter", then=look)
    assert lines[0].startswith("Types > Image")
    assert focused[0].id == "rows"
    # Down from the last type skips the heading of the owners.
    _, lines = drive(recorded(FRAGMENT), "tab", *["down"] * 7, "enter")
    assert lines[0].startswith("Owners > (no owner)")


def test_the_mouse_selects_opens_and_jumps() -> None:
    async def on_rows(app: BrowseApp, pilot: Any) -> None:
        await pilot.click("#rows", offset=(5, 1))
        await pilot.pause()
        assert app.navigator.level.cursor == 1
        await pilot.click("#rows", offset=(5, 1))

    app, lines = drive(recorded(FRAGMENT), then=on_rows)
    assert lines[0].startswith("Types > Image")

    async def on_side(app: BrowseApp, pilot: Any) -> None:
        await pilot.click("#side", offset=(5, 1))

    _, lines = drive(recorded(FRAGMENT), then=on_side)
    assert lines[0].startswith("Types > Private Data")

    async def on_strip(app: BrowseApp, pilot: Any) -> None:
        await pilot.click("#space", offset=(40, 0))

    app, _ = drive(recorded(FRAGMENT), then=on_strip)
    address = app.navigator.address
    assert address is not None
    assert 40 <= address * 80 / (app.navigator.map.end or 1) < 41


def test_the_mark_below_the_strip_follows_the_selection() -> None:
    _, lines = drive(recorded(FRAGMENT), "enter", "enter", "end")
    end = recorded(FRAGMENT).end
    assert end is not None
    marks = [place for place, letter in enumerate(lines[2]) if letter == "^"]
    app, _ = drive(recorded(FRAGMENT), "enter", "enter", "end")
    row = app.navigator.row
    assert row is not None
    assert marks[0] == row.base * 80 // end


def test_copy_writes_the_selection_as_text() -> None:
    app, lines = drive(recorded(FRAGMENT), "f", "c")
    assert "0x016d0000  18 MB, 0 bytes committed  Free" in app.clipboard
    assert "Range: 0x016d0000 to 0x028d0000" in app.clipboard
    assert lines[-1].startswith("copied")


def test_types_have_letters_without_colour_and_colours_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    _, plain = drive(recorded(FRAGMENT))
    assert "P" in plain[1]
    assert "." in plain[1]
    colours: list[str] = []

    async def look(app: BrowseApp, pilot: Any) -> None:
        for strip in app.screen._compositor.render_strips()[:5]:
            colours.extend(str(segment.style) for segment in strip)

    _, coloured = drive(recorded(FRAGMENT), color=True, then=look)
    assert "█" in coloured[1]
    assert any("#f5e36b" in style for style in colours)


def test_hostile_names_are_shown_as_they_are() -> None:
    for size in SIZES:
        app, lines = drive(hostile_map(), "o", "tab", "end", "enter", size=size)
        assert {len(line) for line in lines} == {size[0]}
        assert not any(letter < " " or letter in "\u202e\u2028" for line in lines for letter in line)
        assert app.is_running is False
    _, lines = drive(hostile_map(), "slash", *"broken", "enter", size=(200, 60))
    assert HOSTILE[1] in "\n".join(lines)


def test_a_map_without_a_list_of_regions_is_walked_too() -> None:
    _, lines = drive(partial_map(), "enter", "f")
    assert lines[-1].startswith("the largest free block is unknown: the input has no list of memory regions")


def test_an_empty_map_has_a_screen() -> None:
    empty = map_snapshot(
        Snapshot(source=Source(kind="live", name="x"), process=Process(), system=System(), regions=make_regions([]))
    )
    _, lines = drive(empty, "enter", "down", "end", "f", "x", "s", "o", "r", "c", "n")
    assert len(lines) == 24


def test_only_the_rows_that_are_seen_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 100_000
    base = np.uint64(1 << 32) + np.arange(count, dtype=np.uint64) * np.uint64(0x20000)
    regions = make_regions([(address, address, 4, 0x1000, 0x1000, 4, 0x20000) for address in base.tolist()])
    region_map = map_snapshot(
        Snapshot(
            source=Source(kind="live", name="x"),
            process=Process(architecture="x64", pointer_size=8),
            system=System(),
            regions=regions,
        )
    )
    made: list[int] = []
    row = Level.row

    def counted(level: Level, place: int) -> Row:
        made.append(place)
        return row(level, place)

    monkeypatch.setattr(Level, "row", counted)
    app, _ = drive(region_map, "enter", "end", "pageup", "home", "down")
    assert len(app.navigator.level) == count
    assert len(made) < 1500, "rows that nobody sees are made"
    assert max(made) == count - 1
