"""Look-ups in the address space: what is committed in a range, and which allocation holds an address."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.scenes import Scene

from dumpmap.classify.space import group_allocations
from dumpmap.model.snapshot import make_regions
from dumpmap.model.space import AllocationSpace

COMMIT, RESERVE, PRIVATE, READWRITE = 0x1000, 0x2000, 0x20000, 4
END = 1 << 64


@pytest.fixture(name="space", scope="module")
def fixture_space() -> AllocationSpace:
    """Three regions of one allocation, the middle one reserved, and behind a gap a second allocation."""
    return group_allocations(
        make_regions(
            [
                (0x10000, 0x10000, READWRITE, 0x1000, COMMIT, READWRITE, PRIVATE),
                (0x11000, 0x10000, READWRITE, 0x2000, RESERVE, 0, PRIVATE),
                (0x13000, 0x10000, READWRITE, 0x1000, COMMIT, READWRITE, PRIVATE),
                (0x20000, 0x20000, READWRITE, 0x3000, COMMIT, READWRITE, PRIVATE),
            ]
        )
    )


@pytest.mark.parametrize(
    ("start", "end", "committed"),
    [
        (0x10000, 0x11000, 0x1000),
        (0x10001, 0x10FFF, 0xFFE),
        (0x10800, 0x13001, 0x801),
        (0x11000, 0x13000, 0),
        (0x10000, 0x14000, 0x2000),
        (0x13FFF, 0x20001, 2),
        (0x14000, 0x20000, 0),
        (0, 0x10000, 0),
        (0, 0x10001, 1),
        (0x22FFF, 0x23000, 1),
        (0x23000, 0x24000, 0),
        (0x20000, 0x20000, 0),
        (0, END - 1, 0x5000),
        (0, END, 0x5000),
        (0x22000, END + 0x22000, 0x1000),
    ],
)
def test_committed_bytes_of_a_range(space: AllocationSpace, start: int, end: int, committed: int) -> None:
    assert space.committed(start, end - start) == committed


@pytest.mark.parametrize(
    ("address", "allocation"),
    [
        (0xFFFF, None),
        (0x10000, (0x10000, 0x4000)),
        (0x13FFF, (0x10000, 0x4000)),
        (0x14000, None),
        (0x1FFFF, None),
        (0x20000, (0x20000, 0x3000)),
        (0x22FFF, (0x20000, 0x3000)),
        (0x23000, None),
    ],
)
def test_the_allocation_that_holds_an_address(
    space: AllocationSpace, address: int, allocation: tuple[int, int] | None
) -> None:
    assert space.allocation(address) == allocation
    index = -1 if allocation is None else [0x10000, 0x20000].index(allocation[0])
    assert (space.index_of(address), space.indices_of([address])) == (index, [index])


@pytest.mark.parametrize(("size", "found"), [(0x3000, [0x10000, 0x20000]), (0x3001, [0x10000]), (0x4001, [])])
def test_large_allocations(space: AllocationSpace, size: int, found: list[int]) -> None:
    assert [base for base, _ in space.large_private_allocations(size)] == found


@pytest.mark.parametrize(
    ("bits", "end", "width"), [(32, 1 << 32, 8), (32, (1 << 32) + 1, 16), (64, 1 << 32, 16), (32, None, 8)]
)
def test_addresses_of_a_map_have_one_width(bits: int, end: int | None, width: int) -> None:
    assert replace(Scene(bits).leave(1 << 20).map(), end=end).address_width == width
