"""Reads NT heaps of both shapes: their segments, large blocks, and low-fragmentation front end."""

from __future__ import annotations

from dumpmap.model.heaps import NT_HEAP, OLD_NT_HEAP, HeapInfo, HeapRange
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import USER_LIMIT, is_user_address
from dumpmap.structures.heap_context import NO_MEMORY, HeapContext, Remarks
from dumpmap.structures.layout import Layout, parts
from dumpmap.structures.layouts import nt_heap as layouts
from dumpmap.structures.nt_front_end import read_front_end
from dumpmap.structures.nt_segments import (
    SEGMENT_ENTRY,
    HeapSegment,
    first_holes,
    read_segment,
    read_segment_array,
    segment_range,
)

BUILD_WINDOWS_8 = 9200

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


def read_nt_heap(
    context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
) -> HeapInfo | None:
    """Reads a heap of the new shape (Windows Vista and later). See `dumpmap.structures.heap_families.ReadHeap`.

    The heap's first segment, which starts with the heap, confirms the signature in any case.
    """
    own = read_segment(context, address, address)
    if isinstance(own, str):
        return None
    remarks = Remarks(label)
    layout, fields, is_captured = _read_header(context, address)
    if layout is None:
        # The segment header proves the heap. Only the heap's lists are out of reach.
        if is_captured:
            remarks.warn("unknown header layout; only the heap's first segment is in the map")
        else:
            remarks.note("its header is only partly in the dump; only the heap's first segment is in the map")
        segments, lost = [own], None
    else:
        segments, lost = _walk_segments(context, address, layout, fields, own, remarks)
    ranges = _place_segments(context, address, segments, evidence, remarks)
    if lost is not None and context.starts_private_memory(lost):
        ranges.append(HeapRange(lost, None, "segment", "heap-segment", inferred=True))
    return _finish(context, address, NT_HEAP, layout, fields, ranges, evidence, remarks)


def read_old_nt_heap(
    context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
) -> HeapInfo | None:
    """Reads a heap of the old shape (Windows XP, Server 2003). See `dumpmap.structures.heap_families.ReadHeap`.

    Where a scan led to it, the heap's first segment must confirm the signature.
    """
    fields = _HEAP_OLD[context.pointer_size].values(context.memory, address)
    if fields.get("Signature") != layouts.HEAP_SIGNATURE:
        return None
    remarks = Remarks(label)
    segments = read_segment_array(context, address, remarks)
    if is_scan and all(segment.base != address for segment in segments):
        return None
    ranges = _place_segments(context, address, segments, evidence, remarks)
    layout = layouts.HEAP_OLD[context.pointer_size]
    return _finish(context, address, OLD_NT_HEAP, layout, fields, ranges, evidence, remarks)


def _read_header(context: HeapContext, address: int) -> tuple[Layout | None, dict[str, int], bool]:
    """Picks the layout whose signature is in its place, so that no table of builds can be wrong.

    Returns:
        the layout (None if no signature is in its place), its fields, and whether all places were captured.
    """
    is_captured = True
    candidates = [(layouts.HEAP_8, _HEAP_8), (layouts.HEAP_7, _HEAP_7)]
    if context.os_build is not None and context.os_build < BUILD_WINDOWS_8:
        candidates.reverse()
    for layout, part in candidates:
        fields = part[context.pointer_size].values(context.memory, address)
        if fields.get("Signature") == layouts.HEAP_SIGNATURE:
            return layout[context.pointer_size], fields, True
        is_captured = is_captured and "Signature" in fields
    return None, {}, is_captured


def _walk_segments(
    context: HeapContext,
    address: int,
    layout: Layout,
    fields: dict[str, int],
    own: HeapSegment,
    remarks: Remarks,
) -> tuple[list[HeapSegment], int | None]:
    """Returns the segments, and the base of the one segment whose header is missing but whose neighbours name it."""
    entry = SEGMENT_ENTRY[context.pointer_size]

    def visit(node: int) -> tuple[int, int, HeapSegment] | str:
        segment = read_segment(context, node - entry, address)
        return segment if isinstance(segment, str) else (segment.flink, segment.blink, segment)

    head = address + layout.offsets["SegmentList.Flink"]
    walk = context.walk(head, fields["SegmentList.Flink"], fields["SegmentList.Blink"], visit)
    remarks.of_walk("the segment list", walk)
    segments = {segment.base: segment for _, segment in walk.nodes}
    segments.setdefault(own.base, own)
    return list(segments.values()), None if walk.lost is None else walk.lost - entry


def _place_segments(
    context: HeapContext,
    address: int,
    segments: list[HeapSegment],
    evidence: str,
    remarks: Remarks,
) -> list[HeapRange]:
    """Turns segments into ranges. The heap's own carries the evidence for the heap, the others that of its list."""
    ranges, homeless = [], []
    holes = first_holes(context, [segment for segment in segments if not segment.is_old])
    for segment in segments:
        range_ = segment_range(context, segment, evidence if segment.base == address else "heap-segment", holes)
        if range_ is None:
            homeless.append(segment.base)
        else:
            ranges.append(range_)
    if homeless:
        remarks.left_out("segment", homeless, NO_MEMORY)
    if all(segment.base != address for segment in segments):
        own = context.place(HeapRange(address, None, "segment", evidence), PAGE_SIZE)
        if own is not None:
            ranges.append(own)
    return ranges


def _finish(
    context: HeapContext,
    address: int,
    kind: str,
    layout: Layout | None,
    fields: dict[str, int],
    ranges: list[HeapRange],
    evidence: str,
    remarks: Remarks,
) -> HeapInfo:
    """Adds what both shapes have in common to the segments, and makes the heap."""
    lfh: bool | None = None
    counters: dict[str, int] | None = None
    if layout is not None:
        ranges += _large_blocks(context, address, layout, fields, remarks)
        lfh, front_end, counters = read_front_end(context, address, layout)
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
        warnings=tuple(remarks.warnings),
        notes=tuple(remarks.notes),
    )


def _next_segment(flags: int | None, reserve: int | None) -> int | None:
    """SegmentReserve is what the heap requests next. It grows with every segment, up to a limit."""
    if flags is None or reserve is None or not flags & layouts.HEAP_GROWABLE:
        return None
    return min(reserve, layouts.MAXIMUM_SEGMENT_RESERVE)


def _large_blocks(
    context: HeapContext, address: int, layout: Layout, fields: dict[str, int], remarks: Remarks
) -> list[HeapRange]:
    size = context.pointer_size
    part = _LARGE[size]

    def visit(node: int) -> tuple[int, int, HeapRange] | str:
        if node % (2 * size) or not is_user_address(node, size):
            return "not an address"
        values = part.read(context.memory, node)
        if values is None:
            return context.why_unread(node)
        flink, blink, commit, reserve = values
        if not 0 < commit <= reserve or reserve % PAGE_SIZE or reserve > USER_LIMIT[size]:
            return f"commits {commit} of {reserve} bytes"
        # The block need not start its allocation: newer releases put a random number of pages before it.
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
    remarks.of_walk("the list of large blocks", walk)
    blocks = [block for _, block in walk.nodes]
    lost = None if walk.lost is None else context.space.allocation(walk.lost)
    if lost is not None:
        blocks.append(HeapRange(lost[0], None, "large block", "heap-large-block", inferred=True))
    return blocks
