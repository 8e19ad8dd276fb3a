"""What heaps say of their own extents, at the exact bound, just inside and just outside of it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from support.structures import MEM_COMMIT, MEM_PRIVATE, MapSpace, heap_at, space_of, survey_process
from synth import heaps as hp
from synth.heaps import HeapTruth, SegmentSpec
from synth.process import ProcessBuilder

from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures.bounds import is_page, is_user_address
from dumpmap.structures.gc_dac_table import _Finder
from dumpmap.structures.layouts.nt_heap import LFH_HEAP_WORDS
from dumpmap.structures.nt_front_end import _front_end_range, _is_front_end, _points_back
from dumpmap.structures.nt_segments import HeapSegment, _check_extent, _uncommitted, read_old_segment, read_segment
from dumpmap.structures.recognisers.go_heap import GoReader
from dumpmap.structures.recognisers.windows_heaps import _lacks

PAGES = 0x100
SIZE = PAGES << 12
HOLES = ((0x20000, 0x3000), (0x40000, 0x1000))

FIRST, LAST, COUNT, UNCOMMITTED, RANGES = 0x40, 0x48, 0x38, 0x50, 0x54
"""Offsets in HEAP_SEGMENT on 64-bit Windows 10 (its public symbols)."""

TOTALS = {"TotalMemoryReserved": 0, "TotalMemoryCommitted": 8, "TotalSegments": 0x20}
"""Offsets in HEAP_COUNTERS there."""


@pytest.mark.parametrize(
    ("address", "pointer_size", "possible"),
    [
        (0xFFFF, 4, False),
        (0x10000, 4, True),
        (0xFFFF_FFFF, 4, True),
        (0x1_0000_0000, 4, False),
        (0xFFFF, 8, False),
        (0x10000, 8, True),
        (0x7FFF_FFFF_FFFF, 8, True),
        (0x8000_0000_0000, 8, False),
    ],
)
def test_addresses_that_a_process_can_have(address: int, pointer_size: int, possible: bool) -> None:
    assert is_user_address(address, pointer_size) is possible


@pytest.mark.parametrize(
    ("address", "possible"),
    [(0xF000, False), (0x10000, True), (0x10FFF, False), (0x11000, True), (0xFFFF_F000, True), (0x1_0000_0000, False)],
)
def test_pages_that_a_process_can_have(address: int, possible: bool) -> None:
    assert is_page(address, 4) is possible


def nt_process() -> tuple[ProcessBuilder, HeapTruth, int]:
    """A process, its heap, and the base of the heap's second segment, which has two holes of four pages in all."""
    process = ProcessBuilder("x64", 19045).furnish()
    truth = hp.nt_heap(process, segments=[SegmentSpec(0x100000), SegmentSpec(SIZE, None, HOLES)], guard_page=False)
    hp.write_heap_array(process)
    return process, truth, truth.with_role("segment")[1].base


@pytest.mark.parametrize(
    ("field", "width", "from_base", "value", "problem"),
    [
        (FIRST, 8, True, 0, None),
        (FIRST, 8, True, -1, "first and last entry are outside"),
        (FIRST, 8, True, SIZE, None),  # as the last entry
        (FIRST, 8, True, SIZE + 1, "first and last entry are outside"),
        (LAST, 8, True, SIZE, None),
        (LAST, 8, True, SIZE + 1, "first and last entry are outside"),
        (LAST, 8, True, 0x70, None),  # as the first entry
        (LAST, 8, True, 0x6F, "first and last entry are outside"),
        (COUNT, 4, False, PAGES - 1, "first and last entry are outside"),
        (COUNT, 4, False, 0, "counts 0 pages"),
        (COUNT, 4, False, 0xF00000 - 1, None),
        (COUNT, 4, False, 0xF00000, "counts 15728640 pages"),
        (UNCOMMITTED, 4, False, PAGES, None),
        (UNCOMMITTED, 4, False, PAGES + 1, "counts 257 uncommitted pages of 256"),
    ],
)
def test_the_extent_of_a_segment(field: int, width: int, from_base: bool, value: int, problem: str | None) -> None:
    process, truth, base = nt_process()
    assert process.read_pointer(base + FIRST) == base + 0x70
    assert process.read_pointer(base + LAST) == base + SIZE
    process.number(base + field, base + value if from_base else value, width)
    found = survey_process(process)
    kept = [range_ for range_ in heap_at(found, truth).ranges if range_.base == base]
    assert len(kept) == (problem is None)
    text = "\n".join(found.warnings)
    assert problem in text if problem else "broken" not in text


@pytest.mark.parametrize("ranges", [0, 1, 2, 3, 4, 5])
def test_a_segment_has_no_more_holes_than_uncommitted_pages(ranges: int) -> None:
    process, truth, base = nt_process()
    assert int.from_bytes(process.read(base + UNCOMMITTED, 4), "little") == 4
    process.number(base + RANGES, ranges, 4)
    (segment,) = (range_ for range_ in heap_at(survey_process(process), truth).ranges if range_.base == base)
    assert segment.reserved == SIZE
    assert segment.committed == SIZE - 0x4000
    # One hole is not all that the header counts; five do not fit into four pages.
    whole = tuple((base + offset, size) for offset, size in HOLES)
    assert segment.uncommitted == (whole if ranges in (2, 3, 4) else ())


@pytest.mark.parametrize(
    ("hole", "change", "good"),
    [
        (0, {}, True),
        (1, {"address": SIZE - 0x1000}, True),  # up to the end of the segment
        (1, {"address": SIZE}, False),  # behind it
        (1, {"address": 0x40800}, False),  # not on a page
        (1, {"address": 0x20000}, False),  # the first one again
        (0, {"address": 0x1000}, True),
        (0, {"address": 0}, False),  # the header itself
        (0, {"size": 0}, False),
    ],
)
def test_holes_lie_in_their_segment(hole: int, change: dict[str, int], good: bool) -> None:
    process, truth, base = nt_process()
    node = truth.lists["UCRSegmentList[1]"][1 + hole]
    offset, size = HOLES[hole]
    assert process.read_pointer(node + 0x10) == base + offset
    assert process.read_pointer(node + 0x18) == size
    process.pointer(node + 0x10, base + change.get("address", offset))
    process.pointer(node + 0x18, change.get("size", size))
    (segment,) = (range_ for range_ in heap_at(survey_process(process), truth).ranges if range_.base == base)
    assert bool(segment.uncommitted) is good


BASE = 0x7FF0_0000_0000


@pytest.mark.parametrize(
    ("base", "pages", "uncommitted", "first", "last", "problem"),
    [
        (BASE, 16, 16, 0, 0x10000, None),
        (BASE, 0, 0, 0, 0, "counts 0 pages"),
        (BASE, 1, 0, 0x40, 0x1000, None),
        (BASE, 16, 17, 0, 0x10000, "counts 17 uncommitted pages of 16"),
        (BASE, 16, 0, -1, 0x10000, "first and last entry are outside"),
        (BASE, 16, 0, 0x41, 0x40, "first and last entry are outside"),
        (BASE, 16, 0, 0x40, 0x40, None),
        (BASE, 16, 0, 0x40, 0x10001, "first and last entry are outside"),
        (0x7FFF_FFFF_0000, 16, 0, 0x40, 0x80, None),  # it ends where the user's addresses end
        (0x7FFF_FFFF_0000, 17, 0, 0x40, 0x80, "counts 17 pages"),
        (0x10000, 0xEFFFFF, 0, 0x40, 0x80, None),
        (0x10000, 0xF00000, 0, 0x40, 0x80, "counts 15728640 pages"),
    ],
)
def test_the_extent_that_a_segment_can_have(
    base: int, pages: int, uncommitted: int, first: int, last: int, problem: str | None
) -> None:
    assert _check_extent(base, pages, uncommitted, base + first, base + last, 8) == problem


def large_process(size: int = 0x210000) -> tuple[ProcessBuilder, HeapTruth, int]:
    """A process, its segment heap with one large block, and where the block's pages are counted."""
    process = ProcessBuilder("x64", 19045).furnish()
    hp.nt_heap(process)
    truth = hp.segment_heap(process, "x64-1809", large=[size])
    hp.write_heap_array(process)
    (_, record) = truth.lists["LargeAllocMetadata"]
    return process, truth, record + 0x20


@pytest.mark.parametrize(
    ("low", "change", "kept"),
    [
        (0, 0, True),
        (0xFFF, 0, True),  # the lowest twelve bits are flags
        (0, 1, False),
        (0, -1, True),
        (0, None, False),  # no page at all
        (0xFFF, None, False),
    ],
)
def test_a_large_block_ends_with_its_allocation_at_the_latest(low: int, change: int | None, kept: bool) -> None:
    process, truth, place = large_process()
    base = truth.with_role("large")[0].base
    allocation = space_of(process).allocation(base)
    assert allocation is not None
    assert allocation[0] == base
    pages = 0 if change is None else (allocation[1] >> 12) + change
    process.pointer(place, pages << 12 | low)
    found = survey_process(process)
    blocks = [range_ for range_ in heap_at(found, truth).ranges if range_.role == "large block"]
    assert [(block.base, block.committed) for block in blocks] == ([(base, pages << 12)] if kept else [])
    text = "\n".join(found.warnings)
    assert ("0 of 528 pages were found" in text) is not kept
    assert ("more than the allocation has" in text) is (change == 1)


def test_the_pages_that_a_damaged_tree_still_gives_are_counted() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    hp.nt_heap(process)
    truth = hp.segment_heap(process, "x64-1809", large=[0x200000, 0x11000, 0x32000])
    hp.write_heap_array(process)
    _, *records = truth.lists["LargeAllocMetadata"]
    counts = [process.read_pointer(record + 0x20) >> 12 for record in records]
    assert sorted(counts) == [0x11, 0x32, 0x200]
    process.pointer(records[-1] + 0x20, 0)  # the leaf with the highest address
    found = survey_process(process)
    assert any(f"; {sum(counts[:-1])} of {sum(counts)} pages were found" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("change", "sound"),
    [
        ({}, True),
        ({"TotalSegments": 1}, True),
        ({"TotalSegments": 0}, False),
        ({"TotalSegments": 100_000}, True),
        ({"TotalSegments": 100_001}, False),
        ({"TotalMemoryCommitted": 0}, False),
        ({"TotalMemoryCommitted": 1}, True),
        ({"TotalMemoryCommitted": SIZE, "TotalMemoryReserved": SIZE}, True),
        ({"TotalMemoryCommitted": SIZE + 1, "TotalMemoryReserved": SIZE}, False),
        ({"TotalMemoryReserved": SIZE * 8 + 0x800}, False),  # not pages
        ({"TotalMemoryReserved": 0x8000_0000_0000 - 0x1000}, True),
        ({"TotalMemoryReserved": 0x8000_0000_0000}, False),
    ],
)
def test_the_totals_of_a_heap(change: dict[str, int], sound: bool) -> None:
    process, truth, _ = nt_process()
    for name, value in change.items():
        process.number(truth.fields["Counters"] + TOTALS[name], value, 8 if "Memory" in name else 4)
    assert (heap_at(survey_process(process), truth).counters is not None) is sound


@pytest.mark.parametrize(
    ("address", "own", "points_back", "has_map", "found"),
    [
        (0x20000, True, True, True, (None, False)),
        (0x20000, True, None, True, (None, True)),  # its bytes are not there
        (0x20000, True, False, True, None),
        (0x20000, False, True, True, None),  # the map shows that it lies in a segment of the heap
        (0x20000, False, True, False, (108 * 1024, True)),
        (0x20000, False, None, False, None),
        (0x20000, False, False, False, None),
        (0x20800, True, True, False, None),  # not a page
        (0xF000, True, True, False, None),
    ],
)
def test_a_front_end_with_memory_of_its_own(
    address: int, own: bool, points_back: bool | None, has_map: bool, found: tuple[int | None, bool] | None
) -> None:
    heap = SimpleNamespace(pointer_size=8, has_map=has_map, starts_private_memory=lambda place: own)
    front_end = _front_end_range(heap, address, points_back)  # type: ignore[arg-type]
    assert (front_end and (front_end.base, front_end.size, front_end.inferred)) == (found and (address, *found))


@pytest.mark.parametrize(
    ("pointer", "kind", "is_old", "good"),
    [
        (0, 0, False, True),
        (0x20000, 0, False, False),
        (0x20000, 2, False, True),
        (0, 2, False, False),
        (0x20000, 1, False, False),  # look-aside lists, up to Windows XP
        (0x20000, 1, True, True),
        (0, 1, True, False),
    ],
)
def test_the_kind_of_a_front_end_agrees_with_its_pointer(pointer: int, kind: int, is_old: bool, good: bool) -> None:
    assert _is_front_end(pointer, kind, is_old) is good


@pytest.mark.parametrize(
    ("words", "found"),
    [((5, 6, 0x30000), True), ((5, 6, 7), False), ((0x30000, 6, 7), True), ((0x3000000005, 0, 0), False), ((), None)],
)
def test_a_front_end_that_points_back_at_its_heap(words: tuple[int, ...], found: bool | None) -> None:
    data = b"".join(word.to_bytes(8, "little") for word in words).ljust(LFH_HEAP_WORDS, b"\0") if words else b""
    memory = ExcerptMemory([(0x20000, data)])
    heap = SimpleNamespace(pointer_size=8, memory=memory)
    assert _points_back(heap, 0x20000, 0x30000) is found  # type: ignore[arg-type]
    assert _points_back(heap, 0xF000, 0x30000) is False  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ((), ()),
        (("first",), ("first",)),
        (("first", "b"), ("first; 1 more list of a heap is not captured whole",)),
        (("first", "b", "c"), ("first; 2 more lists of heaps are not captured whole",)),
    ],
)
def test_lists_that_are_not_captured_whole_are_one_note(notes: tuple[str, ...], said: tuple[str, ...]) -> None:
    heaps = (SimpleNamespace(notes=()), *(SimpleNamespace(notes=(note,)) for note in notes))
    assert _lacks(heaps) == said  # type: ignore[arg-type]


def test_the_first_of_the_threads_with_another_peb_is_named() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    for number, thread in enumerate((process.add_thread(), process.add_thread()), 1):
        process.set_teb(thread, "ProcessEnvironmentBlock", process.peb + 0x10000 * number)
        if number == 1:
            first = thread.tid
    (text,) = [text for text in survey_process(process).warnings if "another PEB" in text]
    assert text.endswith(
        f"2 of {len(process.threads)} TEBs name another PEB (first: thread {first}, {process.peb + 0x10000:#x})"
    )


@pytest.mark.parametrize(
    ("read", "address", "problem"),
    [
        (read_old_segment, 0x20004, "not an address"),
        (read_old_segment, 0xFFF8, "not an address"),
        (read_old_segment, 0xFFFC, "not an address"),
        (read_old_segment, 0x8000_0000_0000, "not an address"),
        (read_old_segment, 0x20008, "unread"),
        (read_segment, 0x20008, "not the start of a page"),
        (read_segment, 0xF000, "not the start of a page"),
        (read_segment, 0x8000_0000_0000, "not the start of a page"),
        (read_segment, 0x20000, "unread"),
    ],
)
def test_where_a_segment_can_be(read: Callable[..., object], address: int, problem: str) -> None:
    context = SimpleNamespace(pointer_size=8, memory=ExcerptMemory([]), why_unread=lambda place, **rest: "unread")
    assert read(context, address, 0x30000) == problem


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize(
    ("value", "possible"),
    [(0x20000, True), (0x20004, True), (0x20002, False), (0x30000, False), (0xFFFC, False), (0x2FFFC, True)],
)
def test_words_that_can_point_into_an_allocation(value: int, width: int, possible: bool) -> None:
    space = MapSpace(
        [(0x8000, 0x8000, 0x8000, MEM_COMMIT, MEM_PRIVATE), (0x20000, 0x10000, 0x20000, MEM_COMMIT, MEM_PRIVATE)]
    )
    reader = SimpleNamespace(widths=SimpleNamespace(pointer=width), _space=space)
    assert GoReader.is_pointer(reader, value) is possible  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "array", "found"),
    [
        (1, 0x40000, [7]),
        (2, 0x40000, [7, 8]),
        (1024, 0x40000, None),
        (0, 0x40000, []),
        (1025, 0x40000, []),
        (1, 0xF000, []),
    ],
)
def test_the_heaps_that_a_runtime_lists(count: int, array: int, found: list[int] | None) -> None:
    heaps = b"".join(number.to_bytes(8, "little") for number in range(7, 7 + 1025))
    words = (count, array)
    memory = ExcerptMemory(
        [(0x20000 + 8 * at, word.to_bytes(8, "little")) for at, word in enumerate(words)] + [(array, heaps)]
    )
    for entries in ([0x20000, 0x20008], [0x20008, 0x20000]):
        finder = SimpleNamespace(memory=memory, entries=entries, width=8, heap_generations=lambda heap: heap)
        listed = _Finder.listed_heaps(finder)  # type: ignore[arg-type]
        assert listed == (list(range(7, 7 + 1024)) if found is None else found)


SEGMENT = 0x100000


@pytest.mark.parametrize(
    ("holes", "count", "pages", "good"),
    [
        (((0x1000, 0x1000), (0x4000, 0x2000)), 2, 3, True),
        (((0x4000, 0x2000), (0x1000, 0x1000)), 2, 3, True),
        (((0x1000, 0x1000), (0x4000, 0x2000)), 3, 3, True),
        (((0x1000, 0x1000), (0x4000, 0x2000)), 1, 3, False),
        (((0x1000, 0x1000), (0x4000, 0x2000)), 2, 4, False),
        (((0x1000, 0x1000), (0x2800, 0x1000), (0x4000, 0x2000)), 3, 3, False),  # what follows a bad one is not read
        (((0x1000, 0x1000), (0x1000, 0x1000), (0x4000, 0x2000)), 3, 3, False),
        (((0x1000, 0x1000), (0x4000, 0), (0x4000, 0x2000)), 3, 3, False),
        (((0xE000, 0x2000),), 1, 2, True),
        (((0xE000, 0x3000),), 1, 3, False),
        (((0, 0x1000),), 1, 1, False),
        ((), 0, 0, True),
    ],
)
def test_the_holes_of_a_segment_add_up(holes: tuple[tuple[int, int], ...], count: int, pages: int, good: bool) -> None:
    nodes = [0x20000 + 0x20 * number for number in range(len(holes))]
    words = [
        (following, SEGMENT + offset, size) for (offset, size), following in zip(holes, [*nodes[1:], 0], strict=False)
    ]
    chunks = [
        (node, b"".join(word.to_bytes(8, "little") for word in row)) for node, row in zip(nodes, words, strict=True)
    ]
    context = SimpleNamespace(pointer_size=8, memory=ExcerptMemory(chunks), budget=SimpleNamespace(left=9))
    first = nodes[0] if nodes else 0
    segment = HeapSegment(SEGMENT, SEGMENT, 0x10000, pages << 12, count, SEGMENT, SEGMENT, 0, 0, first, True)
    for known in ({}, dict(zip(nodes, words, strict=True))):  # read one by one, and read at once before
        found = _uncommitted(context, segment, known)  # type: ignore[arg-type]
        assert found == (tuple(sorted((SEGMENT + offset, size) for offset, size in holes)) if good else ())
