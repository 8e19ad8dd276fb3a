"""Allocation bases that a list of regions gets wrong."""

from __future__ import annotations

import pytest
from support.dumps import read, tiny
from synth.minidump import MEM_COMMIT, MEM_FREE, MEM_PRIVATE, MEM_RESERVE, PAGE_READWRITE

from dumpmap.model.snapshot import Stream
from dumpmap.parsers.minidump.assembly import _regions_complete

ABOVE = 0x900000
"""An allocation base above all of the regions."""


@pytest.mark.parametrize(
    ("rows", "bases"),
    [
        # one allocation of two regions: it begins with the first
        ([(0x10000, 0x2000, ABOVE), (0x12000, 0xE000, ABOVE)], [0x10000, 0x10000]),
        # a gap between the two: these are two allocations
        ([(0x10000, 0x2000, ABOVE), (0x20000, 0xE000, ABOVE)], [0x10000, 0x20000]),
        # another base begins another allocation
        ([(0x10000, 0x2000, ABOVE), (0x12000, 0xE000, ABOVE + 0x10000)], [0x10000, 0x12000]),
        # a good one stays beside a wrong one
        (
            [(0x10000, 0x2000, 0x10000), (0x12000, 0xE000, 0x10000), (0x20000, 0x1000, ABOVE)],
            [0x10000, 0x10000, 0x20000],
        ),
        # the base of a region may be its own, and not one byte more
        ([(0x10000, 0x1000, 0x10000), (0x20000, 0x1000, 0x20001)], [0x10000, 0x20000]),
    ],
)
def test_an_allocation_begins_with_the_first_of_its_regions(rows: list[tuple[int, int, int]], bases: list[int]) -> None:
    builder = tiny()
    for number, (base, size, allocation) in enumerate(rows):
        state = MEM_RESERVE if number % 2 else MEM_COMMIT
        builder.region(base, size, state, PAGE_READWRITE, MEM_PRIVATE, allocation_base=allocation)
    snapshot = read(builder)
    assert snapshot.regions is not None
    assert snapshot.regions.allocation_base.tolist() == bases
    wrong = sum(allocation > base for base, _, allocation in rows)
    (warning,) = snapshot.warnings
    assert f"{wrong} regions start before their allocation" in warning


def test_free_regions_have_no_allocation() -> None:
    builder = tiny().region(0x10000, 0x10000, MEM_FREE, 0, 0, allocation_base=ABOVE)
    snapshot = read(builder.region(0x20000, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE))
    assert snapshot.warnings == ()


@pytest.mark.parametrize(
    ("number", "status", "end", "complete"),
    [
        (16, "read", 2000, True),
        (16, "reads like nothing", 900, False),
        (16, "says something else", 900, False),
        (16, "claims more than there is", 900, False),
        (0x47670009, "read", 1000, True),
        (0x47670009, "has a bad line", 1000, True),
        (0x47670009, "read", 1001, False),
        (3, "cut off", 2000, True),  # a list of threads
    ],
)
def test_when_a_list_of_regions_is_whole(number: int, status: str, end: int, complete: bool) -> None:
    streams = [Stream(16, "MemoryInfoList", 100, 10, "read"), Stream(number, "other", end - 100, 100, status)]
    assert _regions_complete(streams, 1000) is complete
