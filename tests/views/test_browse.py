"""The navigation of `browse`, without a screen."""

from __future__ import annotations

import numpy as np
import pytest
from support.maps import hostile_map, partial_map, recorded

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.views.blocks import Facts, Paragraph
from dumpmap.views.browse.details import detail_blocks
from dumpmap.views.browse.items import items_of, strip_of
from dumpmap.views.browse.levels import SORTS
from dumpmap.views.browse.navigation import Navigator

FRAGMENT = "fragment-x86.dmp.gz"
MAPS = (FRAGMENT, "layout-x64.dmp.gz", "layout-wow64.dmp.gz", "leak-x64-after.dmp.gz")


def labels(navigator: Navigator) -> list[str]:
    """The labels of all rows."""
    return [row.label for row in navigator.level.rows(0, len(navigator.level))]


@pytest.mark.parametrize("name", MAPS)
def test_types_add_up_to_the_summary(name: str) -> None:
    region_map = recorded(name)
    navigator = Navigator(region_map)
    seen = {row.type: row for row in navigator.level.rows(0, len(navigator.level))}
    for found, row in seen.items():
        assert found is not None
        line = region_map.line(found)
        assert row.size == line.size, found
        assert row.committed == (line.committed or 0), found
    assert len(seen) == len([1 for line in region_map.summary_lines[1:] if line.size])


@pytest.mark.parametrize("name", MAPS)
def test_owners_add_up_to_those_of_the_command(name: str) -> None:
    region_map = recorded(name)
    navigator = Navigator(region_map)
    navigator.show("owners")
    found = find_owners(region_map)
    expected = sorted((owner.size, owner.committed, owner.allocations) for owner in found.owners)
    expected += [(found.unowned_size, found.unowned_committed, found.unowned_allocations)]
    free = {RegionType.FREE.label, RegionType.UNUSABLE.label}
    rows = [row for row in navigator.level.rows(0, len(navigator.level)) if row.label not in free]
    assert sorted((row.size, row.committed) for row in rows) == sorted(one[:2] for one in expected)


@pytest.mark.parametrize("name", MAPS)
def test_every_level_adds_up_to_the_row_above_it(name: str) -> None:
    navigator = Navigator(recorded(name))
    for place in range(len(navigator.level)):
        navigator.show("types")
        navigator.put(place)
        row = navigator.row
        assert row is not None
        assert navigator.enter() == ""
        assert int(navigator.level.size.sum()) == row.size
        navigator.put(0)
        group = navigator.row
        assert group is not None
        if group.count > 1:
            navigator.enter()
            assert navigator.level.kind == "allocations"
            assert int(navigator.level.size.sum()) == group.size
            assert len(navigator.level) == group.count


def test_the_blocks_of_16_mb_are_two_steps_away() -> None:
    navigator = Navigator(recorded(FRAGMENT))
    navigator.enter()
    assert labels(navigator)[0] == "85 allocations of 16 MB, reserved"
    navigator.enter()
    assert len(navigator.level) == 85
    assert set(navigator.level.size.tolist()) == {16 << 20}
    assert navigator.title == "Types > Private Data > 85 allocations of 16 MB, reserved"


def test_back_keeps_the_place() -> None:
    navigator = Navigator(recorded(FRAGMENT))
    navigator.enter()
    navigator.move(2)
    navigator.enter()
    navigator.back()
    assert navigator.level.cursor == 2
    assert navigator.back() == ""
    assert navigator.back() == "this is the top"


def test_regions_are_below_an_allocation_by_address() -> None:
    navigator = Navigator(recorded(FRAGMENT))
    assert navigator.go_to(0x7BC00000) == ""
    assert navigator.level.kind == "regions"
    assert labels(navigator)[:2] == ["Header, Read", ".text, Execute/Read"]
    assert np.all(np.diff(navigator.level.base.astype(np.int64)) > 0)
    assert navigator.enter() == "there is nothing below this row"


@pytest.mark.parametrize("tree", ["types", "owners"])
@pytest.mark.parametrize("name", MAPS)
def test_a_jump_selects_what_holds_the_address(name: str, tree: str) -> None:
    region_map = recorded(name)
    navigator = Navigator(region_map)
    navigator.show("owners" if tree == "owners" else "types")
    rows = region_map.block_columns
    for block in range(0, len(rows.base), max(1, len(rows.base) // 97)):
        address = int(rows.base[block]) + int(rows.size[block]) - 1
        navigator.go_to(address)
        row = navigator.row
        assert row is not None
        assert row.base <= address < row.base + row.size or navigator.level.kind == "allocations"
        assert navigator.selected_address == address
        assert navigator.tree == tree
    assert navigator.path[0].kind == tree


def test_the_largest_free_block_is_that_of_the_summary() -> None:
    for name in MAPS:
        navigator = Navigator(recorded(name))
        assert navigator.to_largest_free() == ""
        row, free = navigator.row, recorded(name).largest_free_block
        assert row is not None
        assert free is not None
        assert (row.base, row.size) == (free.address, free.size)
        assert navigator.title.startswith("Types > Free")


def test_the_exception_is_found_and_its_absence_said() -> None:
    assert Navigator(recorded(FRAGMENT)).to_exception() == "the input has no exception"
    navigator = Navigator(recorded("exhaust-x86.dmp.gz"))
    assert navigator.to_exception() == "the instruction"
    assert navigator.address == 0x7B012866
    assert navigator.title == "Types > Image > 0x7b000000"


def test_stacks_are_listed_and_open() -> None:
    navigator = Navigator(recorded(FRAGMENT))
    navigator.to_stacks()
    assert labels(navigator) == ["thread 36 main, 32 bits", "thread 280 worker, 32 bits"]
    navigator.enter()
    assert navigator.title.startswith("Types > Stack")
    assert navigator.address == recorded(FRAGMENT).stacks[0].base


def test_search_walks_through_the_matches() -> None:
    navigator = Navigator(recorded(FRAGMENT))
    assert navigator.next_match() == "search for a text first"
    assert navigator.search("reserved-nothing") == "nothing is named 'reserved-nothing'"
    first = navigator.search("wine heap")
    count = int(first.rpartition(" ")[2])
    assert first == f"'wine heap': match 1 of {count}"
    assert count > 1
    seen = [navigator.selected_address]
    for place in range(2, count + 1):
        assert navigator.next_match() == f"'wine heap': match {place} of {count}"
        seen.append(navigator.selected_address)
    assert len(set(seen)) == count
    assert navigator.next_match() == f"'wine heap': match 1 of {count}"
    assert navigator.next_match(-1) == f"'wine heap': match {count} of {count}"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0x7bc00000", 0x7BC00000),
        ("7bc00000", 0x7BC00000),
        ("ntdll+0x1000", 0x7BC01000),
        ("ntdll.dll+1000", 0x7BC01000),
        ("00000000`7bc01000", 0x7BC01000),
    ],
)
def test_search_reads_addresses(text: str, address: int) -> None:
    navigator = Navigator(recorded(FRAGMENT))
    assert navigator.search(text) == ""
    assert navigator.address == address


def test_addresses_outside_are_said_to_be() -> None:
    navigator = Navigator(recorded(FRAGMENT))
    for text in ("0xffffffffffffffff", "0xfffffffff"):
        assert navigator.search(text).endswith("it is outside the address space")
    assert navigator.search("0x" + "f" * 17) == f"nothing is named {'0x' + 'f' * 17!r}"


def test_search_finds_threads_by_name() -> None:
    navigator = Navigator(recorded(FRAGMENT))
    navigator.search("worker")
    row = navigator.row
    assert row is not None
    assert row.type is RegionType.STACK


def test_filters_join_and_are_taken_off_for_what_they_hide() -> None:
    navigator = Navigator(recorded(FRAGMENT))
    assert navigator.set_filter(">=1MB <2MB reserved") == "filter: 123 ranges"
    assert labels(navigator) == ["Private Data"]
    assert int(navigator.level.size.sum()) == 122 * (1 << 20) + 1280 * 1024
    assert navigator.set_filter("ntdll") == "filter: 1 range"
    assert navigator.go_to(0x20C10000) == "the filter hid it and is off"
    assert navigator.filter == ""
    assert navigator.set_filter("nobody-has-this") == "nothing matches 'nobody-has-this'"
    assert len(navigator.path[0]) == 7
    with pytest.raises(ValueError, match="'x' is not a size"):
        navigator.set_filter(">x")
    assert navigator.set_filter("") == "no filter"


@pytest.mark.parametrize("column", SORTS)
def test_rows_are_sorted(column: str) -> None:
    navigator = Navigator(recorded(FRAGMENT))
    navigator.enter()
    selected = navigator.row
    navigator.sort_by(column)
    assert navigator.row == selected
    level = navigator.level
    values = (level.base if column == "address" else -getattr(level, column)).astype(np.int64)[level.order]
    assert np.all(np.diff(values) >= 0)


def test_sorting_goes_round() -> None:
    navigator = Navigator(recorded(FRAGMENT))
    words = [navigator.sort_by() for _ in SORTS]
    assert words == ["sorted by committed", "sorted by count", "sorted by address", "sorted by size"]


def test_free_space_is_last_in_a_root() -> None:
    navigator = Navigator(recorded("layout-x64.dmp.gz"))
    assert labels(navigator)[-2:] == ["Free", "Unusable"]


def test_details_name_evidence_owner_and_bytes() -> None:
    from dumpmap.render.terminal import to_text

    region_map = recorded(FRAGMENT)
    navigator = Navigator(region_map)
    navigator.go_to(0x7BC00000)
    text = to_text(detail_blocks(navigator, region_map.findings()))
    for part in ("memory-info+module-list+pe-header", "ntdll.dll", "4d 5a 90 00", "Wine builtin DLL"):
        assert part in text
    navigator.to_stacks()
    navigator.enter()
    assert "Thread name  main" in to_text(detail_blocks(navigator, []))
    navigator.to_largest_free()
    assert "The largest free block is 18 MB" in to_text(detail_blocks(navigator, region_map.findings()))


def test_partial_maps_have_no_free_space() -> None:
    navigator = Navigator(partial_map())
    assert navigator.to_largest_free().startswith("the largest free block is unknown")
    assert navigator.search("0x10").endswith("the input has no list of memory regions")
    assert navigator.to_stacks() == "no stacks were identified"
    assert sum(row.size for row in navigator.level.rows(0, 9)) == int(partial_map().block_columns.size.sum())


def test_items_cover_every_block_once() -> None:
    for name in MAPS:
        region_map = recorded(name)
        items = items_of(region_map)
        gaps = int(region_map.gap_rows[1].sum())
        assert int(items.size.sum()) == int(region_map.block_columns.size.sum()) + gaps
    hostile = hostile_map()
    assert int(items_of(hostile).committed.sum()) == int(hostile.block_columns.committed.sum())


# ---------------------------------------------------------------- a difference


def test_changes_add_up_and_lead_into_the_later_map() -> None:
    before, after = recorded("leak-x64-before.dmp.gz"), recorded("leak-x64-after.dmp.gz")
    difference = dumpmap.diff(before, after)
    navigator = Navigator(after, difference.changes)
    rows = list(navigator.level.rows(0, len(navigator.level)))
    assert rows[0].label == "Private Data added: 15 allocations"
    assert rows[0].size_text.startswith("+")
    expected = after.total.committed or 0, before.total.committed or 0
    assert sum(row.committed for row in rows) == expected[0] - expected[1]
    assert sum(row.count for row in rows) == len(difference.changes)
    navigator.enter()
    assert len(navigator.level) == 15
    change = navigator.row
    assert change is not None
    assert navigator.enter() == ""
    assert navigator.title.startswith("Types > Private Data")
    assert navigator.selected_address == change.base


def test_what_is_gone_has_details_only() -> None:
    before, after = recorded("leak-x64-before.dmp.gz"), recorded("leak-x64-after.dmp.gz")
    navigator = Navigator(after, dumpmap.diff(before, after).changes)
    place = labels(navigator).index("Private Data removed: 1 allocation")
    navigator.put(place)
    navigator.enter()
    assert navigator.enter() == "it is in the first input only"
    (facts,) = detail_blocks(navigator, [])
    assert isinstance(facts, Facts)
    assert [fact.text for fact in facts.rows if fact.label == "Size"] == ["768 KB -> none (-768 KB)"]
    navigator.show("types")
    assert navigator.to_changes() == ""
    assert navigator.title == "Changes"
    assert Navigator(after).to_changes() == "there is one input: dumpmap browse A B shows what changed"


def test_equal_maps_have_no_changes() -> None:
    one = recorded(FRAGMENT)
    navigator = Navigator(one, dumpmap.diff(one, one).changes)
    assert len(navigator.level) == 0
    assert navigator.enter() == "there are no rows"
    (nothing,) = detail_blocks(navigator, [])
    assert isinstance(nothing, Paragraph)


# ---------------------------------------------------------------- the strip


def test_a_32_bit_space_is_drawn_to_scale() -> None:
    region_map = recorded(FRAGMENT)
    strip = strip_of(items_of(region_map))
    cells = strip.cells(64)
    assert not any(cell.cut for cell in cells)
    assert region_map.end is not None
    for number, cell in enumerate(cells):
        low, high = region_map.end * number // 64, region_map.end * (number + 1) // 64
        sums = dict.fromkeys(RegionType, 0)
        for base, size, found in _ranges(region_map):
            sums[found] += max(0, min(high, base + size) - max(low, base))
        assert sums[cell.type] == max(sums.values()), number


def _ranges(region_map: RegionMap) -> list[tuple[int, int, RegionType]]:
    items = items_of(region_map)
    return [
        (base, size, RegionType(code))
        for base, size, code in zip(items.base.tolist(), items.size.tolist(), items.type.tolist(), strict=True)
    ]


@pytest.mark.parametrize("name", MAPS)
def test_a_cell_leads_to_an_address_that_is_marked_there(name: str) -> None:
    strip = strip_of(items_of(recorded(name)))
    for cell in range(80):
        address = strip.address(cell, 80)
        assert address is not None
        marks = strip.marks(np.array([address], np.uint64), np.array([1]), 80)
        (places,) = np.nonzero(marks)
        assert len(places) == 1
        assert abs(int(places[0]) - cell) <= 1


def test_a_64_bit_space_shows_what_is_used() -> None:
    cells = strip_of(items_of(recorded("layout-x64.dmp.gz"))).cells(80)
    used = [cell for cell in cells if cell.type not in (RegionType.FREE, RegionType.UNUSABLE)]
    assert len(used) > 20
    assert any(cell.cut for cell in cells)
