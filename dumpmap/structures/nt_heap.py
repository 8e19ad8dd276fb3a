"""Walks NT heaps of both shapes: their segments, large blocks and low-fragmentation front end."""

from __future__ import annotations

from typing import NamedTuple

from dumpmap.model.heaps import NT_HEAP, OLD_NT_HEAP, HeapInfo, HeapRange
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import MAX_SEGMENTS, USER_LIMIT, is_page, is_user_address
from dumpmap.structures.heap_context import NO_MEMORY, HeapContext, left_out
from dumpmap.structures.layout import Layout, parts
from dumpmap.structures.layouts import nt_heap as layouts
from dumpmap.structures.walk import NOT_CAPTURED

BUILD_WINDOWS_8 = 9200

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
_SEGMENT_ENTRY = {size: layout.offsets["SegmentListEntry.Flink"] for size, layout in layouts.HEAP_SEGMENT.items()}
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
_HEAP_FIELDS = (
    "Signature",
    "Flags",
    "SegmentReserve",
    "TotalFreeSize",
    "ProcessHeapsListIndex",
    "VirtualAllocdBlocks.Flink",
    "VirtualAllocdBlocks.Blink",
)
_LIST_FIELDS = ("SegmentList.Flink", "SegmentList.Blink")
_HEAP_8 = parts(layouts.HEAP_8, *_HEAP_FIELDS, *_LIST_FIELDS)
_HEAP_7 = parts(layouts.HEAP_7, *_HEAP_FIELDS, *_LIST_FIELDS)
_HEAP_OLD = parts(layouts.HEAP_OLD, *_HEAP_FIELDS)
_LARGE = parts(layouts.HEAP_VIRTUAL_ALLOC_ENTRY, "Entry.Flink", "Entry.Blink", "CommitSize", "ReserveSize")
_ARRAY_OFFSET = {size: layout.offsets["Segments[0]"] for size, layout in layouts.HEAP_OLD.items()}


class HeapSegment(NamedTuple):
    """The header of one segment, checked.

    A heap can have thousands of them, and a named tuple costs a fifth of a dataclass.

    Attributes:
        header: where the header is: the segment's base, but for the first segment of an old heap.
        base: BaseAddress.
        reserved: NumberOfPages, in bytes.
        uncommitted: NumberOfUnCommittedPages, in bytes.
        uncommitted_ranges: NumberOfUnCommittedRanges.
        first_entry: the first block.
        last_entry: LastValidEntry, the end of the blocks (exclusive).
        flink: SegmentListEntry.Flink; 0 in the old shape.
        blink: SegmentListEntry.Blink; 0 in the old shape.
        first_hole: descriptor of the first uncommitted range.
        is_old: the shape of Windows XP and Server 2003.
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
        The segment, or in a few words why it is none.
    """
    if not is_page(address, context.pointer_size):
        return "not the start of a page"
    fields = _SEGMENT[context.pointer_size].read(context.memory, address)
    if fields is None:
        return NOT_CAPTURED
    signature, flink, blink, owner, pages, first, last, uncommitted, ranges, hole = fields
    if signature != layouts.SEGMENT_SIGNATURE:
        return "no segment signature"
    if heap is not None and owner != heap:
        return f"belongs to heap {owner:#x}"
    # BaseAddress is not looked at: the back pointer and the entries already tie the header to its place.
    problem = _check_extent(address, pages, uncommitted, first, last, context.pointer_size)
    if problem:
        return problem
    return HeapSegment(address, address, pages << 12, uncommitted << 12, ranges, first, last, flink, blink, hole, False)


def segment_owners(context: HeapContext, address: int) -> list[int]:
    """Returns the heaps that a segment header at `address` may name: by the new shape, then by the old one.

    Where a segment of the new shape names its heap, one of the old shape has its own base.
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
        return "its first and last entries are outside"
    return None


def read_old_segment(context: HeapContext, address: int, heap: int) -> HeapSegment | str:
    """Reads and checks a segment header of the old shape (Windows XP, Server 2003). See `read_segment`."""
    if address % context.pointer_size or not is_user_address(address, context.pointer_size):
        return "not an address"
    fields = _SEGMENT_OLD[context.pointer_size].read(context.memory, address)
    if fields is None:
        return NOT_CAPTURED
    signature, owner, base, pages, first, last, uncommitted, ranges, holes = fields
    if signature != layouts.SEGMENT_SIGNATURE:
        return "no segment signature"
    if owner != heap:
        return f"belongs to heap {owner:#x}"
    # The first segment's header follows the heap's, in the heap's own pages.
    if base != (heap if heap < address < heap + 2 * PAGE_SIZE else address) or not is_page(base, context.pointer_size):
        return f"gives its base as {base:#x}"
    problem = _check_extent(base, pages, uncommitted, first, last, context.pointer_size)
    if problem:
        return problem
    return HeapSegment(address, base, pages << 12, uncommitted << 12, ranges, first, last, 0, 0, holes, True)


def read_nt_heap(context: HeapContext, address: int, label: str, evidence: str) -> HeapInfo | None:
    """Reads a heap of the new shape and everything that belongs to it.

    Args:
        context: the process.
        address: the heap.
        label: names it in warnings.
        evidence: what says that it is a heap.

    Returns:
        None where the header is not that of such a heap.
    """
    own = read_segment(context, address, address)
    if isinstance(own, str):
        return None
    warnings: list[str] = []
    layout, fields = _read_header(context, address)
    if layout is None:
        # The segment header proves the heap; only its lists are out of reach.
        warnings.append(f"{label}: its header has no known layout, only its first segment is followed")
        segments, lost = [own], None
    else:
        segments, lost = _walk_segments(context, address, layout, fields, own, label, warnings)
    ranges = _place_segments(context, address, segments, label, evidence, warnings)
    if lost is not None and context.starts_private_memory(lost):
        ranges.append(HeapRange(lost, None, "segment", "heap-segment", inferred=True))
    return _finish(context, address, NT_HEAP, layout, fields, ranges, label, evidence, warnings)


def read_old_nt_heap(
    context: HeapContext, address: int, label: str, evidence: str, *, needs_segment: bool = False
) -> HeapInfo | None:
    """Reads a heap of the old shape (Windows XP, Server 2003). See `read_nt_heap`.

    Args:
        context: the process.
        address: the heap.
        label: names it in warnings.
        evidence: what says that it is a heap.
        needs_segment: believe the signature only together with the heap's first segment.
    """
    fields = _HEAP_OLD[context.pointer_size].values(context.memory, address)
    if fields.get("Signature") != layouts.HEAP_SIGNATURE:
        return None
    warnings: list[str] = []
    segments = _read_segment_array(context, address, label, warnings)
    if needs_segment and all(segment.base != address for segment in segments):
        return None
    ranges = _place_segments(context, address, segments, label, evidence, warnings)
    layout = layouts.HEAP_OLD[context.pointer_size]
    return _finish(context, address, OLD_NT_HEAP, layout, fields, ranges, label, evidence, warnings)


def segment_range(context: HeapContext, segment: HeapSegment, evidence: str) -> HeapRange | None:
    """Returns the range of a segment, None where no memory is there."""
    claim = HeapRange(
        base=segment.base,
        size=None,
        role="segment",
        evidence=evidence,
        reserved=segment.reserved,
        committed=segment.reserved - segment.uncommitted,
        uncommitted=_uncommitted(context, segment),
    )
    return context.place(claim, segment.reserved)


def _read_header(context: HeapContext, address: int) -> tuple[Layout | None, dict[str, int]]:
    """Picks the layout whose own signature stands where it says, so no table of builds can be wrong."""
    candidates = [(layouts.HEAP_8, _HEAP_8), (layouts.HEAP_7, _HEAP_7)]
    if context.os_build is not None and context.os_build < BUILD_WINDOWS_8:
        candidates.reverse()
    for layout, part in candidates:
        fields = part[context.pointer_size].values(context.memory, address)
        if fields.get("Signature") == layouts.HEAP_SIGNATURE:
            return layout[context.pointer_size], fields
    return None, {}


def _walk_segments(
    context: HeapContext,
    address: int,
    layout: Layout,
    fields: dict[str, int],
    own: HeapSegment,
    label: str,
    warnings: list[str],
) -> tuple[list[HeapSegment], int | None]:
    """Returns the segments, and the base of one whose header is missing but which its neighbours name."""
    entry = _SEGMENT_ENTRY[context.pointer_size]

    def visit(node: int) -> tuple[int, int, HeapSegment] | str:
        segment = read_segment(context, node - entry, address)
        return segment if isinstance(segment, str) else (segment.flink, segment.blink, segment)

    head = address + layout.offsets["SegmentList.Flink"]
    walk = context.walk(head, fields["SegmentList.Flink"], fields["SegmentList.Blink"], visit)
    warnings.extend(f"{label}: its segment list {problem}" for problem in walk.problems)
    segments = {segment.base: segment for _, segment in walk.nodes}
    segments.setdefault(own.base, own)
    return list(segments.values()), None if walk.lost is None else walk.lost - entry


def _read_segment_array(context: HeapContext, address: int, label: str, warnings: list[str]) -> list[HeapSegment]:
    size = context.pointer_size
    data = context.memory.read(address + _ARRAY_OFFSET[size], layouts.HEAP_MAXIMUM_SEGMENTS * size)
    if data is None:
        warnings.append(f"{label}: its segment array is not in the dump")
        return []
    segments: dict[int, HeapSegment] = {}
    for index in range(layouts.HEAP_MAXIMUM_SEGMENTS):
        pointer = int.from_bytes(data[index * size : (index + 1) * size], "little")
        if not pointer:
            continue  # a segment that was released leaves a hole
        segment = read_old_segment(context, pointer, address)
        if isinstance(segment, str):
            warnings.append(f"{label}: its segment {index} at {pointer:#x} is left out ({segment})")
        elif segment.base in segments:
            warnings.append(f"{label}: its segment {index} at {pointer:#x} is in the array twice")
        else:
            segments[segment.base] = segment
    return list(segments.values())


def find_old_segment(context: HeapContext, heap: int, base: int) -> HeapSegment | str:
    """Reads the segment of an old heap that starts at `base`, by the heap's array."""
    for segment in _read_segment_array(context, heap, "", []):
        if segment.base == base:
            return segment
    return "not in the heap's array"


def _place_segments(
    context: HeapContext,
    address: int,
    segments: list[HeapSegment],
    label: str,
    evidence: str,
    warnings: list[str],
) -> list[HeapRange]:
    """Turns segments into ranges; the heap's own rests on what named the heap, the others on its list."""
    ranges, homeless = [], []
    for segment in segments:
        range_ = segment_range(context, segment, evidence if segment.base == address else "heap-segment")
        if range_ is None:
            homeless.append(segment.base)
        else:
            ranges.append(range_)
    if homeless:
        warnings.append(left_out(label, "segment", homeless, NO_MEMORY))
    if all(segment.base != address for segment in segments):
        own = context.place(HeapRange(address, None, "segment", evidence), PAGE_SIZE)
        if own is not None:
            ranges.append(own)
    return ranges


def _uncommitted(context: HeapContext, segment: HeapSegment) -> tuple[tuple[int, int], ...]:
    """Returns the holes of a segment: all of them, or none where they do not add up to what its header counts."""
    count = segment.uncommitted_ranges
    if not 0 < count <= segment.uncommitted >> 12:
        return ()
    size = context.pointer_size
    read, end = _UCR[size].read, segment.header + _SEGMENT_UCR[size]
    if segment.is_old:
        read, end = _UCR_OLD[size].read, 0
    holes: dict[int, int] = {}
    node = segment.first_hole
    limit = segment.base + segment.reserved
    while node != end and len(holes) < count and context.budget.left > 0 and is_user_address(node, size):
        fields = read(context.memory, node)
        if fields is None:
            break
        context.budget.left -= 1
        node, address, length = fields
        if address in holes or address % PAGE_SIZE or not segment.base < address < address + length <= limit:
            break
        holes[address] = length
    return tuple(sorted(holes.items())) if sum(holes.values()) == segment.uncommitted else ()


def _finish(
    context: HeapContext,
    address: int,
    kind: str,
    layout: Layout | None,
    fields: dict[str, int],
    ranges: list[HeapRange],
    label: str,
    evidence: str,
    warnings: list[str],
) -> HeapInfo:
    """Adds to the segments what both shapes have in common."""
    lfh: bool | None = None
    counters: dict[str, int] | None = None
    if layout is not None:
        ranges += _large_blocks(context, address, layout, fields, label, warnings)
        lfh, front_end, counters = _front_end(context, address, layout)
        if front_end is not None:
            ranges.append(front_end)
    flags = fields.get("Flags")
    reserve = fields.get("SegmentReserve")
    return HeapInfo(
        id=fields.get("ProcessHeapsListIndex") or None,
        address=address,
        pointer_size=context.pointer_size,
        kind=kind,
        flags=flags,
        heap_class=None if flags is None else layouts.HEAP_CLASSES.get(flags & layouts.HEAP_CLASS_MASK),
        lfh=lfh,
        ranges=tuple(sorted(ranges, key=lambda item: item.base)),
        segment_reserve=reserve,
        next_segment=_next_segment(flags, reserve),
        counters=counters,
        total_free_size=(
            fields["TotalFreeSize"] * layouts.ENTRY_UNIT[context.pointer_size] if "TotalFreeSize" in fields else None
        ),
        evidence=evidence,
        warnings=tuple(warnings),
    )


def _next_segment(flags: int | None, reserve: int | None) -> int | None:
    """SegmentReserve is what the heap asks for next; it grows by every segment that it got, up to the cap."""
    if flags is None or reserve is None or not flags & layouts.HEAP_GROWABLE:
        return None
    return min(reserve, layouts.MAXIMUM_SEGMENT_RESERVE)


def _large_blocks(
    context: HeapContext, address: int, layout: Layout, fields: dict[str, int], label: str, warnings: list[str]
) -> list[HeapRange]:
    size = context.pointer_size
    part = _LARGE[size]

    def visit(node: int) -> tuple[int, int, HeapRange] | str:
        if node % (2 * size) or not is_user_address(node, size):
            return "not an address"
        values = part.read(context.memory, node)
        if values is None:
            return NOT_CAPTURED
        flink, blink, commit, reserve = values
        if not 0 < commit <= reserve or reserve % PAGE_SIZE or reserve > USER_LIMIT[size]:
            return f"commits {commit} of {reserve} bytes"
        # The block need not start its allocation: newer releases put some random pages before it.
        allocation = context.space.allocation(node)
        if allocation is None and context.has_map:
            return NO_MEMORY
        if allocation is not None and reserve > allocation[1]:
            return f"reserves more than its allocation of {allocation[1]} bytes"
        base, length = (node & -PAGE_SIZE, reserve) if allocation is None else (allocation[0], None)
        return flink, blink, HeapRange(base, length, "large block", "heap-large-block", False, reserve, commit)

    head = address + layout.offsets["VirtualAllocdBlocks.Flink"]
    links = fields["VirtualAllocdBlocks.Flink"], fields["VirtualAllocdBlocks.Blink"]
    walk = context.walk(head, *links, visit)
    warnings.extend(f"{label}: its list of large blocks {problem}" for problem in walk.problems)
    blocks = [block for _, block in walk.nodes]
    lost = None if walk.lost is None else context.space.allocation(walk.lost)
    if lost is not None:
        blocks.append(HeapRange(lost[0], None, "large block", "heap-large-block", inferred=True))
    return blocks


def _front_end(
    context: HeapContext, address: int, layout: Layout
) -> tuple[bool | None, HeapRange | None, dict[str, int] | None]:
    """Finds the front end, and the counters whose place depends on the same release.

    Returns:
        Whether a low-fragmentation front end is active (None: not known), its range, and the counters.
    """
    for place, is_certain in _front_end_places(context, layout):
        values = place.part("FrontEndHeap", "FrontEndHeapType").read(context.memory, address)
        if values is None:
            continue
        pointer, kind = values
        if not _is_front_end(pointer, kind, layout is layouts.HEAP_OLD[context.pointer_size]):
            continue
        active = kind == layouts.FRONT_END_LOW_FRAGMENTATION
        points_back = _points_back(context, pointer, address) if active else False
        if not is_certain and not points_back:
            continue
        front_end = _front_end_range(context, pointer, points_back) if active else None
        return active, front_end, _counters(context, address, place)
    return None, None, None


def _front_end_places(context: HeapContext, layout: Layout) -> list[tuple[Layout, bool]]:
    """Returns the layouts that may hold the front end, and whether the release is known to have it there."""
    if "FrontEndHeap" in layout.offsets:
        return [(layout, True)]
    build = context.os_build
    rows = [(first, row[context.pointer_size]) for first, row in layouts.HEAP_FRONT_ENDS]
    certain = next((row for first, row in rows if build is not None and build >= first), None)
    return [*([(certain, True)] if certain else []), *((row, False) for _, row in rows if row is not certain)]


def _is_front_end(pointer: int, kind: int, is_old: bool) -> bool:
    if kind == layouts.FRONT_END_NONE:
        return pointer == 0
    return pointer != 0 and (kind == layouts.FRONT_END_LOW_FRAGMENTATION or is_old)


def _points_back(context: HeapContext, front_end: int, heap: int) -> bool | None:
    """Tells whether a front end points back at its heap; None where its bytes are not in the memory."""
    size = context.pointer_size
    if not is_user_address(front_end, size):
        return False
    data = context.memory.read(front_end, layouts.LFH_HEAP_WORDS)
    return (
        None
        if data is None
        else any(int.from_bytes(data[place : place + size], "little") == heap for place in range(0, len(data), size))
    )


def _front_end_range(context: HeapContext, front_end: int, points_back: bool | None) -> HeapRange | None:
    """A front end that starts an allocation of its own belongs to the heap; one inside the heap's memory is there."""
    if not is_page(front_end, context.pointer_size):
        return None
    if context.starts_private_memory(front_end) and points_back is not False:
        return HeapRange(front_end, None, "front end", "heap-front-end", inferred=not points_back)
    if context.has_map or not points_back:
        return None
    return HeapRange(front_end, layouts.LFH_HEAP_SIZE, "front end", "heap-front-end", inferred=True)


def _counters(context: HeapContext, address: int, place: Layout) -> dict[str, int] | None:
    """Reads the heap's totals; None where they contradict each other, for then they are not what stands there."""
    if layouts.COUNTER_FIELDS[0] not in place.offsets:
        return None
    values = place.part(*layouts.COUNTER_FIELDS).values(context.memory, address)
    counters = {name.removeprefix("Counters."): value for name, value in values.items()}
    if not counters:
        return None
    reserved, committed = counters["TotalMemoryReserved"], counters["TotalMemoryCommitted"]
    is_sound = 0 < committed <= reserved < USER_LIMIT[context.pointer_size] and reserved % PAGE_SIZE == 0
    return counters if is_sound and 0 < counters["TotalSegments"] <= MAX_SEGMENTS else None
