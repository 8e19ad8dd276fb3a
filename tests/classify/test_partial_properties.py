"""What proves memory in a dump without a list of regions: parts that overlap as they like give a partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpmap.classify.partial import Cover, _pages_of_blocks, _ranges, with_captured, with_many_captured
from dumpmap.model.recognised import LabelledRange
from dumpmap.model.snapshot import Regions
from dumpmap.model.winnt import PAGE_SIZE

PART = st.tuples(st.integers(0, 60), st.integers(0, 12), st.integers(0, 4), st.integers(0, 1), st.integers(0, 1)).map(
    lambda part: (part[0], part[0] + part[1], *part[2:])
)


def byte_by_byte(ranks: list[list[tuple[int, int, int, int, int]]]) -> dict[int, tuple[int, int, int]]:
    """Who holds each byte: the first rank that claims it, and in a rank the part that begins lowest."""
    owner: dict[int, tuple[int, int, int]] = {}
    for parts in ranks:
        fresh: dict[int, tuple[int, int, int]] = {}
        for start, end, *facts in sorted(parts):
            for byte in range(start, end):
                if byte not in owner:
                    fresh.setdefault(byte, (facts[0], facts[1], facts[2]))
        owner |= fresh
    return owner


@given(st.lists(st.lists(PART, max_size=8), max_size=4))
def test_earlier_ranks_keep_what_they_hold(ranks: list[list[tuple[int, int, int, int, int]]]) -> None:
    cover = Cover()
    for parts in ranks:
        cover.add(parts)
    regions = cover.regions()
    found = {}
    end = 0
    for base, size, allocation, state, kind in zip(
        regions.base.tolist(),
        regions.size.tolist(),
        regions.allocation_base.tolist(),
        regions.state.tolist(),
        regions.type.tolist(),
        strict=True,
    ):
        assert size > 0
        assert base >= end
        end = base + size
        found.update(dict.fromkeys(range(base, end), (allocation, state, kind)))
    assert found == byte_by_byte(ranks)


RUN = st.tuples(st.integers(0, 60), st.integers(0, 12))


@given(st.lists(st.lists(PART, max_size=8), max_size=3), st.lists(RUN, max_size=12))
def test_captured_bytes_are_the_last_rank(
    ranks: list[list[tuple[int, int, int, int, int]]], captured: list[tuple[int, int]]
) -> None:
    for add in (with_captured, with_many_captured):
        one, other = Cover(), Cover()
        for parts in ranks:
            one.add(parts)
            other.add(parts)
        one.add((start, start + size, start, 0x1000, 0) for start, size in captured)
        expected, found = one.regions(), add(other, captured)
        for column in ("base", "size", "allocation_base", "state", "type", "protect", "allocation_protect"):
            assert getattr(found, column).tolist() == getattr(expected, column).tolist(), column
            assert getattr(found, column).dtype == getattr(expected, column).dtype


@pytest.mark.parametrize("add", [with_captured, with_many_captured])
def test_captured_bytes_beyond_user_space_are_left_out(
    add: Callable[[Cover, Sequence[tuple[int, int]]], Regions],
) -> None:
    regions = add(Cover(), [((1 << 64) - 16, 8), ((1 << 63) - 8, 16), (0x1000, (1 << 64) - 1), (0x2000, 8)])
    assert regions.base.tolist() == [0x2000]


@pytest.mark.parametrize("address", [0x7FFD_0000, 0x7FFD_2000, 0x7FFD_E000, 0x7FFD_F800])
@pytest.mark.parametrize(("pointer_size", "pages"), [(4, 1), (8, 2)])
def test_a_teb_has_one_page_in_32_bits_and_two_in_64(address: int, pointer_size: int, pages: int) -> None:
    teb, peb = SimpleNamespace(address=address, pointer_size=pointer_size), SimpleNamespace(address=address + 0x10000)
    structures = SimpleNamespace(tebs=[teb], pebs=[peb])
    found = [(start, end, base) for start, end, base, *_ in _pages_of_blocks(structures)]  # type: ignore[arg-type]
    base = address // PAGE_SIZE * PAGE_SIZE
    above = base + 0x10000
    assert found == [(base, base + pages * PAGE_SIZE, base), (above, above + PAGE_SIZE, above)]


C, R = 0x1000, 0x2000


def part(base: int, size: int, committed: int | None, owner: str = "V8", whole: bool = False) -> LabelledRange:
    """What a recogniser found."""
    return LabelledRange(base, size, "x", "y", committed=committed, owner=owner, takes_allocation=whole)


@pytest.mark.parametrize(
    ("parts", "regions"),
    [
        ([], []),
        ([part(100, 50, 50)], [(100, 150, 100, C)]),
        ([part(100, 50, 0)], [(100, 150, 100, R)]),
        ([part(100, 50, 20)], [(100, 120, 100, C), (120, 150, 100, R)]),
        ([part(100, 50, None)], []),
        ([part(100, 50, 50, whole=True)], []),
        # Neighbours of one owner share an allocation, and equal states a region.
        ([part(100, 50, 50), part(150, 50, 50)], [(100, 200, 100, C)]),
        ([part(100, 50, 0), part(150, 50, 20)], [(100, 150, 100, R), (150, 170, 100, C), (170, 200, 100, R)]),
        ([part(100, 50, 20), part(150, 50, 0)], [(100, 120, 100, C), (120, 200, 100, R)]),
        ([part(100, 50, 50), part(151, 50, 50)], [(100, 150, 100, C), (151, 201, 151, C)]),
        ([part(100, 50, 50), part(150, 50, None), part(200, 50, 50)], [(100, 150, 100, C), (200, 250, 200, C)]),
        ([part(100, 50, 50), part(150, 50, 50, "Go")], [(100, 150, 100, C), (150, 200, 150, C)]),
    ],
)
def test_what_recognisers_found_becomes_allocations(
    parts: list[LabelledRange], regions: list[tuple[int, int, int, int]]
) -> None:
    found = list(_ranges(SimpleNamespace(ranges=parts)))  # type: ignore[arg-type]
    assert found == [(*region, 0x20000) for region in regions]
