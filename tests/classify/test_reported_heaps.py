"""What a process reported of its heaps, beside what was found of them in its memory."""

from __future__ import annotations

import pytest
from support.scenes import GRANULE, Scene

from dumpmap.classify.heaps import _join
from dumpmap.model.heaps import HeapInfo, HeapRange, RecordedHeap, RecordedRange
from dumpmap.model.types import RegionType

ADDRESS = 0x200000


@pytest.mark.parametrize(
    ("read", "reported", "flags"),
    [(None, 2, 2), (None, 0, None), (None, None, None), (2, 0x40002, 2), (0, 2, 0), (2, None, 2)],
)
def test_flags_in_memory_come_first(read: int | None, reported: int | None, flags: int | None) -> None:
    info = HeapInfo(1, ADDRESS, 8, "NT heap", flags=read)
    report = HeapInfo(9, ADDRESS, 8, "pool", flags=reported, name="pool")
    heap = _join(info, report, numbered=True)
    assert (heap.info.flags, heap.info.name, heap.info.id, heap.info.kind) == (flags, "pool", 1, "NT heap")


@pytest.mark.parametrize(
    ("own", "numbered", "shown"), [(1, True, 1), (None, True, None), (None, False, 9), (1, False, 1)]
)
def test_numbers_of_the_process_count_only_without_a_list(own: int | None, numbered: bool, shown: int | None) -> None:
    heap = _join(HeapInfo(own, ADDRESS, 8, "NT heap"), HeapInfo(9, ADDRESS, 8, "pool"), numbered=numbered)
    assert heap.info.id == shown


def test_ranges_that_both_have_count_once() -> None:
    def part(base: int, size: int | None, evidence: str) -> HeapRange:
        return HeapRange(base, size, "segment", evidence)

    report = HeapInfo(9, ADDRESS, 8, "pool", ranges=(part(0x100000, 64, "r"), part(ADDRESS, 32, "r")))
    heap = _join(HeapInfo(1, ADDRESS, 8, "NT heap", ranges=(part(ADDRESS, None, "m"),)), report, numbered=True)
    assert [(one.base, one.size, one.evidence) for one in heap.ranges] == [(0x100000, 64, "r"), (ADDRESS, None, "m")]
    assert heap.evidence == "heap-list"
    assert _join(HeapInfo(1, ADDRESS, 8, "NT heap"), report, numbered=True).evidence == "heap-stream"


@pytest.mark.parametrize(
    ("base", "size", "heap"),
    [
        (0, 1, [0]),
        (0, GRANULE, [0]),
        (0, GRANULE + 1, [0, 1]),
        (GRANULE - 1, 1, [0]),
        (GRANULE - 1, 2, [0, 1]),
        (GRANULE, 2 * GRANULE, [1, 2]),
        (0, 4 * GRANULE, [0, 1, 2]),
        (GRANULE, (1 << 64) - ADDRESS - GRANULE, [1, 2, 8]),
    ],
)
def test_a_reported_range_takes_every_allocation_that_it_touches(base: int, size: int, heap: list[int]) -> None:
    scene = Scene()
    for index in range(3):
        scene.allocate(GRANULE, base=ADDRESS + index * GRANULE)
    scene.allocate(GRANULE, base=ADDRESS + 8 * GRANULE)
    ranges = (RecordedRange(ADDRESS + base, size, None, "segment"),)
    region_map = scene.map(heaps=[RecordedHeap(1, "pool", None, ADDRESS, None, ranges)])
    types = dict(zip(region_map.allocation_columns.base.tolist(), region_map.allocation_columns.type, strict=True))
    assert [base for base, kind in types.items() if kind == RegionType.HEAP] == [ADDRESS + at * GRANULE for at in heap]
