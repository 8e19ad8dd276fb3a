"""What a process reported of its heaps, beside what was found of them in its memory."""

from __future__ import annotations

import pytest

from dumpmap.classify.heaps import _join
from dumpmap.model.heaps import HeapInfo, HeapRange

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
