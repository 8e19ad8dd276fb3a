"""Reads and checks the headers of NT heap segments, and the holes in segments, of both shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dumpmap.model.heaps import HeapRange
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import USER_LIMIT, is_page, is_user_address
from dumpmap.structures.heap_context import HeapContext, Remarks
from dumpmap.structures.layout import parts
from dumpmap.structures.layouts import nt_heap as layouts
from dumpmap.structures.walk import NOT_CAPTURED

_SEGMENT = parts(
    layouts.HEAP_SEGMENT,
    "SegmentSignature",
    "SegmentListEntry.Flink",
    "SegmentListEntry.Blink",
    "Heap",
    "NumberOfPages",
    "FirstEntry",
    "LastValidEntry",
    "NumberOfUnCommittedPages",
    "NumberOfUnCommittedRanges",
    "UCRSegmentList.Flink",
)
SEGMENT_ENTRY = {size: layout.offsets["SegmentListEntry.Flink"] for size, layout in layouts.HEAP_SEGMENT.items()}
_SEGMENT_UCR = {size: layout.offsets["UCRSegmentList.Flink"] for size, layout in layouts.HEAP_SEGMENT.items()}
_UCR = parts(layouts.HEAP_UCR_SEGMENT_ENTRY, "SegmentEntry.Flink", "Address", "Size")
_UCR_OLD = parts(layouts.HEAP_UNCOMMITTED_RANGE, "Next", "Address", "Size")
_SEGMENT_OLD = parts(
    layouts.HEAP_SEGMENT_OLD,
    "Signature",
    "Heap",
    "BaseAddress",
    "NumberOfPages",
    "FirstEntry",
    "LastValidEntry",
    "NumberOfUnCommittedPages",
    "NumberOfUnCommittedRanges",
    "UnCommittedRanges",
)
_ARRAY_OFFSET = {size: layout.offsets["Segments[0]"] for size, layout in layouts.HEAP_OLD.items()}


class HeapSegment(NamedTuple):
    """The header of one segment, checked.

    A named tuple costs a fifth of a dataclass, and a heap can have thousands of segments.

    Attributes:
        header: address of the header: the segment's base, except in the first segment of an old heap.
        base: BaseAddress.
        reserved: NumberOfPages, in bytes.
        uncommitted: NumberOfUnCommittedPages, in bytes.
        uncommitted_ranges: NumberOfUnCommittedRanges.
        first_entry: the first block.
        last_entry: LastValidEntry, the end of the blocks (exclusive).
        flink: SegmentListEntry.Flink; 0 in the old shape.
        blink: SegmentListEntry.Blink; 0 in the old shape.
        first_hole: descriptor of the first uncommitted range.
        is_old: it has the shape of Windows XP and Server 2003.
    """

    header: int
    base: int
    reserved: int
    uncommitted: int
    uncommitted_ranges: int
    first_entry: int
    last_entry: int
    flink: int
    blink: int
    first_hole: int
    is_old: bool


def read_segment(context: HeapContext, address: int, heap: int | None) -> HeapSegment | str:
    """Reads and checks a segment header of the new shape (Windows Vista and later).

    Args:
        context: the process.
        address: where the segment starts.
        heap: the heap it must belong to; None accepts any.

    Returns:
        The segment, or why it is none, in a few words.
    """
    if not is_page(address, context.pointer_size):
        return "not the start of a page"
    fields = _SEGMENT[context.pointer_size].read(context.memory, address)
    if fields is None:
        return context.why_unread(address, starts=True)
    signature, flink, blink, owner, pages, first, last, uncommitted, ranges, hole = fields
    if signature != layouts.SEGMENT_SIGNATURE:
        return "no segment signature"
    if heap is not None and owner != heap:
        return f"belongs to heap {owner:#x}"
    # BaseAddress needs no check: the back pointer and the entries already tie the header to its place.
    problem = _check_extent(address, pages, uncommitted, first, last, context.pointer_size)
    if problem:
        return problem
    return HeapSegment(address, address, pages << 12, uncommitted << 12, ranges, first, last, flink, blink, hole, False)


def segment_owners(context: HeapContext, address: int) -> list[int]:
    """Returns the heaps that a segment header at `address` may name, read as the new shape and then as the old one.

    A segment of the old shape has its own base where one of the new shape names its heap.
    """
    owners = []
    for part, owner in ((_SEGMENT[context.pointer_size], 3), (_SEGMENT_OLD[context.pointer_size], 1)):
        fields = part.read(context.memory, address)
        if (
            fields is not None
            and fields[0] == layouts.SEGMENT_SIGNATURE
            and is_page(fields[owner], context.pointer_size)
        ):
            owners.append(fields[owner])
    return owners


def _check_extent(base: int, pages: int, uncommitted: int, first: int, last: int, pointer_size: int) -> str | None:
    end = base + (pages << 12)
    if not 0 < pages < layouts.MAXIMUM_SEGMENT_PAGES or end > USER_LIMIT[pointer_size]:
        return f"counts {pages} pages"
    if uncommitted > pages:
        return f"counts {uncommitted} uncommitted pages of {pages}"
    if not base <= first <= last <= end:
        return "first and last entry are outside"
    return None


def read_old_segment(context: HeapContext, address: int, heap: int) -> HeapSegment | str:
    """Reads and checks a segment header of the old shape (Windows XP, Server 2003). See `read_segment`."""
    if address % context.pointer_size or not is_user_address(address, context.pointer_size):
        return "not an address"
    fields = _SEGMENT_OLD[context.pointer_size].read(context.memory, address)
    if fields is None:
        return context.why_unread(address)
    signature, owner, base, pages, first, last, uncommitted, ranges, holes = fields
    if signature != layouts.SEGMENT_SIGNATURE:
        return "no segment signature"
    if owner != heap:
        return f"belongs to heap {owner:#x}"
    # The first segment's header follows the heap's, in the heap's own pages.
    if base != (heap if heap < address < heap + 2 * PAGE_SIZE else address) or not is_page(base, context.pointer_size):
        return f"states its base as {base:#x}"
    problem = _check_extent(base, pages, uncommitted, first, last, context.pointer_size)
    if problem:
        return problem
    return HeapSegment(address, base, pages << 12, uncommitted << 12, ranges, first, last, 0, 0, holes, True)


Holes = Mapping[int, tuple[int, ...]]
"""The fields of descriptors of uncommitted ranges, by address."""


def first_holes(context: HeapContext, segments: Sequence[HeapSegment]) -> Holes:
    """Reads the first descriptor of every segment of the new shape, all at once."""
    size = context.pointer_size
    part, entry = _UCR[size], _SEGMENT_UCR[size]
    nodes = [
        segment.first_hole
        for segment in segments
        if 0 < segment.uncommitted_ranges <= segment.uncommitted >> 12
        and segment.first_hole != segment.header + entry
        and is_user_address(segment.first_hole, size)
    ]
    read = context.memory.read_each([node + part.offset for node in nodes], part.size)
    return {node: part.unpack(data) for node, data in zip(nodes, read, strict=True) if data is not None}


def segment_range(context: HeapContext, segment: HeapSegment, evidence: str, known: Holes) -> HeapRange | None:
    """Returns the range of a segment; None where the map has no memory at its address.

    Args:
        context: the process.
        segment: the segment.
        evidence: the word for what proves it.
        known: descriptors that were read before.
    """
    base, reserved = segment.base, segment.reserved
    holes = _uncommitted(context, segment, known) if segment.uncommitted_ranges else ()
    # By place: a heap can have thousands of segments, and names cost as much as all the rest of the range.
    claim = HeapRange(base, None, "segment", evidence, False, reserved, reserved - segment.uncommitted, holes)
    return context.place(claim, reserved)


def read_segment_array(context: HeapContext, address: int, remarks: Remarks) -> list[HeapSegment]:
    """Reads the segments in the array of an old heap. Adds what is wrong or missing to `remarks`."""
    size = context.pointer_size
    data = context.memory.read(address + _ARRAY_OFFSET[size], layouts.HEAP_MAXIMUM_SEGMENTS * size)
    if data is None:
        remarks.note("the segment array is not in the dump")
        return []
    segments: dict[int, HeapSegment] = {}
    for index in range(layouts.HEAP_MAXIMUM_SEGMENTS):
        pointer = int.from_bytes(data[index * size : (index + 1) * size], "little")
        if not pointer:
            continue  # a released segment leaves a hole
        segment = read_old_segment(context, pointer, address)
        if isinstance(segment, str):
            say = remarks.note if segment == NOT_CAPTURED else remarks.warn
            say(f"segment {index} at {pointer:#x} is skipped ({segment})")
        elif segment.base in segments:
            remarks.warn(f"segment {index} at {pointer:#x} is in the array twice")
        else:
            segments[segment.base] = segment
    return list(segments.values())


def find_old_segment(context: HeapContext, heap: int, base: int) -> HeapSegment | str:
    """Reads the segment of an old heap that starts at `base`, through the heap's array."""
    for segment in read_segment_array(context, heap, Remarks("")):
        if segment.base == base:
            return segment
    return "not in the heap's array"


def _uncommitted(context: HeapContext, segment: HeapSegment, known: Holes) -> tuple[tuple[int, int], ...]:
    """Returns the holes of a segment: all of them, or none if they do not add up to what its header counts."""
    count = segment.uncommitted_ranges
    if count > segment.uncommitted >> 12:
        return ()
    only = known.get(segment.first_hole) if count == 1 else None
    if only is not None and context.budget.left > 0:  # nearly always
        context.budget.left -= 1
        _, address, length = only
        inside = segment.base < address < address + length <= segment.base + segment.reserved
        return ((address, length),) if inside and not address % PAGE_SIZE and length == segment.uncommitted else ()
    size = context.pointer_size
    read, end = _UCR[size].read, segment.header + _SEGMENT_UCR[size]
    if segment.is_old:
        read, end = _UCR_OLD[size].read, 0
    holes: dict[int, int] = {}
    node = segment.first_hole
    limit = segment.base + segment.reserved
    while node != end and len(holes) < count and context.budget.left > 0 and is_user_address(node, size):
        fields = known.get(node) or read(context.memory, node)
        if fields is None:
            break
        context.budget.left -= 1
        node, address, length = fields
        if address in holes or address % PAGE_SIZE or not segment.base < address < address + length <= limit:
            break
        holes[address] = length
    return tuple(sorted(holes.items())) if sum(holes.values()) == segment.uncommitted else ()
