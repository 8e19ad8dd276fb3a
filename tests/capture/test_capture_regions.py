"""The region list's answers are those of the classifier, whatever the regions are."""

from __future__ import annotations

import bisect

from hypothesis import given
from hypothesis import strategies as st

from dumpmap.capture.regions import RegionSpace
from dumpmap.classify.space import group_allocations
from dumpmap.model.snapshot import make_regions
from dumpmap.model.winnt import MemState, MemType, PageProtect, RegionRow

PAGE = 0x1000
COMMIT, RESERVE, FREE = map(int, MemState)
TYPES = [int(kind) for kind in MemType]


@st.composite
def region_lists(draw: st.DrawFn) -> list[RegionRow]:
    rows: list[RegionRow] = []
    position = draw(st.integers(0, 4)) * PAGE
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(TYPES))
        base = position
        for _ in range(draw(st.integers(1, 4))):
            size = draw(st.integers(1, 3)) * PAGE
            state = draw(st.sampled_from([COMMIT, COMMIT, RESERVE]))
            protect = draw(st.sampled_from([1, 2, 4, 0x20, 0x104])) if state == COMMIT else 0
            rows.append((position, base, 4, size, state, protect, kind))
            position += size
        if draw(st.booleans()):
            size = draw(st.integers(1, 3)) * PAGE
            if draw(st.booleans()):
                rows.append((position, 0, 0, size, FREE, 1, 0))
            position += size
    return rows


@given(region_lists(), st.data())
def test_the_same_answers_as_the_classifier(rows: list[RegionRow], data: st.DataObject) -> None:
    mine = RegionSpace(rows)
    theirs = group_allocations(make_regions(rows))
    assert list(mine.private_allocations()) == list(map(int, theirs.private_allocations()))
    end = rows[-1][0] + rows[-1][3] if rows else 0
    for _ in range(5):
        address = data.draw(st.integers(0, end + PAGE))
        assert mine.allocation(address) == theirs.allocation(address)
        size = data.draw(st.integers(1, end + PAGE))
        assert mine.committed(address, size) == theirs.committed(address, size)
        assert mine.large_private_allocations(size) == theirs.large_private_allocations(size)
    for offset in (0, PAGE):
        places = mine.committed_places(8 * PAGE, 5, offset)
        assert list(places) == list(theirs.committed_places(8 * PAGE, 5, offset))
        assert all(place % (8 * PAGE) == offset and mine.committed(place, 1) == 1 for place in places)


@given(region_lists(), st.data())
def test_readable(rows: list[RegionRow], data: st.DataObject) -> None:
    space = RegionSpace(rows)
    end = rows[-1][0] + rows[-1][3] if rows else 0
    starts = [row[0] for row in rows]

    def page_is_readable(page: int) -> bool:
        index = bisect.bisect_right(starts, page) - 1
        if index < 0 or page >= rows[index][0] + rows[index][3]:
            return False
        state, protect = rows[index][4:6]
        return state == COMMIT and protect in (2, 4, 0x20)

    address = data.draw(st.integers(0, end + PAGE))
    size = data.draw(st.integers(1, 4 * PAGE))
    pages = range(address // PAGE * PAGE, address + size, PAGE)
    assert space.readable(address, size) == all(map(page_is_readable, pages))


def test_a_guard_page_is_never_readable() -> None:
    guard = int(PageProtect.PAGE_READWRITE | PageProtect.PAGE_GUARD)
    space = RegionSpace(
        [(0x10000, 0x10000, 4, PAGE, COMMIT, guard, TYPES[0]), (0x11000, 0x10000, 4, PAGE, COMMIT, 4, TYPES[0])]
    )
    assert not space.readable(0x10000, 8)
    assert not space.readable(0x10FFC, 8)
    assert space.readable(0x11000, PAGE)
    assert not space.readable(0x11000, PAGE + 1)
