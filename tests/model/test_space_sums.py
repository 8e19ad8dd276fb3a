"""How many bytes of a range are committed, beside a count of single pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.counting import steps_of

from dumpmap.classify.space import group_allocations
from dumpmap.model.snapshot import make_regions
from dumpmap.model.space import AllocationSpace

PAGE = 0x1000
FIRST = 0x10000

Pages = list[str]
"""The state of each page from `FIRST` on: committed, reserved, or free."""


def space_of(pages: Pages) -> AllocationSpace:
    """A space with a region for each page in use."""
    states = {"c": 0x1000, "r": 0x2000}
    rows = [
        (FIRST + place * PAGE, FIRST, 4, PAGE, states[page], 4, 0x20000)
        for place, page in enumerate(pages)
        if page != "f"
    ]
    return group_allocations(make_regions(rows))


@given(st.lists(st.sampled_from("crf"), max_size=12), st.integers(0, 14 * PAGE), st.integers(0, 14 * PAGE))
def test_committed_counts_what_single_pages_add_up_to(pages: Pages, before: int, size: int) -> None:
    base = FIRST - PAGE + before
    held = [(FIRST + place * PAGE, FIRST + (place + 1) * PAGE) for place, page in enumerate(pages) if page == "c"]
    expected = sum(max(0, min(end, base + size) - max(start, base)) for start, end in held)
    assert space_of(pages).committed(base, size) == expected


@pytest.mark.parametrize("size", [1 << 63, (1 << 64) - 1, 1 << 70])
def test_a_range_may_reach_beyond_all_addresses(size: int) -> None:
    assert space_of(["c", "r", "c"]).committed(FIRST, size) == 2 * PAGE


def test_a_look_takes_a_few_steps_however_many_regions_there_are() -> None:
    """A garbage collector asks for each of its thousands of regions."""
    steps = []
    for count in (100, 800):
        space = space_of(["c"] * count)
        space.committed(FIRST, PAGE)  # what is made once
        steps.append(steps_of(lambda space=space: space.committed(FIRST + PAGE, 60 * PAGE)))  # type: ignore[misc]
    assert steps[0] == steps[1] <= 20
