"""What proves memory in a dump without a list of regions: parts that overlap as they like give a partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpmap.classify.partial import Cover, with_captured, with_many_captured
from dumpmap.model.snapshot import Regions

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
